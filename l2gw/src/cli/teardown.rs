//! `l2gw teardown`: removes a kernel datapath that an earlier run left in force. It needs no file and no running daemon.

use std::io::{self, Write};

use agent::daemon::DaemonError;
use agent::start::{self, Removed};
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
        Err(DaemonError::Datapath(refusal)) if refusal.cause.name() == UNSUPPORTED => (None, false),
        Err(error) => {
            say(&error, err)?;
            return Ok(FAILED);
        }
    };
    if json {
        let links = removed.as_ref().map(|removed| removed.links.as_slice()).unwrap_or_default();
        let flows = removed.as_ref().map_or(0, |removed| removed.flows);
        let told = serde_json::json!({"datapath": device, "removed": removed.is_some(), "links": links, "flows": flows});
        writeln!(out, "{told}")?;
    } else {
        let why = if has_switch { "" } else { "the kernel has no openvswitch, so " };
        // Whoever gave the links their names.
        writeln!(out, "{why}{}", printable(&words(device, removed.as_ref())))?;
    }
    Ok(DONE)
}

fn words(device: &str, removed: Option<&Removed>) -> String {
    let Some(Removed { links, flows }) = removed else {
        return format!("there is no datapath {device}: nothing to remove");
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
    format!("datapath {device} is removed with {flows}; {free}")
}

/// The name of the cause for which nothing can be asked of openvswitch.ko at all.
const UNSUPPORTED: &str = "unsupported";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_is_told_by_name_and_number() {
        let removed =
            |links: &[&str], flows| Removed { links: links.iter().map(|l| (*l).to_owned()).collect(), flows };
        for (removed, said) in [
            (None, "there is no datapath gw: nothing to remove"),
            (Some(removed(&[], 0)), "datapath gw is removed with no flow; it had no links"),
            (Some(removed(&["eth2"], 1)), "datapath gw is removed with 1 flow; its link is free again: eth2"),
            (
                Some(removed(&["eth2", "tap1"], 7)),
                "datapath gw is removed with 7 flows; its 2 links are free again: eth2, tap1",
            ),
        ] {
            assert_eq!(words("gw", removed.as_ref()), said);
        }
    }
}
