//! What an agent holds in memory that knows many addresses of another host: the program itself, on a datapath in memory.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use agent::view::StatusView;
use l2gw::cli::client::Client;
use nsdb::{AddressFeed, AddressKey, AddressRecord, HostId, Mac, Mobility, Presence, SegmentId};

use super::{Fleet, PATIENCE};
use crate::bench::scale::reading::{Growth, Notes, Reading};
use crate::lab::gateway::resident_kib;

/// Starts an agent, has another host say that it has so many addresses, and reads its memory before and after.
///
/// # Errors
/// There are no servers, or the agent does not come to know them.
pub async fn measure(addresses: u32) -> Result<Vec<Reading>, String> {
    let fleet = Fleet::prepare(2).await?;
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let agent = Agent::start(directory.path(), &fleet)?;
    let is_there = |status: &StatusView| status.revision == 1 && status.settled;
    agent.wait_for(is_there).await?;
    let before = resident_kib(agent.0.id());
    let began = Instant::now();
    for first in (0..addresses).step_by(WORDS_AT_ONCE) {
        let numbers = first..addresses.min(first + WORDS_AT_ONCE as u32);
        let words = numbers.map(|number| word(fleet.vni, number)).collect();
        fleet.gateway.announce(OTHER, words).await.map_err(|error| error.to_string())?;
    }
    agent.wait_for(|status| status.addresses >= addresses as usize).await?;
    let mut notes = Notes::at(addresses as usize, "remote addresses");
    notes.time("until an agent knows them", began.elapsed(), Growth::Told);
    // What they needed on their way goes back to the machine; what is asked for is what they take as long as they are there.
    tokio::time::sleep(ON_THEIR_WAY).await;
    notes.note("memory of an agent before", before as f64, "KiB", Growth::Told);
    notes.note("memory of an agent with them", resident_kib(agent.0.id()) as f64, "KiB", Growth::Told);
    notes.at_most(AIM_KIB);
    Ok(notes.done())
}

/// A running agent, which ends with this.
struct Agent(Child, Client);

impl Agent {
    fn start(directory: &Path, fleet: &Fleet) -> Result<Agent, String> {
        let program =
            std::env::current_exe().map_err(|error| error.to_string())?.with_file_name("l2gw-agent");
        let (socket, file) = (directory.join("l2gw.sock"), directory.join("agent.toml"));
        let state = format!("[nsdb]\npath = {:?}\n", directory.join("state"));
        std::fs::write(&file, state).map_err(|error| error.to_string())?;
        let mut command = Command::new(&program);
        command.args(["--host", &super::name(0), "--datapath", "fake", "--nsdb"]);
        command.arg(format!("zookeeper:{}/fleet", fleet.ensemble.connection_string()));
        command.arg("--config").arg(&file).arg("--socket").arg(&socket).stderr(Stdio::null());
        let child = command.spawn().map_err(|error| format!("{}: {error}", program.display()))?;
        Ok(Agent(child, Client::new(&socket)))
    }

    async fn wait_for(&self, is_so: impl Fn(&StatusView) -> bool) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let client = self.1.clone();
            let read = tokio::task::spawn_blocking(move || client.read::<StatusView>("/v1/status")).await;
            match read.map_err(|error| error.to_string())? {
                Ok(status) if is_so(&status) => return Ok(()),
                Err(error) if began.elapsed() > PATIENCE => return Err(error.to_string()),
                Ok(status) if began.elapsed() > PATIENCE => return Err(format!("the agent says {status:?}")),
                _ => tokio::time::sleep(STEP).await,
            }
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn word(vni: u32, number: u32) -> AddressRecord {
    let [a, b, c, d] = number.to_be_bytes();
    let key = AddressKey { segment: SegmentId(vni.into()), inner: 0, mac: Mac([2, 0, a, b, c, d]) };
    let (mobility, number) = (Mobility(1), u64::from(number) + 1);
    AddressRecord { key, owner: OTHER, mobility, session: 1, number, by: vni, presence: Presence::Present }
}

/// The host that has them: the second that was published.
const OTHER: HostId = HostId(2);
/// As an engine says them.
const WORDS_AT_ONCE: usize = 1_024;
/// The aim of issue 12: 60 MiB.
const AIM_KIB: f64 = 60.0 * 1024.0;
const ON_THEIR_WAY: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(50);
