//! What many hosts cost an ensemble, and how long news takes to all of them: the product's client, backends and tasks of so many hosts in one
//! process, on a real ensemble of three servers. Their engines and datapaths are left out: one engine answers for all.

pub mod remote;

use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::absent;
use agent::door::{Door, Proposal};
use agent::engine::{Engine, Settings};
use agent::feed::{FeedAsks, asks, keep_feed};
use agent::input::{FeedNews, Input};
use agent::presence::{self, Pace};
use agent::runtime::Request;
use agent::topology::{self, Built};
use l2gw::config::{StoreSaid, parse_as};
use nsdb::zookeeper::{Coordinator, ZooKeeperSettings, make};
use nsdb::{
    AddressFeed, AddressKey, AddressRecord, HostId, Mac, Mobility, Presence, SegmentId, Sessions, Store,
    StoreConfig, StorePlace,
};
use servers::{Ensemble, Options};
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use super::scale::meter::of_process;
use super::scale::reading::{Growth, Notes, Reading};
use crate::lab::gateway::resident_kib;

/// A host of the fleet.
struct Member {
    store: Arc<Store>,
    news: mpsc::Receiver<Input>,
    _feed: FeedAsks,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

/// A fleet of so many hosts, and what it runs on.
struct Fleet {
    ensemble: Ensemble,
    settings: ZooKeeperSettings,
    /// Who publishes, and says addresses.
    gateway: Arc<Store>,
    door: Door,
    vni: u32,
    members: Vec<Member>,
    notes: Notes,
}

/// Measures a fleet of so many hosts; `idle` is how long nothing happens.
///
/// # Errors
/// There are no servers, or news does not arrive.
pub async fn measure(hosts: usize, idle: Duration) -> Result<Vec<Reading>, String> {
    let mut fleet = Fleet::prepare(hosts).await?;
    fleet.start().await?;
    fleet.rest(idle).await;
    fleet.hear_of_an_address().await?;
    fleet.take_a_revision().await?;
    fleet.come_back().await?;
    Ok(fleet.notes.done())
}

impl Fleet {
    /// The ensemble and the first revision; no host yet.
    async fn prepare(hosts: usize) -> Result<Fleet, String> {
        let sessions = (Duration::from_secs(4), Duration::from_secs(40));
        let options = Options::three().heap_mib(HEAP_MIB).sessions(sessions.0, sessions.1);
        let ensemble = Ensemble::start(options).map_err(|error| error.to_string())?;
        let servers: Vec<String> = ensemble.connection_string().split(',').map(str::to_owned).collect();
        let settings = ZooKeeperSettings::new(servers, "/fleet", "this machine");
        let maker = Coordinator::open(settings.clone());
        make(&maker, None).await.map_err(|error| error.to_string())?;
        maker.close().await;
        let gateway = open(&settings)?;
        let door = Door::of_no_host(Arc::clone(&gateway));
        publish(&door, hosts, 0).await?;
        let vni = vni_of(&gateway).await?;
        let (members, notes) = (Vec::with_capacity(hosts), Notes::at(hosts, "hosts"));
        Ok(Fleet { ensemble, settings, gateway, door, vni, members, notes })
    }

    /// Starts all hosts at once.
    async fn start(&mut self) -> Result<(), String> {
        let hosts = self.members.capacity();
        let memory = || (resident_kib(std::process::id()), servers_kib(&self.ensemble));
        let (own_before, servers_before) = memory();
        let (cpu, began) = (of_process(std::process::id()), Instant::now());
        let requests = answering();
        for number in 0..hosts {
            self.members.push(Member::start(number, self.vni, &self.settings, requests.clone())?);
        }
        everyone(&mut self.members, |input| matches!(input, Input::Topology { revision: 1, .. })).await?;
        let (wall, cpu) = (began.elapsed(), of_process(std::process::id()) - cpu);
        // All have their sessions, and have said what they are.
        tokio::time::sleep(SETTLING).await;
        let (calls, bytes) = costs(&self.members);
        let memory = || (resident_kib(std::process::id()), servers_kib(&self.ensemble));
        let (own, servers) = memory();
        let each = |after: u64, before: u64| after.saturating_sub(before) as f64 / hosts as f64;
        let notes = &mut self.notes;
        notes.time("start: until all have the revision", wall, Growth::Told);
        notes.time("start: processor time of a host", cpu / hosts as u32, Growth::Told);
        notes.note("start: calls of a host", calls, "calls", Growth::Told);
        notes.note("start: bytes that a host reads", bytes, "bytes", Growth::Told);
        notes.note(
            "memory of a host (client, backends and tasks)",
            each(own, own_before),
            "KiB",
            Growth::Told,
        );
        notes.note("memory of three servers for a host", each(servers, servers_before), "KiB", Growth::Told);
        Ok(())
    }

    /// Nothing happens.
    async fn rest(&mut self, idle: Duration) {
        let hosts = self.members.len() as u32;
        let ((before, _), cpu) = (costs(&self.members), of_process(std::process::id()));
        let watches = self.members.iter().map(|member| watches_of(&member.store)).sum::<u64>();
        tokio::time::sleep(idle).await;
        let ((after, _), cpu) = (costs(&self.members), of_process(std::process::id()) - cpu);
        let minute = 60.0 / idle.as_secs_f64();
        self.notes.note(
            "idle: calls of a host in a minute",
            (after - before) * minute,
            "calls",
            Growth::Told,
        );
        let share = cpu.as_secs_f64() / idle.as_secs_f64() * 100.0;
        self.notes.note("idle: processor time of all hosts", share, "% of one CPU", Growth::Told);
        self.notes.note(
            "watches that a host has left by then",
            watches as f64 / f64::from(hosts),
            "watches",
            Growth::Told,
        );
    }

    /// One address moves. The first word makes the segment's log, which is not what is measured.
    async fn hear_of_an_address(&mut self) -> Result<(), String> {
        say_and_wait(&self.gateway, &mut self.members, self.vni, 1).await?;
        tokio::time::sleep(AWAY).await;
        let (before, _) = costs(&self.members);
        let (half, all) = say_and_wait(&self.gateway, &mut self.members, self.vni, 2).await?;
        let (after, _) = costs(&self.members);
        self.notes.time("an address: until half have heard", half, Growth::Told);
        self.notes.time("an address: until all have heard", all, Growth::Told);
        self.notes.note("an address: calls of a host", after - before, "calls", Growth::Told);
        Ok(())
    }

    /// One host gets one more port.
    async fn take_a_revision(&mut self) -> Result<(), String> {
        let hosts = self.members.len();
        let (calls, bytes) = costs(&self.members);
        let (cpu, began) = (of_process(std::process::id()), Instant::now());
        publish(&self.door, hosts, 1).await?;
        let published = began.elapsed();
        let is_it = |input: &Input| matches!(input, Input::Topology { revision: 2, .. });
        let times = everyone(&mut self.members, is_it).await?;
        let since = |at: Option<&Instant>| at.map_or(Duration::ZERO, |at| at.duration_since(began));
        let cpu = (of_process(std::process::id()) - cpu) / hosts as u32;
        let (calls, bytes) = (costs(&self.members).0 - calls, costs(&self.members).1 - bytes);
        let notes = &mut self.notes;
        notes.time("a revision: until it is published", published, Growth::Told);
        notes.time("a revision: until half have it", since(times.get(hosts / 2)), Growth::Told);
        notes.time("a revision: until all have it", since(times.last()), Growth::Told);
        notes.time("a revision: processor time of a host", cpu, Growth::Told);
        notes.note("a revision: calls of a host", calls, "calls", Growth::Told);
        notes.note("a revision: bytes that a host reads", bytes, "bytes", Growth::Told);
        Ok(())
    }

    /// All servers are killed, and start again a moment later.
    async fn come_back(&mut self) -> Result<(), String> {
        for server in self.ensemble.servers() {
            server.kill().map_err(|error| error.to_string())?;
        }
        tokio::time::sleep(AWAY).await;
        for server in self.ensemble.servers() {
            server.restart().map_err(|error| error.to_string())?;
        }
        let began = Instant::now();
        say_and_wait(&self.gateway, &mut self.members, self.vni, 3).await?;
        self.notes.time(
            "servers are back: until all have heard of an address",
            began.elapsed(),
            Growth::Told,
        );
        tokio::time::sleep(SETTLING).await;
        let sessions = self.gateway.sessions().await.map_err(|error| error.to_string())?.len();
        self.notes.note("sessions open then", sessions as f64, "sessions", Growth::Told);
        match sessions == self.members.len() {
            true => Ok(()),
            false => Err(format!("{sessions} of {} hosts have a session", self.members.len())),
        }
    }
}

impl Member {
    fn start(
        number: usize,
        vni: u32,
        settings: &ZooKeeperSettings,
        requests: mpsc::Sender<Request>,
    ) -> Result<Member, String> {
        let store = open(settings)?;
        let (arrivals, news) = mpsc::channel(64);
        let (feed, asked) = asks();
        feed.follow.send_replace(vec![vni]);
        let host = name(number);
        let mut tasks: Vec<_> = keep_feed(&store, asked, &arrivals).into();
        let follow = topology::follow(Arc::clone(&store), host.clone(), Built::default(), arrivals.clone());
        let (session, held) = watch::channel(None);
        let looks = absent::Ends { session: held, requests: requests.clone(), arrivals: arrivals.clone() };
        let absent = absent::keep(Arc::clone(&store), absent::LOOK_EVERY, looks);
        let ends = presence::Ends { requests, arrivals, session };
        let present = presence::keep(Arc::clone(&store), host, Pace::default(), Built::default(), ends);
        let spawned = [tokio::spawn(follow), tokio::spawn(present), tokio::spawn(absent)];
        tasks.extend(spawned.map(AbortOnDropHandle::new));
        Ok(Member { store, news, _feed: feed, _tasks: tasks })
    }

    /// Waits for an input, and says when it came.
    async fn wait_for(&mut self, is_it: &impl Fn(&Input) -> bool) -> Result<Instant, String> {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            match tokio::time::timeout_at(until, self.news.recv()).await {
                Ok(Some(input)) if is_it(&input) => return Ok(Instant::now()),
                Ok(Some(_)) => {}
                Ok(None) => return Err("a host's tasks have ended".to_owned()),
                Err(_) => return Err(format!("a host has not heard it within {} s", PATIENCE.as_secs())),
            }
        }
    }
}

fn open(settings: &ZooKeeperSettings) -> Result<Arc<Store>, String> {
    let config =
        StoreConfig { documents: StorePlace::Ensemble(settings.clone()), ..StoreConfig::in_memory() };
    Store::open(config).map(Arc::new).map_err(|error| error.to_string())
}

/// Waits until every host has had such an input; when each had it, in order.
async fn everyone(
    fleet: &mut [Member],
    is_it: impl Fn(&Input) -> bool + Sync,
) -> Result<Vec<Instant>, String> {
    let each = fleet.iter_mut().map(|member| member.wait_for(&is_it));
    let mut times = futures::future::try_join_all(each).await?;
    times.sort_unstable();
    Ok(times)
}

/// Says that an address moved, and waits until all have heard; half of them, and all.
async fn say_and_wait(
    gateway: &Store,
    fleet: &mut [Member],
    vni: u32,
    number: u64,
) -> Result<(Duration, Duration), String> {
    let key = AddressKey { segment: SegmentId(vni.into()), inner: 0, mac: Mac([2, 0, 0, 0, 0, 9]) };
    let (owner, mobility, presence) = (HostId(1), Mobility(number), Presence::Present);
    let record = AddressRecord { key, owner, mobility, session: 1, number, by: vni, presence };
    let began = Instant::now();
    let saying = async {
        while let Err(error) = gateway.announce(owner, vec![record]).await {
            if began.elapsed() > PATIENCE {
                return Err(format!("an address cannot be said: {error}"));
            }
        }
        Ok(())
    };
    let is_it = |input: &Input| match input {
        Input::Feed(FeedNews::Words(words) | FeedNews::Snapshot { records: words, .. }) => {
            words.contains(&record)
        }
        _ => false,
    };
    let (said, times) = tokio::join!(saying, everyone(fleet, is_it));
    said?;
    let times = times?;
    let since = |at: Option<&Instant>| at.map_or(Duration::ZERO, |at| at.duration_since(began));
    Ok((since(times.get(times.len() / 2)), since(times.last())))
}

/// Calls, and bytes read, of each host so far.
fn costs(fleet: &[Member]) -> (f64, f64) {
    let all = |of: &dyn Fn(&Store) -> u64| fleet.iter().map(|member| of(&member.store)).sum::<u64>();
    let count = |counts: &[(&str, u64)], names: &[&str]| {
        counts.iter().filter(|(name, _)| names.contains(name)).map(|(_, count)| count).sum::<u64>()
    };
    let costs =
        |store: &Store| store.ensemble().map(|ensemble| (ensemble.costs().calls(), ensemble.costs().bytes()));
    let calls = all(&|store| costs(store).map_or(0, |(calls, _)| count(&calls, &["read", "write"])));
    let bytes = all(&|store| costs(store).map_or(0, |(_, bytes)| count(&bytes, &["read"])));
    (calls as f64 / fleet.len() as f64, bytes as f64 / fleet.len() as f64)
}

/// How often a watch was left.
fn watches_of(store: &Store) -> u64 {
    let calls = store.ensemble().map(|ensemble| ensemble.costs().calls());
    calls.iter().flatten().filter(|(name, _)| *name == "watch").map(|(_, count)| count).sum()
}

fn servers_kib(ensemble: &Ensemble) -> u64 {
    ensemble.servers().iter().filter_map(|server| server.pid()).map(resident_kib).sum()
}

/// Answers for the engines of all hosts.
fn answering() -> mpsc::Sender<Request> {
    let (requests, mut asked) = mpsc::channel(256);
    tokio::spawn(async move {
        let engine = Engine::new(Settings::new("gw1"));
        while let Some(request) = asked.recv().await {
            if let Request::Look(look) = request {
                look(&engine, vlan::time::Instant::ZERO);
            }
        }
    });
    requests
}

fn name(number: usize) -> String {
    format!("cn{number}")
}

/// One segment with a port on each host; the first has `more` of them.
async fn publish(door: &Door, hosts: usize, more: usize) -> Result<(), String> {
    let mut text = "[bridges.vub8]\nkind = \"vlan-unaware\"\n".to_owned();
    for number in 0..hosts {
        let (host, [a, b]) = (name(number), [number / 250, number % 250]);
        text += &format!("[hosts.{host}]\nunderlay = \"10.0.{a}.{}\"\n", b + 1);
        for port in 0..=(if number == 0 { more } else { 0 }) {
            let port = format!("vm{number}-{port}");
            text += &format!(
                "[[ports]]\nname = \"{port}\"\nbridge = \"vub8\"\nhost = \"{host}\"\nlink = \"{port}\"\n"
            );
        }
    }
    let config =
        parse_as("fleet.toml", &text, StoreSaid::Elsewhere).map_err(|problems| problems.to_string())?;
    let proposal = Proposal::new(&config.description, "bench-agents", "");
    door.publish(proposal).await.map(drop).map_err(|error| error.to_string())
}

/// The number of the segment.
async fn vni_of(store: &Store) -> Result<u32, String> {
    let newest = topology::newest(store).await.map_err(|error| error.to_string())?;
    let numbers = newest.and_then(|newest| newest.stored.ok()?.numbers);
    let vni = numbers.and_then(|numbers| numbers.segments.values().next().copied());
    vni.ok_or_else(|| "the segment has no number".to_owned())
}

/// Heap of each server, in MiB.
const HEAP_MIB: u32 = 512;
/// Until sessions are open and what goes with a start is over.
const SETTLING: Duration = Duration::from_secs(15);
/// How long the servers are gone: less than a session lives.
const AWAY: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(240);
