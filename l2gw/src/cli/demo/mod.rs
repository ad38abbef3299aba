//! `l2gw demo`: a physical switch, two physical machines, two VMs and this gateway, all in network namespaces of this machine; every
//! claim is tried before your eyes.

mod echo;
mod network;
mod program;
mod script;

use std::io::{self, Write};

use serde::Serialize;

use crate::cli::{DONE, FAILED};
use network::Network;
use script::{Check, Script, Trouble};

#[derive(Serialize)]
struct Report<'a> {
    checks: &'a [Check],
    as_expected: usize,
    of: usize,
}

/// Runs the demo and says what came as expected; with `json` only that, as one object.
///
/// # Errors
/// The story cannot be written.
pub fn demo(json: bool, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    let mut nowhere = io::sink();
    let story: &mut dyn Write = if json { &mut nowhere } else { out };
    let mut script = Script::new(story);
    let played = play(&mut script);
    let checks = script.checks().to_vec();
    match played {
        Ok(()) => {}
        Err(Trouble::Write(error)) => return Err(error),
        Err(Trouble::Lab(error)) => {
            out.flush()?;
            writeln!(err, "l2gw: demo: {error}")?;
            writeln!(err, "{NEEDS}")?;
            return Ok(FAILED);
        }
    }
    let as_expected = checks.iter().filter(|check| check.ok).count();
    let report = Report { checks: &checks, as_expected, of: checks.len() };
    if json {
        serde_json::to_writer_pretty(&mut *out, &report)?;
        writeln!(out)?;
    } else {
        writeln!(out, "demo: {} of {} as expected", report.as_expected, report.of)?;
    }
    Ok(if report.as_expected == report.of { DONE } else { FAILED })
}

fn play(script: &mut Script<'_>) -> Result<(), Trouble> {
    script.say(network::PICTURE)?;
    let network = Network::build()?;
    script.play(&network)
}

const NEEDS: &str = "l2gw: demo: it needs root, iproute2, ping and a kernel with openvswitch.ko and VLAN filtering; \
                     `make demo` sets up what is missing and boots such a kernel where this one is none";
