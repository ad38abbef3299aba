//! `l2gw teardown`: removes a kernel datapath that an earlier run left in force. It needs no file and no running daemon.

use std::io::{self, Write};

use agent::daemon::DaemonError;
use agent::start::{self, Held, Removed};
use vlan::model::shown::printable;

use crate::cli::failure::say;
use crate::cli::{DONE, FAILED};

/// Removes the datapath `device` with its ports, flows and meters, and says what it was; none is no error.
///
/// # Errors
/// The answer cannot be written.
pub fn teardown(device: &str, json: bool, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    let (removed, has_switch) = match start::teardown(device) {
        Ok(removed) => (removed, true),
        // A kernel without openvswitch.ko has no datapath of it.
        Err(DaemonError::Datapath(refusal)) if refusal.cause.name() == UNSUPPORTED => {
            (Removed::default(), false)
        }
        Err(error) => {
            say(&error, err)?;
            return Ok(FAILED);
        }
    };
    if json {
        let Removed { datapath, tunnel } = removed;
        let is_removed = datapath.is_some();
        let Held { links, flows } = datapath.unwrap_or_default();
        let told = serde_json::json!({
            "datapath": device, "removed": is_removed, "links": links, "flows": flows, "tunnel": tunnel,
        });
        writeln!(out, "{told}")?;
    } else {
        let why = if has_switch { "" } else { "the kernel has no openvswitch, so " };
        // Whoever gave the links their names.
        writeln!(out, "{why}{}", printable(&words(device, &removed)))?;
    }
    Ok(DONE)
}

fn words(device: &str, removed: &Removed) -> String {
    let Removed { datapath, tunnel } = removed;
    let Some(Held { links, flows }) = datapath else {
        return match tunnel {
            None => format!("there is no datapath {device}: nothing to remove"),
            Some(tunnel) => {
                format!("there is no datapath {device}; the tunnel device {tunnel} that it left is removed")
            }
        };
    };
    let free = match links.as_slice() {
        [] => "it had no links".to_owned(),
        [link] => format!("its link is free again: {link}"),
        links => format!("its {} links are free again: {}", links.len(), links.join(", ")),
    };
    let flows = match flows {
        0 => "no flow".to_owned(),
        1 => "1 flow".to_owned(),
        flows => format!("{flows} flows"),
    };
    let tunnel =
        tunnel.as_ref().map(|tunnel| format!("; its tunnel device {tunnel} is removed")).unwrap_or_default();
    format!("datapath {device} is removed with {flows}; {free}{tunnel}")
}

/// The name of the cause for which nothing can be asked of openvswitch.ko at all.
const UNSUPPORTED: &str = "unsupported";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_is_told_by_name_and_number() {
        let held =
            |links: &[&str], flows| Held { links: links.iter().map(|l| (*l).to_owned()).collect(), flows };
        let removed = |links: &[&str], flows| Removed { datapath: Some(held(links, flows)), tunnel: None };
        let tunnel = Some("vx-gw".to_owned());
        for (removed, said) in [
            (Removed::default(), "there is no datapath gw: nothing to remove"),
            (
                Removed { datapath: None, tunnel: tunnel.clone() },
                "there is no datapath gw; the tunnel device vx-gw that it left is removed",
            ),
            (removed(&[], 0), "datapath gw is removed with no flow; it had no links"),
            (
                Removed { tunnel, ..removed(&[], 1) },
                "datapath gw is removed with 1 flow; it had no links; its tunnel device vx-gw is removed",
            ),
            (removed(&["eth2"], 1), "datapath gw is removed with 1 flow; its link is free again: eth2"),
            (
                removed(&["eth2", "tap1"], 7),
                "datapath gw is removed with 7 flows; its 2 links are free again: eth2, tap1",
            ),
        ] {
            assert_eq!(words("gw", &removed), said);
        }
    }
}
