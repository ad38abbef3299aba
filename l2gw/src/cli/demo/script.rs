//! What the demo tries, and what is expected of it.

use std::io::{self, Write};

use serde::Serialize;

use super::echo::{Losses, is_answered};
use super::network::Network;
use super::program::{LabError, Running};

/// Why the script stopped before its end.
pub(super) enum Trouble {
    /// The story cannot be written.
    Write(io::Error),
    /// The demo's own setting failed.
    Lab(LabError),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Write(error)
    }
}

impl From<LabError> for Trouble {
    fn from(error: LabError) -> Trouble {
        Trouble::Lab(error)
    }
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// What was tried.
    pub what: String,
    /// What a gateway should do.
    pub expected: String,
    /// What this one did.
    pub got: String,
    /// Whether that is the same.
    pub ok: bool,
}

/// Plays the demo and keeps the score.
pub(super) struct Script<'a> {
    out: &'a mut dyn Write,
    checks: Vec<Check>,
}

impl<'a> Script<'a> {
    /// Nothing tried yet.
    pub(super) fn new(out: &'a mut dyn Write) -> Script<'a> {
        Script { out, checks: Vec::new() }
    }

    /// What was tried so far.
    pub(super) fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Plays all of it.
    ///
    /// # Errors
    /// The story cannot be written, or the setting failed.
    pub(super) fn play(&mut self, network: &Network) -> Result<(), Trouble> {
        self.say("$ l2gw run gateway.toml --host gw1 &")?;
        let mut daemon = network.start_daemon()?;
        self.show(network, &["show", "status"])?;
        self.reach(network)?;
        self.keep_apart(network)?;
        self.look(network)?;
        self.survive(network, &mut daemon)?;
        Ok(())
    }

    /// Prints a line at once, so that its reader can follow.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn say(&mut self, line: &str) -> Result<(), Trouble> {
        writeln!(self.out, "{line}")?;
        Ok(self.out.flush()?)
    }

    fn reach(&mut self, network: &Network) -> Result<(), Trouble> {
        self.say("\nWithin a VLAN, between physical and virtual, both ways:")?;
        for (from, to, address) in [
            ("phys5", "vm5", "10.0.0.25"),
            ("vm5", "phys5", "10.0.0.15"),
            ("phys8", "vm8", "10.0.0.28"),
            ("vm8", "phys8", "10.0.0.18"),
        ] {
            let is_reached = is_answered(&network.ns(from), address, TRIES)?;
            self.judge(format!("{from} pings {to} ({address})"), ANSWER, answer(is_reached))?;
        }
        Ok(())
    }

    fn keep_apart(&mut self, network: &Network) -> Result<(), Trouble> {
        self.say("\nBetween VLANs, though all four are in one IP network:")?;
        for (from, to, address) in [
            ("phys5", "vm8", "10.0.0.28"),
            ("phys8", "vm5", "10.0.0.25"),
            ("vm5", "vm8", "10.0.0.28"),
            ("vm8", "phys5", "10.0.0.15"),
        ] {
            let is_reached = is_answered(&network.ns(from), address, 1)?;
            self.judge(format!("{from} pings {to} ({address})"), NO_ANSWER, answer(is_reached))?;
        }
        Ok(())
    }

    fn look(&mut self, network: &Network) -> Result<(), Trouble> {
        for subject in ["ports", "trunks", "macs", "flows", "counters"] {
            self.show(network, &["show", subject])?;
        }
        self.say("\nWhere the addresses are:")?;
        let macs = network.l2gw(&["show", "macs", "--json"])?;
        let known: Vec<agent::view::MacView> = serde_json::from_str(&macs).unwrap_or_default();
        for (machine, place) in [
            ("phys5", "dc1 VLAN 5, trunks of rack1"),
            ("phys8", "dc1 VLAN 8, trunks of rack1"),
            ("vm5", "vub5, vm5"),
            ("vm8", "vub8, vm8"),
        ] {
            let mac = network.mac(machine)?;
            let places: Vec<String> =
                known.iter().filter(|entry| entry.mac.to_string() == mac).map(place_of).collect();
            self.judge(format!("{machine} ({mac})"), place, &places.join(" and "))?;
        }
        let frame = network.frame("phys8", "vm8", 8)?;
        self.show(network, &["trace", "--port", "leaf1", "--frame", &frame])
    }

    fn survive(&mut self, network: &Network, daemon: &mut Running) -> Result<(), Trouble> {
        self.say("\nThe kernel forwards without the daemon; phys8 pings vm8 every 10 ms:")?;
        let killed = Losses::count(&network.ns("phys8"), "10.0.0.28", || {
            daemon.kill();
            Ok(())
        })?;
        self.judge_losses("the daemon is killed by kill -9", killed)?;
        let started = Losses::count(&network.ns("phys8"), "10.0.0.28", || {
            *daemon = network.start_daemon()?;
            Ok(())
        })?;
        self.judge_losses("it is started again", started)?;
        let is_reached = is_answered(&network.ns("vm5"), "10.0.0.15", TRIES)?;
        self.judge("vm5 pings phys5 (10.0.0.15) by the new daemon".to_owned(), ANSWER, answer(is_reached))?;
        self.show(network, &["show", "status"])?;
        self.say("")
    }

    /// Runs a verb of this program, and shows it as its reader would type it.
    fn show(&mut self, network: &Network, words: &[&str]) -> Result<(), Trouble> {
        let said = network.l2gw(words)?;
        self.say(&format!("\n$ l2gw {}\n{}", words.join(" "), said.trim_end()))
    }

    fn judge_losses(&mut self, event: &str, losses: Losses) -> Result<(), Trouble> {
        let lost = match losses.lost() {
            0 => NONE_LOST.to_owned(),
            lost => format!("{lost} lost"),
        };
        self.judge(format!("{} echo requests while {event}", losses.sent), NONE_LOST, &lost)
    }

    fn judge(&mut self, what: String, expected: &str, got: &str) -> Result<(), Trouble> {
        let check = Check { ok: expected == got, what, expected: expected.to_owned(), got: got.to_owned() };
        let mark = if check.ok { "as expected".to_owned() } else { format!("NOT AS EXPECTED: {expected}") };
        let line = format!("  {}: {got}  [{mark}]", check.what);
        self.checks.push(check);
        self.say(&line)
    }
}

/// `trunks of rack1` on a trunk's bridge, the port on a VM's.
fn place_of(entry: &agent::view::MacView) -> String {
    let vlan = entry.vid.map(|vid| format!(" VLAN {vid}")).unwrap_or_default();
    format!("{}{vlan}, {}", entry.bridge, entry.location)
}

fn answer(is_reached: bool) -> &'static str {
    if is_reached { ANSWER } else { NO_ANSWER }
}

const ANSWER: &str = "an answer";
const NO_ANSWER: &str = "no answer";
const NONE_LOST: &str = "none lost";
/// Echo requests sent, one after the other, until one is answered: addresses are resolved first.
const TRIES: u32 = 3;
