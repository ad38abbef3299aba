//! The underlay in memory: who gets what, what is lost and counted, and what a host says that asks for what no program should.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use datapath::fake::{FakeDatapath, FakeUnderlay, FakeWire, Limits, Losses, Options, Packet, Switching};
use datapath::flow::{Action, FlowChange, FlowId};
use datapath::tunnel::{GroupId, TunnelEnd, TunnelTo};
use datapath::{Datapath, Execute, FlowTable, RefusalCause};
use futures::FutureExt;
use vlan::verdict::Consulted;

/// A host with a tunnel and a link, which is port 1; the tunnel is port 2.
struct Host {
    wire: FakeWire,
    datapath: FakeDatapath,
}

impl Host {
    async fn new(underlay: &FakeUnderlay, local: IpAddr) -> Host {
        let wire = FakeWire::default();
        underlay.join(&wire, &[local]);
        wire.add_link("a");
        let mut datapath = FakeDatapath::open(&wire);
        datapath.attach("a").await.unwrap();
        datapath.open_tunnel(TunnelEnd { local, port: PORT }).await.unwrap();
        Host { wire, datapath }
    }

    /// Sends a frame of our own.
    async fn send(&mut self, actions: Vec<Action>) {
        self.send_with(actions, None).await;
    }

    async fn send_with(&mut self, actions: Vec<Action>, hash: Option<u64>) {
        let order = Execute { vport: None, frame: frame(1), actions, hash };
        assert_eq!(self.datapath.execute(vec![order]).await, [Ok(())]);
    }

    /// The frames that came up since this was last asked, by the last byte of their source.
    fn heard(&mut self) -> Vec<u8> {
        let upcalls = self.datapath.upcalls(1_000).now_or_never();
        upcalls
            .map(|upcalls| upcalls.unwrap().iter().map(|upcall| upcall.frame[11]).collect())
            .unwrap_or_default()
    }

    /// Has every frame like the next one that comes up do this.
    async fn learn(&mut self, actions: Vec<Action>) {
        let key = self.datapath.upcalls(1).await.unwrap().remove(0).key.unwrap();
        let put = FlowChange::Put { id: FlowId(1), key, mask: Consulted::default(), actions };
        assert_eq!(self.datapath.change_flows(vec![put]).await, [Ok(None)]);
    }

    fn faults(&self) -> Vec<String> {
        self.wire.faults()
    }
}

async fn hosts<const N: usize>(underlay: &FakeUnderlay) -> [Host; N] {
    let mut hosts = Vec::new();
    for number in 1..=N as u8 {
        hosts.push(Host::new(underlay, v4(number)).await);
    }
    hosts.try_into().unwrap_or_else(|_| panic!("{N} hosts"))
}

fn frame(source: u8) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 0xff, 2, 0, 0, 0, 0, source, 0x88, 0xb5];
    frame.resize(60, 0);
    frame
}

fn to(remote: IpAddr, vni: u32) -> Action {
    Action::Tunnel(TunnelTo { remote, vni, class: 0 })
}

fn packet(from: IpAddr, to: IpAddr, source: u8) -> Packet {
    Packet { from, to, port: PORT, vni: 8, class: 0, ecn: 0, path: 0, frame: frame(source) }
}

const fn v4(host: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, host))
}

const fn v6(host: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host))
}

const PORT: u16 = 4789;

#[tokio::test]
async fn what_no_program_should_ask_is_noted_and_nothing_is_sent() {
    let class = |class| Action::Tunnel(TunnelTo { remote: v4(2), vni: 8, class });
    for (actions, fault) in [
        (vec![to(v4(2), 1)], None),
        (vec![to(v4(2), (1 << 24) - 1)], None),
        (vec![class(7)], None),
        (vec![to(v4(2), 0)], Some("a copy to 192.0.2.2 with VNI 0, allowed are 1 to 16777215")),
        (vec![to(v4(2), 1 << 24)], Some("a copy to 192.0.2.2 with VNI 16777216, allowed are 1 to 16777215")),
        (vec![class(8)], Some("a copy to 192.0.2.2 with class 8, allowed are 0 to 7")),
        (vec![to(v6(2), 8)], Some("a copy to 2001:db8::2 by a tunnel from 192.0.2.1")),
        (vec![to(v4(1), 8)], Some("a copy to 192.0.2.1, which is this host")),
        (vec![Action::Group(GroupId(7))], Some("group 7 is not set")),
        (
            vec![Action::Output(TUNNEL)],
            Some("output to vport 2, which is the tunnel, without saying to whom"),
        ),
    ] {
        let underlay = FakeUnderlay::default();
        let mut host = Host::new(&underlay, v4(1)).await;
        host.send(actions.clone()).await;
        assert_eq!(host.faults(), Vec::from_iter(fault), "{actions:?}");
        assert_eq!(underlay.sent().len(), usize::from(fault.is_none()), "{actions:?}");
        let ungrouped = host.datapath.counters().await.unwrap().ungrouped;
        assert_eq!(ungrouped, u64::from(matches!(actions[..], [Action::Group(_)])), "{actions:?}");
    }
    let underlay = FakeUnderlay::default();
    let mut host = Host::new(&underlay, v4(1)).await;
    host.datapath.close_tunnel().await.unwrap();
    host.send(vec![to(v4(2), 8)]).await;
    assert_eq!(host.faults(), ["a copy to 192.0.2.2, and there is no tunnel"]);
}

#[tokio::test]
async fn one_copy_for_each_host_is_counted() {
    let underlay = FakeUnderlay::default();
    let [mut first, mut second, mut third] = hosts(&underlay).await;
    first.datapath.set_group(GroupId(1), vec![to(v4(2), 8), to(v4(3), 8)]).await.unwrap();
    first.send(vec![Action::Group(GroupId(1))]).await;
    first.send(vec![to(v4(3), 9)]).await;
    second.send(vec![to(v4(1), 8)]).await;
    let counts: Vec<_> = underlay.counts().into_iter().collect();
    let of = |from, to, vni| ((v4(from), v4(to), vni), 1);
    assert_eq!(counts, [of(1, 2, 8), of(1, 3, 8), of(1, 3, 9), of(2, 1, 8)]);
    assert_eq!((first.heard().len(), second.heard().len(), third.heard().len()), (1, 1, 2));
    assert_eq!(underlay.sent().len(), 4);
    assert_eq!(underlay.sent(), [], "each is told once");
    assert_eq!(underlay.losses(), Losses::default());
}

#[tokio::test]
async fn a_cut_is_one_way_or_both_and_is_mended() {
    let underlay = FakeUnderlay::default();
    let [mut first, mut second, mut third] = hosts(&underlay).await;
    let mut all_send = async || {
        first.send(vec![to(v4(2), 8), to(v4(3), 8)]).await;
        second.send(vec![to(v4(1), 8), to(v4(3), 8)]).await;
        third.send(vec![to(v4(1), 8), to(v4(2), 8)]).await;
        [first.heard().len(), second.heard().len(), third.heard().len()]
    };
    assert_eq!(all_send().await, [2, 2, 2]);
    underlay.cut(&[v4(1)], &[v4(2), v4(3)]);
    assert_eq!(all_send().await, [0, 1, 1]);
    underlay.mend();
    underlay.cut_one_way(&[v4(1)], &[v4(2)]);
    assert_eq!(all_send().await, [2, 1, 2]);
    underlay.mend();
    assert_eq!(all_send().await, [2, 2, 2]);
    assert_eq!(underlay.losses(), Losses { cut: 5, ..Losses::default() });
    assert_eq!(underlay.counts()[&(v4(1), v4(2), 8)], 4, "what is lost was sent");
}

/// To the byte: 50 more than the frame's payload in IPv4, 70 in IPv6.
#[tokio::test]
async fn what_is_longer_than_the_mtu_is_lost() {
    for (remote, overhead) in [(v4(9), 50), (v6(9), 70)] {
        let underlay = FakeUnderlay::default();
        underlay.add_vtep(remote);
        underlay.set_mtu(Some(1_500));
        let longest = 1_500 - overhead;
        for payload in [longest - 1, longest, longest + 1] {
            let frame = vec![2; 14 + payload];
            underlay.inject(Packet { frame, ..packet(remote, remote, 1) });
        }
        let lens: Vec<_> = underlay.received(remote).iter().map(|packet| packet.frame.len() - 14).collect();
        assert_eq!(lens, [longest - 1, longest]);
        assert_eq!(underlay.losses(), Losses { too_long: 1, ..Losses::default() });
        underlay.set_mtu(None);
        underlay.inject(Packet { frame: vec![2; 9_000], ..packet(remote, remote, 1) });
        assert_eq!(underlay.received(remote).len(), 1);
    }
}

#[tokio::test]
async fn what_is_held_goes_in_the_order_that_is_chosen() {
    let underlay = FakeUnderlay::default();
    let [mut first, mut second] = hosts(&underlay).await;
    underlay.hold();
    (1..=5).for_each(|source| underlay.inject(packet(v4(1), v4(2), source)));
    assert_eq!(second.heard(), [0; 0]);
    let held = underlay.held();
    let numbers: Vec<u64> = held.iter().map(|(number, _)| *number).collect();
    assert_eq!(held.iter().map(|(_, packet)| packet.frame[11]).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    underlay.release(numbers[3]);
    underlay.release(numbers[0]);
    underlay.lose(numbers[1]);
    assert_eq!(second.heard(), [4, 1]);
    underlay.cut(&[v4(1)], &[v4(2)]);
    underlay.release(numbers[2]);
    underlay.mend();
    first.send(vec![to(v4(2), 8)]).await;
    underlay.release_all();
    assert_eq!(second.heard(), [5, 1], "a packet meets the cuts that there are when it is delivered");
    underlay.inject(packet(v4(1), v4(2), 6));
    assert_eq!((second.heard(), underlay.held()), (vec![6], vec![]));
    assert_eq!(underlay.losses(), Losses { cut: 1, chosen: 1, ..Losses::default() });
}

/// What a released packet leads to waits in its turn.
#[tokio::test]
async fn what_follows_from_a_released_packet_is_held() {
    let underlay = FakeUnderlay::default();
    let [mut first, mut second] = hosts(&underlay).await;
    underlay.inject(packet(v4(1), v4(2), 1));
    second.learn(vec![to(v4(1), 9)]).await;
    underlay.hold();
    underlay.inject(packet(v4(1), v4(2), 1));
    let number = underlay.held()[0].0;
    underlay.release(number);
    let held = underlay.held();
    assert_eq!(held.len(), 1);
    assert_eq!((held[0].1.from, held[0].1.vni), (v4(2), 9));
    assert_eq!(first.heard(), [0; 0]);
    underlay.release_all();
    assert_eq!(first.heard(), [1]);
}

#[test]
#[should_panic(expected = "no packet 1 is held")]
fn what_is_not_held_is_not_released() {
    FakeUnderlay::default().release(1);
}

/// A frame that hosts hand on to each other is told at once, and ends.
#[tokio::test]
async fn a_frame_that_goes_round_is_found() {
    let underlay = FakeUnderlay::default();
    let [mut first, mut second] = hosts(&underlay).await;
    underlay.inject(packet(v4(2), v4(1), 1));
    first.learn(vec![to(v4(2), 8)]).await;
    underlay.inject(packet(v4(1), v4(2), 1));
    second.learn(vec![to(v4(1), 8)]).await;
    underlay.sent();
    underlay.inject(packet(v4(2), v4(1), 1));
    let sent = underlay.sent().len();
    assert!((2..10).contains(&sent), "{sent} packets");
    let faults = [first.faults(), second.faults()].concat();
    assert!(
        first.faults()[0].contains("a frame from the tunnel leaves by the tunnel, to 192.0.2.2"),
        "{faults:?}"
    );
    assert_eq!(faults.iter().filter(|fault| fault.contains("a frame goes round")).count(), 1, "{faults:?}");
}

/// By the daemon too: it says which port the frame came from.
#[tokio::test]
async fn a_frame_from_the_tunnel_that_is_executed_into_it_is_told() {
    let underlay = FakeUnderlay::default();
    let [mut first, mut second] = hosts(&underlay).await;
    underlay.inject(packet(v4(2), v4(1), 1));
    let upcall = first.datapath.upcalls(1).await.unwrap().remove(0);
    let order = |vport| Execute { vport, frame: frame(1), actions: vec![to(v4(2), 8)], hash: upcall.hash };
    assert_eq!(first.datapath.execute(vec![order(None)]).await, [Ok(())]);
    assert_eq!(first.faults(), [""; 0]);
    assert_eq!(first.datapath.execute(vec![order(Some(upcall.vport))]).await, [Ok(())]);
    assert_eq!(first.faults(), ["a frame from the tunnel leaves by the tunnel, to 192.0.2.2"]);
    assert_eq!(second.heard(), [1, 1]);
}

#[tokio::test]
async fn a_stranger_is_heard_at_the_right_address_and_port_alone() {
    let underlay = FakeUnderlay::default();
    let [mut host] = hosts(&underlay).await;
    underlay.join(&host.wire, &[v4(7)]);
    let stranger = v4(99);
    let good = packet(stranger, v4(1), 1);
    for (packet, is_heard) in [
        (good.clone(), true),
        (Packet { vni: 0, class: 7, ecn: 3, ..good.clone() }, true),
        (Packet { port: PORT + 1, ..good.clone() }, false),
        (Packet { to: v4(7), ..good.clone() }, false),
        (Packet { to: v4(8), ..good.clone() }, false),
    ] {
        underlay.inject(packet.clone());
        assert_eq!(host.heard().len(), usize::from(is_heard), "{packet:?}");
    }
    assert_eq!(underlay.losses(), Losses { unheard: 3, ..Losses::default() });
    let (_, stats) = host.datapath.tunnel().await.unwrap().unwrap();
    assert_eq!((stats.rx_packets, stats.rx_dropped), (2, 0));
    underlay.inject(Packet { frame: vec![2; 13], ..good.clone() });
    let (_, stats) = host.datapath.tunnel().await.unwrap().unwrap();
    assert_eq!((stats.rx_packets, stats.rx_dropped), (2, 1), "a frame without a header");
    drop(host);
    underlay.inject(good);
    assert_eq!(underlay.losses().unheard, 4, "a host that is gone");
}

/// Who does not give back the hash of a frame sends it another way than its flow will.
#[tokio::test]
async fn a_path_is_the_hash_that_was_said() {
    let underlay = FakeUnderlay::default();
    let mut host = Host::new(&underlay, v4(1)).await;
    host.wire.inject("a", &frame(1));
    let hash = host.datapath.upcalls(1).await.unwrap().remove(0).hash;
    host.wire.inject("a", &frame(1));
    host.learn(vec![to(v4(2), 8)]).await;
    host.wire.inject("a", &frame(1));
    host.send_with(vec![to(v4(2), 8)], hash).await;
    host.send_with(vec![to(v4(2), 8)], None).await;
    let paths: Vec<u64> = underlay.sent().iter().map(|packet| packet.path).collect();
    assert_eq!(paths[0], paths[1]);
    assert_ne!(paths[0], paths[2]);
}

/// Who waits for frames is woken by one that another host sends.
#[tokio::test]
async fn a_frame_from_another_host_wakes_who_waits() {
    let underlay = FakeUnderlay::default();
    let [mut first, mut second] = hosts(&underlay).await;
    let waiting = tokio::spawn(async move { second.datapath.upcalls(1).await });
    tokio::task::yield_now().await;
    first.send(vec![to(v4(2), 8)]).await;
    assert_eq!(waiting.await.unwrap().unwrap().len(), 1);
}

/// Hosts on threads of their own wait for each other never, and lose nothing.
#[tokio::test]
async fn hosts_send_at_once_from_many_threads() {
    let underlay = FakeUnderlay::default();
    let mut hosts: [Host; 3] = hosts(&underlay).await;
    for (number, host) in (1..).zip(&mut hosts) {
        host.wire.set_limits(Limits { upcalls: 10_000, ..Limits::default() });
        host.wire.inject("a", &frame(number));
        let others = (1..=3).filter(|other| *other != number).map(|other| to(v4(other), 8)).collect();
        host.learn(others).await;
    }
    std::thread::scope(|scope| {
        for (number, host) in (1..).zip(&hosts) {
            scope.spawn(move || (0..1_000).for_each(|_| host.wire.inject("a", &frame(number))));
        }
    });
    for host in &mut hosts {
        let mut heard = 0;
        while let Some(upcalls) = host.datapath.upcalls(1_000).now_or_never() {
            heard += upcalls.unwrap().len();
        }
        assert_eq!((heard, host.faults()), (2_000, vec![]));
    }
}

#[tokio::test]
async fn what_does_not_fit_into_a_datapath_is_refused() {
    let underlay = FakeUnderlay::default();
    let mut host = Host::new(&underlay, v4(1)).await;
    host.wire.set_limits(Limits { groups: 2, group_steps: 3, ..Limits::default() });
    let steps = |count: u32| (1..=count).map(|vni| to(v4(2), vni)).collect::<Vec<_>>();
    host.datapath.set_group(GroupId(1), steps(3)).await.unwrap();
    let refusal = host.datapath.set_group(GroupId(1), steps(4)).await.unwrap_err();
    let message = "set group 1: kernel refused with errno 90: 4 steps, allowed are 3";
    assert_eq!(refusal.to_string(), message);
    let nested = vec![Action::Clone(steps(3))];
    assert_eq!(host.datapath.set_group(GroupId(1), nested).await.unwrap_err().to_string(), message);
    host.datapath.set_group(GroupId(2), steps(1)).await.unwrap();
    let refusal = host.datapath.set_group(GroupId(3), steps(1)).await.unwrap_err();
    assert_eq!(refusal.cause, RefusalCause::TableFull);
    host.datapath.set_group(GroupId(2), steps(2)).await.unwrap();
    let groups = host.datapath.groups().await.unwrap();
    assert_eq!(groups, [(GroupId(1), Some(steps(3))), (GroupId(2), Some(steps(2)))]);
    let end = TunnelEnd { local: v4(1), port: 0 };
    let refusal = host.datapath.open_tunnel(end).await.unwrap_err();
    assert!(refusal.to_string().ends_with("allowed are UDP ports 1 to 65535"), "{refusal}");
    assert!(host.datapath.tunnel().await.unwrap().is_some(), "the one that is there stays");
}

/// Whoever switches by tables says so, and goes on without.
#[tokio::test]
async fn tables_have_no_tunnel() {
    let wire = FakeWire::new(Options { switching: Switching::Tables, ..Options::default() });
    FakeUnderlay::default().join(&wire, &[v4(1)]);
    let mut datapath = FakeDatapath::open(&wire);
    assert!(!datapath.capabilities().tunnels);
    let refusal = datapath.open_tunnel(TunnelEnd { local: v4(1), port: PORT }).await.unwrap_err();
    assert_eq!(refusal.to_string(), "open VXLAN at 192.0.2.1 port 4789: not supported by this datapath");
    let refusal = datapath.set_group(GroupId(1), Vec::new()).await.unwrap_err();
    assert_eq!(refusal.to_string(), "set group 1: not supported by this datapath");
    assert_eq!(datapath.close_tunnel().await, Ok(()));
    assert_eq!(datapath.delete_group(GroupId(1)).await, Ok(()));
    assert_eq!((datapath.tunnel().await, datapath.groups().await), (Ok(None), Ok(Vec::new())));
}

#[test]
#[should_panic(expected = "somebody has 192.0.2.1 already")]
fn an_address_is_one_host_s() {
    let underlay = FakeUnderlay::default();
    underlay.add_vtep(v4(1));
    underlay.join(&FakeWire::default(), &[v4(1)]);
}

/// The tunnel's number: the link got the first one.
const TUNNEL: datapath::port::VportNo = datapath::port::VportNo(2);
