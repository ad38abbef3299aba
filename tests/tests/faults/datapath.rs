//! The faulty wrapper fails as asked, element by element, and what it says was done was done.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use datapath::fake::{FakeDatapath, FakeUnderlay, FakeWire};
use datapath::faulty::{Fault, FaultPlan, Faults, Faulty, Operation, Rule};
use datapath::flow::{Action, FlowChange, FlowId, MeterId, MeterRate};
use datapath::port::VportNo;
use datapath::tunnel::{GroupId, TunnelEnd, TunnelTo};
use datapath::{Datapath, Execute, FlowTable, Refusal, RefusalCause, Upcall};
use futures::FutureExt;
use vlan::verdict::Consulted;

type Wrapped = Faulty<FakeDatapath>;

async fn wrapped() -> (Wrapped, Faults, FakeWire, [VportNo; 2]) {
    let wire = FakeWire::default();
    let faults = Faults::none();
    let mut datapath = Faulty::new(FakeDatapath::open(&wire), faults.clone());
    let mut ports = [VportNo(0); 2];
    for (link, port) in ["eth0", "eth1"].into_iter().zip(&mut ports) {
        wire.add_link(link);
        *port = datapath.attach(link).await.unwrap().no;
    }
    (datapath, faults, wire, ports)
}

fn frame(source: u8) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 0xff, 2, 0, 0, 0, 0, source, 0x88, 0xb5];
    frame.resize(60, 0);
    frame
}

async fn missed(datapath: &mut Wrapped, wire: &FakeWire, source: u8) -> Upcall {
    wire.inject("eth0", &frame(source));
    datapath.upcalls(1).await.unwrap().remove(0)
}

fn put(id: u128, upcall: &Upcall, out: VportNo) -> FlowChange {
    let key = upcall.key.clone().unwrap();
    FlowChange::Put { id: FlowId(id), key, mask: Consulted::default(), actions: vec![Action::Output(out)] }
}

fn einval() -> Fault {
    Fault::Refuse(RefusalCause::Kernel { errno: 22, message: "asked for".into() })
}

fn is_lost<T>(answer: &Result<T, Refusal>) -> bool {
    matches!(answer, Err(refusal) if refusal.cause == RefusalCause::AnswerLost && refusal.is_retryable())
}

#[tokio::test]
async fn an_attach_is_refused_or_loses_its_answer() {
    let (mut datapath, faults, wire, _) = wrapped().await;
    wire.add_link("eth2");
    faults.next(Operation::Attach, Fault::Refuse(RefusalCause::Busy));
    faults.next(Operation::Attach, Fault::Lose);
    let refusal = datapath.attach("eth2").await.unwrap_err();
    assert_eq!(refusal.to_string(), "attach eth2: it is in use by something else");
    assert_eq!(datapath.vports().await.unwrap().len(), 2, "a refused attach was done");
    assert!(is_lost(&datapath.attach("eth2").await.map(drop)));
    assert_eq!(datapath.vports().await.unwrap().len(), 3, "an attach whose answer was lost was not done");
    datapath.attach("eth2").await.unwrap();
    assert_eq!(faults.struck(), 2);
}

#[tokio::test]
async fn a_tunnel_is_refused_or_loses_its_answer() {
    let (mut datapath, faults, wire, _) = wrapped().await;
    FakeUnderlay::default().join(&wire, &[LOCAL]);
    let end = TunnelEnd { local: LOCAL, port: 4789 };
    faults.next(Operation::Tunnel, Fault::Refuse(RefusalCause::Busy));
    faults.next(Operation::Tunnel, Fault::Lose);
    let refusal = datapath.open_tunnel(end).await.unwrap_err();
    assert_eq!(refusal.to_string(), "open VXLAN at 192.0.2.1 port 4789: it is in use by something else");
    assert_eq!(datapath.tunnel().await.unwrap(), None, "a refused tunnel was opened");
    assert!(is_lost(&datapath.open_tunnel(end).await.map(drop)));
    let (made, _) = datapath.tunnel().await.unwrap().expect("one whose answer was lost was opened");
    assert_eq!(datapath.open_tunnel(end).await.unwrap(), made);
    faults.next(Operation::Tunnel, einval());
    let refusal = datapath.close_tunnel().await.unwrap_err();
    assert_eq!(refusal.to_string(), "close the tunnel: kernel refused with errno 22: asked for");
    faults.next(Operation::Read, einval());
    let refusal = datapath.tunnel().await.unwrap_err();
    assert_eq!(refusal.to_string(), "read the tunnel's port: kernel refused with errno 22: asked for");
    assert!(datapath.tunnel().await.unwrap().is_some(), "a refused closing was done");
    faults.next(Operation::Tunnel, Fault::Lose);
    assert!(is_lost(&datapath.close_tunnel().await));
    assert_eq!(datapath.tunnel().await.unwrap(), None);
    assert_eq!(faults.struck(), 5);
}

#[tokio::test]
async fn a_group_is_refused_or_loses_its_answer() {
    let (mut datapath, faults, _wire, [_, out]) = wrapped().await;
    let (first, second) = (vec![Action::Output(out)], vec![Action::Output(out), Action::PopTag]);
    faults.next(Operation::Group, Fault::Refuse(RefusalCause::TableFull));
    let refusal = datapath.set_group(GroupId(3), first.clone()).await.unwrap_err();
    assert_eq!(refusal.to_string(), "set group 3: the table is full");
    assert_eq!(datapath.groups().await.unwrap(), [], "a refused group was set");
    datapath.set_group(GroupId(3), first).await.unwrap();
    faults.next(Operation::Group, Fault::Lose);
    assert!(is_lost(&datapath.set_group(GroupId(3), second.clone()).await));
    assert_eq!(datapath.groups().await.unwrap(), [(GroupId(3), Some(second))]);
    faults.next(Operation::Group, einval());
    let refusal = datapath.delete_group(GroupId(3)).await.unwrap_err();
    assert_eq!(refusal.to_string(), "delete group 3: kernel refused with errno 22: asked for");
    faults.next(Operation::Read, einval());
    let refusal = datapath.groups().await.unwrap_err();
    assert_eq!(refusal.to_string(), "list groups: kernel refused with errno 22: asked for");
    assert_eq!(datapath.groups().await.unwrap().len(), 1, "a refused deletion was done");
    faults.next(Operation::Group, Fault::Lose);
    assert!(is_lost(&datapath.delete_group(GroupId(3)).await));
    assert_eq!(datapath.groups().await.unwrap(), []);
    assert_eq!(faults.struck(), 5);
}

/// What a host sends to another is met by the receiver's faults alone.
#[tokio::test]
async fn a_frame_from_another_host_meets_faults_as_any() {
    let underlay = FakeUnderlay::default();
    let (mut near, _, near_wire, _) = wrapped().await;
    let (mut far, faults, far_wire, _) = wrapped().await;
    for (datapath, wire, local) in [(&mut near, &near_wire, LOCAL), (&mut far, &far_wire, REMOTE)] {
        underlay.join(wire, &[local]);
        datapath.open_tunnel(TunnelEnd { local, port: 4789 }).await.unwrap();
    }
    faults.next(Operation::Upcall, Fault::Lose);
    faults.next(Operation::Execute, Fault::Refuse(RefusalCause::Busy));
    let there = Action::Tunnel(TunnelTo { remote: REMOTE, vni: 8, class: 0 });
    let order =
        |source| Execute { vport: None, frame: frame(source), actions: vec![there.clone()], hash: None };
    assert_eq!(near.execute(vec![order(1), order(2)]).await, [Ok(()), Ok(())]);
    let upcalls = far.upcalls(8).await.unwrap();
    assert_eq!(upcalls.into_iter().map(|upcall| upcall.frame).collect::<Vec<_>>(), [frame(2)]);
    assert_eq!(far.counters().await.unwrap().lost, 1);
    assert_eq!(faults.struck(), 1);
}

#[tokio::test]
async fn each_flow_of_a_batch_meets_its_own_fault() {
    let (mut datapath, faults, wire, [_, out]) = wrapped().await;
    let mut changes = Vec::new();
    for source in 1..=4 {
        let upcall = missed(&mut datapath, &wire, source).await;
        changes.push(put(source.into(), &upcall, out));
    }
    faults.next(Operation::PutFlow, einval());
    faults.spare(Operation::PutFlow);
    faults.next(Operation::PutFlow, Fault::Refuse(RefusalCause::TableFull));
    faults.next(Operation::PutFlow, Fault::Lose);
    let answers = datapath.change_flows(changes).await;
    let [Err(invalid), Ok(None), Err(full), lost] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(
        invalid.to_string(),
        "put flow 00000000000000000000000000000001 on vport 1: kernel refused with errno 22: asked for"
    );
    assert!(full.is_retryable() && full.cause == RefusalCause::TableFull);
    assert!(is_lost(lost));
    let ids: Vec<u128> = datapath.flows().await.unwrap().iter().map(|flow| flow.id.0).collect();
    assert_eq!(ids, [2, 4], "what was refused is not there, what lost its answer is");
    faults.next(Operation::DeleteFlow, einval());
    let delete = |id| FlowChange::Delete { id: FlowId(id) };
    let answers = datapath.change_flows(vec![delete(2), delete(4)]).await;
    assert!(answers[0].is_err() && answers[1].is_ok(), "{answers:?}");
    assert_eq!(datapath.flows().await.unwrap().len(), 1);
}

#[tokio::test]
async fn lost_upcalls_are_counted_and_the_others_come() {
    let (mut datapath, faults, wire, _) = wrapped().await;
    let rule = Rule { per_mille: 300, ..Rule::always(Operation::Upcall, Fault::Lose) };
    faults.follow(FaultPlan { seed: 5, rules: vec![rule] });
    for source in 0..200 {
        wire.inject("eth0", &frame(source));
    }
    let mut heard = 0;
    while let Some(upcalls) = datapath.upcalls(16).now_or_never() {
        heard += upcalls.unwrap().len() as u64;
    }
    let lost = datapath.counters().await.unwrap().lost;
    assert_eq!((heard + lost, lost), (200, faults.struck()));
    assert!((30..90).contains(&lost), "{lost} of 200 at 300 of 1000, seed 5");
}

#[tokio::test]
async fn an_upcall_that_is_refused_keeps_the_others() {
    let (mut datapath, faults, wire, _) = wrapped().await;
    (1..=3).for_each(|source| wire.inject("eth0", &frame(source)));
    faults.spare(Operation::Upcall);
    faults.next(Operation::Upcall, einval());
    assert!(datapath.upcalls(8).await.is_err());
    let sources: Vec<u8> = datapath.upcalls(8).await.unwrap().iter().map(|upcall| upcall.frame[11]).collect();
    assert_eq!(sources, [1, 3]);
}

#[tokio::test]
async fn what_is_held_is_done_when_it_is_let_go() {
    let (mut datapath, faults, wire, [_, out]) = wrapped().await;
    let upcall = missed(&mut datapath, &wire, 1).await;
    faults.next(Operation::PutFlow, Fault::Hold);
    let putting = tokio::spawn(async move {
        let answers = datapath.change_flows(vec![put(1, &upcall, out)]).await;
        (datapath, answers)
    });
    while faults.struck() == 0 {
        tokio::task::yield_now().await;
    }
    wire.inject("eth0", &frame(1));
    assert_eq!(wire.sent("eth1"), [[0; 0]; 0], "the flow is in force while it is held");
    faults.let_go();
    let (mut datapath, answers) = putting.await.unwrap();
    assert_eq!(answers, [Ok(None)]);
    wire.inject("eth0", &frame(1));
    assert_eq!(wire.sent("eth1").len(), 1);
    assert_eq!(datapath.upcalls(8).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_late_answer_is_late_and_the_deed_is_not() {
    let (mut datapath, faults, wire, [_, out]) = wrapped().await;
    let upcall = missed(&mut datapath, &wire, 1).await;
    faults.next(Operation::PutFlow, Fault::Delay(200));
    let begun = tokio::time::Instant::now();
    {
        let putting = datapath.change_flows(vec![put(1, &upcall, out)]);
        tokio::pin!(putting);
        assert!(tokio::time::timeout(Duration::from_millis(1), &mut putting).await.is_err());
        wire.inject("eth0", &frame(1));
        assert_eq!(wire.sent("eth1").len(), 1, "the flow is not yet in force");
        assert_eq!(putting.await, [Ok(None)]);
    }
    assert!(begun.elapsed() >= Duration::from_millis(200), "answered after {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_datapath_that_vanished_is_gone_for_every_call_and_for_who_waits() {
    let (mut datapath, faults, wire, [port, out]) = wrapped().await;
    let upcall = missed(&mut datapath, &wire, 1).await;
    faults.next(Operation::Execute, Fault::Vanish);
    let order = Execute { vport: None, frame: frame(1), actions: vec![Action::Output(out)], hash: None };
    fn gone<T: std::fmt::Debug>(answer: Result<T, Refusal>) {
        assert_eq!(answer.unwrap_err().cause, RefusalCause::DatapathGone);
    }
    datapath.execute(vec![order.clone(), order]).await.into_iter().for_each(gone);
    gone(datapath.upcalls(1).await.map(drop));
    gone(datapath.attach("eth0").await.map(drop));
    gone(datapath.detach(port).await);
    gone(datapath.vports().await.map(drop));
    gone(datapath.open_tunnel(TunnelEnd { local: LOCAL, port: 4789 }).await.map(drop));
    gone(datapath.close_tunnel().await);
    gone(datapath.tunnel().await.map(drop));
    gone(datapath.set_group(GroupId(1), Vec::new()).await);
    gone(datapath.delete_group(GroupId(1)).await);
    gone(datapath.groups().await.map(drop));
    gone(datapath.flows().await.map(drop));
    gone(datapath.set_meter(MeterId(1), MeterRate { packets_per_second: 1, burst: 1 }).await);
    datapath
        .change_flows(vec![put(1, &upcall, out)])
        .await
        .into_iter()
        .for_each(|answer| gone(answer.map(drop)));
    assert_eq!(wire.sent("eth1"), [[0; 0]; 0]);
    faults.restore();
    assert_eq!(datapath.vports().await.unwrap().len(), 2);

    let waiting = tokio::spawn(async move { datapath.upcalls(1).await });
    tokio::task::yield_now().await;
    faults.next(Operation::Read, Fault::Vanish);
    let mut other = Faulty::new(FakeDatapath::open(&FakeWire::default()), faults);
    gone(other.counters().await.map(drop));
    gone(waiting.await.unwrap().map(drop));
}

#[tokio::test]
async fn without_faults_it_is_the_datapath_it_wraps() {
    let (mut datapath, faults, wire, [_, out]) = wrapped().await;
    let upcall = missed(&mut datapath, &wire, 1).await;
    assert_eq!(datapath.change_flows(vec![put(1, &upcall, out)]).await, [Ok(None)]);
    wire.inject("eth0", &frame(1));
    assert_eq!(wire.sent("eth1"), [frame(1)]);
    assert_eq!(datapath.capabilities(), datapath.inner().capabilities());
    assert_eq!(datapath.counters().await.unwrap(), datapath.inner().counters().await.unwrap());
    assert_eq!(faults.struck(), 0);
    datapath.teardown().await.unwrap();
}

/// A plan is data: what is read from a file meets the same calls as what was written.
#[tokio::test]
async fn a_plan_can_be_kept_and_run_again() {
    let plan = FaultPlan {
        seed: 11,
        rules: vec![
            Rule { per_mille: 250, ..Rule::always(Operation::PutFlow, einval()) },
            Rule { after: 10, times: Some(2), ..Rule::always(Operation::PutFlow, Fault::Lose) },
        ],
    };
    let text = serde_json::to_string(&plan).unwrap();
    let again: FaultPlan = serde_json::from_str(&text).unwrap();
    assert_eq!(again, plan, "{text}");
    let run = async |plan: FaultPlan| {
        let (mut datapath, faults, wire, [_, out]) = wrapped().await;
        let upcall = missed(&mut datapath, &wire, 1).await;
        faults.follow(plan);
        let mut answers = Vec::new();
        for _ in 0..100 {
            answers.extend(datapath.change_flows(vec![put(1, &upcall, out)]).await);
        }
        answers
    };
    let first = run(plan).await;
    assert_eq!(first, run(again).await);
    assert_eq!(first.iter().filter(|answer| is_lost(answer)).count(), 2);
}

/// Documentation addresses (RFC 5737).
const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const REMOTE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
