//! `l2gw run` on the datapath in memory, asked by its socket.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use agent::daemon::save_addresses;
use agent::start::open_store;
use agent::view::StatusView;
use l2gw::cli::client::{Client, ClientError};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nsdb::JournalPlace;

use super::meter::{self, Ended};
use super::reading::{Growth, Notes, Reading};
use super::sizes::Sizes;
use super::world::World;
use crate::lab::gateway::{program, resident_kib};

/// Start, rest, changes and end of a daemon with the world's file.
///
/// # Panics
/// It does not do what it is asked for.
pub fn measure(world: World, sizes: &Sizes) -> Vec<Reading> {
    let mut notes = Notes::at(world.ports(), "ports");
    let begun = Instant::now();
    let mut daemon = Daemon::start(world);
    daemon.wait_until_up(world.links().len());
    let started = begun.elapsed();
    notes.time("`l2gw run`, until all ports are up", started, Growth::Told);
    notes.at_most(10_000.0);
    notes.time("`l2gw run`, until all ports are up, CPU", daemon.cpu(), Growth::Whole);
    notes.time("`show status`, the first answer", daemon.first, Growth::Told);
    notes.time("`show status` until all ports are up, the slowest", daemon.take_slowest(), Growth::Told);
    notes.at_most(100.0);
    rest(&mut daemon, sizes, &mut notes);
    change(&mut daemon, world, &mut notes);
    notes.time("`show status` during plan and apply, the slowest", daemon.take_slowest(), Growth::Told);
    notes.at_most(100.0);
    notes.time("SIGTERM until gone, all ports up", daemon.end().0, Growth::Told);
    notes.at_most(2_000.0);
    for (share, when) in [(0.3, "early in"), (0.6, "in the middle of"), (0.9, "late in")] {
        let daemon = Daemon::start(world);
        sleep(started.mul_f64(share));
        notes.time(&format!("SIGTERM until gone, {when} the start"), daemon.end().0, Growth::Told);
        notes.at_most(2_000.0);
    }
    notes.done()
}

/// The end of a daemon that knows so many addresses, all of which it writes down.
///
/// # Panics
/// It does not come to know them, or they are not all there afterwards.
pub fn end_with_addresses(world: World, count: u32) -> Vec<Reading> {
    let mut notes = Notes::at(count as usize, "addresses");
    let directory = Daemon::directory();
    write_addresses(directory.path(), world, count);
    let mut daemon = Daemon::start_in(directory, world);
    daemon.wait_for_status(|status| status.addresses >= count as usize && status.settled);
    notes.note("resident memory", resident_kib(daemon.child.id()) as f64 / 1024.0, "MiB", Growth::Told);
    let (spent, directory) = daemon.end();
    notes.time("SIGTERM until gone, all addresses known", spent, Growth::Told);
    notes.at_most(2_000.0);
    let log = std::fs::read_to_string(directory.path().join("log")).expect("a log file");
    let unwritten =
        log.lines().filter(|line| line.contains("cannot be saved") || line.contains(UNWRITTEN)).count();
    notes.note(
        "complaints that addresses were not written at the end",
        unwritten as f64,
        "lines",
        Growth::Told,
    );
    notes.at_most(0.0);
    let mut next = Daemon::start_in(directory, world);
    next.wait_for_status(|status| status.addresses >= count as usize);
    notes.done()
}

/// Puts addresses where an earlier run has left them.
fn write_addresses(directory: &Path, world: World, count: u32) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let store = open_store(&directory.join("state"), None, (JournalPlace::State, PATIENCE))
            .expect("a state directory");
        save_addresses(&store, &world.saved(count)).await;
    });
}

fn rest(daemon: &mut Daemon, sizes: &Sizes, notes: &mut Notes) {
    // What the start has left to be done is done by then.
    sleep(sizes.idle);
    let (before, begun) = (daemon.cpu(), Instant::now());
    sleep(sizes.idle);
    let share = (daemon.cpu() - before).as_secs_f64() / begun.elapsed().as_secs_f64();
    notes.note("CPU when idle", share * 100.0, "%", Growth::Told);
    notes.note("resident memory", resident_kib(daemon.child.id()) as f64 / 1024.0, "MiB", Growth::Told);
}

fn change(daemon: &mut Daemon, world: World, notes: &mut Notes) {
    let planned = daemon.run("plan", &world.file_with_a_change());
    notes.time("`l2gw plan` of one changed key", planned.wall, Growth::Told);
    notes.at_most(2_000.0);
    notes.time("`l2gw plan` of one changed key, CPU of both", planned.cpu, Growth::Whole);
    let applied = daemon.run("apply", &world.file_with_a_change());
    notes.time("`l2gw apply` of one changed key, until in force", applied.wall, Growth::Told);
    notes.time("`l2gw apply` of one changed key, CPU of both", applied.cpu, Growth::Whole);
    let (before, begun) = (daemon.cpu(), Instant::now());
    let applied = daemon.run("apply", &world.file_with_more(MORE));
    daemon.wait_until_up(world.links().len() + MORE);
    notes.time(&format!("`l2gw apply` of {MORE} new ports, until up"), begun.elapsed(), Growth::Told);
    let daemons = daemon.cpu() - before;
    let own = applied.cpu.saturating_sub(applied.daemons);
    notes.time(&format!("`l2gw apply` of {MORE} new ports, CPU of both"), own + daemons, Growth::Whole);
}

/// A running daemon. Dropping it kills it.
#[derive(Debug)]
struct Daemon {
    directory: tempfile::TempDir,
    child: Child,
    /// How long the first question that was answered waited for it.
    first: Duration,
    slowest: Duration,
}

/// A verb that has ended; its CPU time with what the daemon took meanwhile.
struct Asked {
    wall: Duration,
    cpu: Duration,
    daemons: Duration,
}

impl Daemon {
    fn directory() -> tempfile::TempDir {
        tempfile::Builder::new().prefix("l2gw-scale-").tempdir().expect("a directory of its own")
    }

    fn start(world: World) -> Daemon {
        Daemon::start_in(Daemon::directory(), world)
    }

    /// With what an earlier run has left in its directory.
    fn start_in(directory: tempfile::TempDir, world: World) -> Daemon {
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("gateway.toml"), world.file()).expect("the configuration file");
        let log = File::create(path("log")).expect("a log file");
        let mut command = Command::new(program());
        command.arg("run").arg(path("gateway.toml")).args(["--host", "gw1", "--datapath", "fake"]);
        command.arg("--state").arg(path("state")).arg("--socket").arg(path("l2gw.sock"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let child = child.expect("the l2gw program");
        Daemon { directory, child, first: Duration::ZERO, slowest: Duration::ZERO }
    }

    fn wait_until_up(&mut self, ports: usize) {
        self.wait_for_status(|status| status.settled && status.ports_up == ports);
    }

    fn wait_for_status(&mut self, holds: impl Fn(&StatusView) -> bool) {
        let until = Instant::now() + PATIENCE;
        loop {
            let begun = Instant::now();
            let said = Client::new(&self.socket()).read::<StatusView>("/v1/status");
            // That it is starting is an answer.
            if matches!(said, Ok(_) | Err(ClientError::Refused { .. })) {
                self.slowest = self.slowest.max(begun.elapsed());
                if self.first.is_zero() {
                    self.first = begun.elapsed();
                }
            }
            if said.as_ref().is_ok_and(&holds) {
                return;
            }
            assert!(Instant::now() < until, "not so within {PATIENCE:?}: {said:?}\n{}", self.log());
            sleep(STEP);
        }
    }

    /// The slowest answer about its status since this was asked last.
    fn take_slowest(&mut self) -> Duration {
        std::mem::take(&mut self.slowest)
    }

    fn cpu(&self) -> Duration {
        meter::of_process(self.child.id())
    }

    /// Runs a verb with a file, and asks for the status all the while.
    fn run(&mut self, verb: &str, file: &str) -> Asked {
        let path = self.directory.path().join(format!("{verb}.toml"));
        std::fs::write(&path, file).expect("the configuration file");
        let mut command = Command::new(program());
        command.arg(verb).arg(&path).arg("--socket").arg(self.socket());
        let before = self.cpu();
        let socket = self.socket();
        let (Ended { wall, cpu }, slowest) = std::thread::scope(|scope| {
            let asked = scope.spawn(move || meter::of_program(&mut command));
            let mut slowest = Duration::ZERO;
            while !asked.is_finished() {
                let begun = Instant::now();
                if Client::new(&socket).read::<StatusView>("/v1/status").is_ok() {
                    slowest = slowest.max(begun.elapsed());
                }
                sleep(STEP);
            }
            (asked.join().expect("a verb that ends well"), slowest)
        });
        self.slowest = self.slowest.max(slowest);
        let daemons = self.cpu() - before;
        Asked { wall, cpu: cpu + daemons, daemons }
    }

    /// Ends it by SIGTERM; how long it took, and what it leaves.
    fn end(mut self) -> (Duration, tempfile::TempDir) {
        let begun = Instant::now();
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a process number"));
        kill(pid, Signal::SIGTERM).expect("a signal to our own child");
        while self.child.try_wait().expect("our own child").is_none() {
            assert!(begun.elapsed() < PATIENCE, "still there {PATIENCE:?} after SIGTERM: {}", self.log());
            sleep(Duration::from_millis(1));
        }
        let spent = begun.elapsed();
        let elsewhere = Daemon::directory();
        (spent, std::mem::replace(&mut self.directory, elsewhere))
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("l2gw.sock")
    }

    fn log(&self) -> String {
        let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        let last = log.lines().rev().take(20).collect::<Vec<_>>();
        last.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a daemon says that ends before all is written.
const UNWRITTEN: &str = "does not take the last events and addresses in time";
/// Ports that an apply adds.
const MORE: usize = 50;
const PATIENCE: Duration = Duration::from_secs(120);
const STEP: Duration = Duration::from_millis(5);
