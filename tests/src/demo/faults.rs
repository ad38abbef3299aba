//! What hosts do while something is in their way: servers that die, a VM that moves, a daemon that is killed. Conversations go on.

use std::time::{Duration, Instant};

use servers::{Ensemble, Server};

use super::chapters::{judge_place, started_by};
use super::network::{ANNOUNCED, DESK, HOSTS, Network, address_of, mac_of};
use super::script::{Script, Trouble};
use crate::lab::ping::{Pings, ping};
use crate::lab::tap::Tap;

/// The server that leads is killed, and a port is added by the two others.
///
/// # Errors
/// The story cannot be written, or is to end.
pub(super) fn lose_a_server(script: &mut Script<'_>, network: &Network) -> Result<(), Trouble> {
    script.step(
        "The ZooKeeper server that leads is killed (kill -9); meanwhile machines ping each other every 10 ms",
    )?;
    let talks = Talks::start(script, network)?;
    let dead = network.servers().run(|ensemble| {
        let leader = ensemble.leader().unwrap_or_else(|error| panic!("no server leads: {error}"));
        killed(leader);
        ensemble.wait_for_quorum().unwrap_or_else(|error| panic!("two servers do not go on: {error}"));
        leader.number()
    });
    talks.end(script, &format!("zk{dead} is killed and the two others elect a leader"))?;
    script.step(
        "One more port, by one line from a machine that runs no daemon, and by the two servers that are left",
    )?;
    let port = "--bridge vub8 --host cn2 --link vm81 --nsdb $STORE --auth-file zookeeper.auth";
    script.show(network, DESK, &format!("port add vm81-on-cn2 {port}"))?;
    let is_there = || network.host("cn2").status().ports == 3;
    script.wait_for(network.host("cn2"), "its new port", |_| is_there())?;
    script.show(network, "cn2", "show ports")?;
    script.say("")?;
    script.judge("cn2 has", "3 ports", &format!("{} ports", network.host("cn2").status().ports))
}

/// A VM moves, and all are told of it.
///
/// # Errors
/// The story cannot be written, or is to end.
pub(super) fn move_with_servers(script: &mut Script<'_>, network: &Network) -> Result<(), Trouble> {
    script.step("vm81 moves from cn1 to cn2, with its addresses; phys81 pings it every 10 ms")?;
    move_vm(script, network, ("cn1", "cn2"))?;
    for host in ["gw1", "gw2", "cn1", "cn3"] {
        judge_place(script, network, host, ("vm81", "host cn2, remote"))?;
    }
    is_unicast(script, network)
}

/// All servers are dead, and a VM moves all the same.
///
/// # Errors
/// The story cannot be written, or is to end.
pub(super) fn lose_all_servers(script: &mut Script<'_>, network: &Network) -> Result<(), Trouble> {
    script.step("The two other servers are killed as well, until every host knows that its store is away")?;
    let talks = Talks::start(script, network)?;
    network.servers().run(|ensemble| running(ensemble).for_each(killed));
    for host in HOSTS {
        script.wait_for(network.host(host), "the store to be away", |host| {
            host.status().store_away.is_some()
        })?;
    }
    talks.end(script, "there is no server")?;
    script.show(network, "cn3", "show status")?;
    script
        .step("vm81 moves back to cn1, with no server to tell it by: the first frame that it sends tells")?;
    move_vm(script, network, ("cn2", "cn1"))?;
    is_unicast(script, network)
}

/// The servers are there again, and hosts tell each other what was new.
///
/// # Errors
/// The story cannot be written, or is to end.
pub(super) fn get_servers_back(script: &mut Script<'_>, network: &Network) -> Result<(), Trouble> {
    script.step("All three servers start again, with the data that they had")?;
    let talks = Talks::start(script, network)?;
    network.servers().run(|ensemble| {
        ensemble.servers().iter().for_each(|server| {
            server.restart().unwrap_or_else(|error| panic!("a server does not start again: {error}"));
        });
        ensemble.wait_until_ready().unwrap_or_else(|error| panic!("no three servers: {error}"));
    });
    for host in HOSTS {
        script.wait_for(network.host(host), "the store to be back", |host| {
            host.status().store_away.is_none()
        })?;
    }
    talks.end(script, "the servers start")?;
    for host in ["gw1", "gw2", "cn2", "cn3"] {
        judge_place(script, network, host, ("vm81", "host cn1, remote"))?;
    }
    Ok(())
}

/// A daemon is killed and started again: the kernel forwards meanwhile.
///
/// # Errors
/// The story cannot be written, or is to end.
pub(super) fn lose_a_daemon(script: &mut Script<'_>, network: &mut Network) -> Result<(), Trouble> {
    script.step("The daemon of cn1 is killed (kill -9), and started again")?;
    let talks = Talks::start(script, network)?;
    network.kill("cn1");
    talks.end(script, "cn1 has no daemon")?;
    script.say(&started_by("cn1"))?;
    let talks = Talks::start(script, network)?;
    network.start("cn1");
    script.wait_for(network.host("cn1"), "all hosts to be together", |host| {
        let status = host.status();
        status.ports_up == 2 && status.others.is_some_and(|others| others.heard == others.hosts)
    })?;
    talks.end(script, "it starts")
}

/// Takes vm81 from a host to another while phys81 pings it, and judges how long it is not answered.
fn move_vm(script: &mut Script<'_>, network: &Network, (from, to): (&str, &str)) -> Result<(), Trouble> {
    let pings = Pings::start(network.machine("phys81").netns(), address_of("vm81"));
    script.until(PATIENCE, || pings.answered() >= WARM_UP)?;
    network.move_vm("vm81", from, to);
    let (began, sent) = (Instant::now(), pings.sent());
    let mut is_answered = false;
    for pause in ANNOUNCED {
        is_answered = is_answered || script.until(Duration::from_millis(pause), || pings.newest() > sent)?;
        if !is_answered {
            network.announce("vm81");
        }
    }
    is_answered = is_answered || script.until(PATIENCE, || pings.newest() > sent)?;
    let took = began.elapsed();
    let got = match is_answered {
        true if took < SOON => SOON_ENOUGH.to_owned(),
        true => format!("an answer after {} ms", took.as_millis()),
        false => "no answer".to_owned(),
    };
    let what = format!("phys81 pings vm81, whose link has been up on {to} for {} ms", took.as_millis());
    script.judge(&what, SOON_ENOUGH, &got)
}

/// Frames to vm81 go to it alone.
fn is_unicast(script: &mut Script<'_>, network: &Network) -> Result<(), Trouble> {
    let others = ["vm82", "vm83", "phys82"];
    let taps: Vec<Tap> = others.map(|name| network.machine(name).tap()).into();
    let answered = ping(network.machine("phys81").netns(), address_of("vm81"), ECHOES);
    let seen = taps.iter().flat_map(Tap::drain).filter(|frame| frame[..6] == mac_of("vm81")).count();
    let got = format!("{answered} answers, {seen} frames elsewhere");
    let what = format!("{ECHOES} echo requests to vm81, as {} see them", others.join(", "));
    script.judge(&what, &format!("{ECHOES} answers, 0 frames elsewhere"), &got)
}

/// Conversations that go on while something happens: between a rack and a host, and between two hosts.
struct Talks(Vec<(&'static str, Pings)>);

impl Talks {
    /// Begins them; each has been answered a few times when this returns.
    fn start(script: &Script<'_>, network: &Network) -> Result<Talks, Trouble> {
        let pairs = [("phys81", "vm81"), ("vm53", "phys52"), ("vm82", "vm83")];
        let start = |(from, to)| (to, Pings::start(network.machine(from).netns(), address_of(to)));
        let talks = Talks(pairs.map(start).into());
        talks.wait(script, WARM_UP)?;
        Ok(talks)
    }

    /// Lets them go on for another second, and judges what was lost.
    fn end(self, script: &mut Script<'_>, event: &str) -> Result<(), Trouble> {
        self.wait(script, AFTERWARDS)?;
        let answers = self.0.into_iter().map(|(_, pings)| pings.end());
        let (sent, lost) = answers.fold((0, 0), |sum, one| (sum.0 + one.sent, sum.1 + one.lost));
        let got = if lost == 0 { NONE_LOST.to_owned() } else { format!("{lost} lost") };
        script.judge(&format!("{sent} echo requests while {event}"), NONE_LOST, &got)
    }

    /// Waits until each is answered so often again. What is not answered is judged later.
    fn wait(&self, script: &Script<'_>, answers: u32) -> Result<(), Trouble> {
        let until: Vec<u32> = self.0.iter().map(|(_, pings)| pings.answered() + answers).collect();
        let is_so = || self.0.iter().zip(&until).all(|((_, pings), until)| pings.answered() >= *until);
        script.until(PATIENCE, is_so).map(drop)
    }
}

fn running(ensemble: &Ensemble) -> impl Iterator<Item = &Server> {
    ensemble.servers().iter().filter(|server| server.is_running())
}

fn killed(server: &Server) {
    server.kill().unwrap_or_else(|error| panic!("a server is not killed: {error}"));
}

/// How long something may take that is judged later.
const PATIENCE: Duration = Duration::from_secs(10);
/// A VM that has moved answers within this time.
const SOON: Duration = Duration::from_secs(1);
const SOON_ENOUGH: &str = "an answer within a second";
const NONE_LOST: &str = "none lost";
/// Echo requests of each conversation that are answered before something happens.
const WARM_UP: u32 = 20;
/// Echo requests of each conversation that are answered after it.
const AFTERWARDS: u32 = 100;
/// Echo requests by which is seen who gets them.
const ECHOES: u16 = 20;
