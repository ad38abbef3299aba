//! `l2gw show status`: the whole at a glance.

use std::io::{self, Write};

use agent::revisions::Unconfirmed;
use agent::view::{FeedView, OthersView, StatusView, StoreAway, Unread};

/// Says it in lines.
pub(super) fn print(status: &StatusView, out: &mut impl Write) -> io::Result<()> {
    let StatusView { host, revision, datapath, .. } = status;
    let revision = match (revision, status.settled) {
        (0, _) => "no revision yet (`l2gw apply FILE` makes the first)".to_owned(),
        (revision, true) => format!("revision {revision}"),
        (revision, false) => format!("revision {revision} (flows are being looked over)"),
    };
    writeln!(out, "host {host}, {revision}, datapath {datapath}")?;
    if let Some(others) = &status.no_such_host {
        writeln!(out, "{host:?} is no host of this revision, nothing is forwarded; its hosts: {others}")?;
    }
    if let Some(machine) = &status.namesake {
        writeln!(
            out,
            "another process has the name {host}, on {machine}: give one of them another by --host"
        )?;
    }
    if let Some(Unread { revision, why }) = &status.unread {
        writeln!(out, "revision {revision} is not taken, the one in force stays: {why}")?;
    }
    if let Some(unconfirmed) = &status.unconfirmed {
        writeln!(out, "{}", unconfirmed_line(unconfirmed))?;
    }
    if let Some(StoreAway { seconds, why }) = &status.store_away {
        writeln!(out, "the store could not be read for {seconds} s, what is in force stays: {why}")?;
    }
    writeln!(
        out,
        "ports {} of {} up, {} addresses, {} flows",
        status.ports_up, status.ports, status.addresses, status.flows
    )?;
    match &status.others {
        Some(OthersView { hosts, no_tunnel: Some(why), .. }) => {
            writeln!(out, "other hosts: none of {hosts} is reached, there is no tunnel port: {why}")?;
        }
        Some(OthersView { hosts, heard, silent, .. }) => {
            let more = hosts.saturating_sub(*heard).saturating_sub(silent.len());
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            let silent =
                if silent.is_empty() { String::new() } else { format!(", not: {}{more}", silent.join(", ")) };
            writeln!(out, "other hosts: {heard} of {hosts} heard{silent}")?;
        }
        None => {}
    }
    if let Some(feed) = &status.feed {
        writeln!(out, "{}", feed_line(feed))?;
    }
    if status.down.is_empty() {
        return Ok(());
    }
    let more = match (status.ports - status.ports_up).saturating_sub(status.down.len()) {
        0 => String::new(),
        more => format!(" and {more} more; `l2gw show ports --down` says why"),
    };
    writeln!(out, "not up: {}{more}", status.down.join(", "))
}

/// A revision that is in force for a while only, or was.
fn unconfirmed_line(Unconfirmed { revision, seconds_left }: &Unconfirmed) -> String {
    let before = revision.saturating_sub(1);
    match seconds_left {
        Some(left) => format!(
            "revision {revision} is not confirmed: this host goes back to revision {before} in {left} s; `l2gw confirm` keeps it"
        ),
        None => format!(
            "revision {revision} was not confirmed in its time: this host has gone back to the one before"
        ),
    }
}

/// What hosts say to each other of addresses.
fn feed_line(FeedView { segments, heard, addresses, unsaid, refused }: &FeedView) -> String {
    let heard = match heard == segments {
        true => format!("{segments} shared segments"),
        false => format!("{segments} shared segments, {heard} of them heard of"),
    };
    let unsaid = match (unsaid, refused) {
        (0, _) => String::new(),
        (unsaid, None) => format!(", {unsaid} still to be told"),
        (unsaid, Some(why)) => format!(", {unsaid} cannot be told: {why}"),
    };
    format!("addresses that hosts tell each other: {addresses} on {heard}{unsaid}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is printed of a status in which `key` is `value`.
    fn status_with(key: &str, value: serde_json::Value) -> String {
        let mut status = serde_json::json!({"host": "gw1", "revision": 3, "settled": false, "datapath": "ovs",
            "ports_up": 1, "ports": 1, "down": [], "addresses": 0, "flows": 0, "outstanding": 0});
        status[key] = value;
        let mut out = Vec::new();
        print(&serde_json::from_value(status).unwrap(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_revision_in_force_is_told_and_how_far_it_is() {
        for (key, value, expected) in [
            (
                "revision",
                0.into(),
                "host gw1, no revision yet (`l2gw apply FILE` makes the first), datapath ovs",
            ),
            ("revision", 7.into(), "host gw1, revision 7 (flows are being looked over), datapath ovs"),
            ("settled", true.into(), "host gw1, revision 3, datapath ovs"),
        ] {
            assert_eq!(status_with(key, value).lines().next(), Some(expected));
        }
    }

    #[test]
    fn a_revision_that_is_not_taken_stands_in_the_status() {
        let status = |unread| status_with("unread", unread);
        assert_eq!(status(serde_json::Value::Null).lines().count(), 2);
        let said = status(serde_json::json!({"revision": 4, "why": "shard x is cut"}));
        assert_eq!(
            said.lines().nth(1),
            Some("revision 4 is not taken, the one in force stays: shard x is cut")
        );
    }

    #[test]
    fn a_revision_that_waits_for_its_confirmation_stands_in_the_status() {
        for (left, expected) in [
            (
                serde_json::json!(31),
                "revision 3 is not confirmed: this host goes back to revision 2 in 31 s; `l2gw confirm` keeps it",
            ),
            (
                serde_json::Value::Null,
                "revision 3 was not confirmed in its time: this host has gone back to the one before",
            ),
        ] {
            let said = status_with("unconfirmed", serde_json::json!({"revision": 3, "seconds_left": left}));
            assert_eq!(said.lines().nth(1), Some(expected));
        }
    }

    #[test]
    fn a_store_that_does_not_answer_stands_in_the_status() {
        let said = status_with(
            "store_away",
            serde_json::json!({"seconds": 12, "why": "none of zk1:2181 has answered"}),
        );
        assert_eq!(
            said.lines().nth(1),
            Some(
                "the store could not be read for 12 s, what is in force stays: none of zk1:2181 has answered"
            )
        );
    }

    #[test]
    fn other_hosts_stand_in_the_status_where_there_are_any() {
        let said = |others| status_with("others", others).lines().nth(2).map(str::to_owned);
        assert_eq!(said(serde_json::Value::Null), None);
        let some = serde_json::json!({"hosts": 3, "heard": 2});
        assert_eq!(said(some).as_deref(), Some("other hosts: 2 of 3 heard"));
        let silent = serde_json::json!({"hosts": 12, "heard": 2, "silent": ["cn1", "cn2"]});
        assert_eq!(said(silent).as_deref(), Some("other hosts: 2 of 12 heard, not: cn1, cn2 and 8 more"));
        let none = serde_json::json!({"hosts": 3, "heard": 0, "no_tunnel": "open VXLAN: busy"});
        let expected = "other hosts: none of 3 is reached, there is no tunnel port: open VXLAN: busy";
        assert_eq!(said(none).as_deref(), Some(expected));
    }

    #[test]
    fn a_host_that_the_revision_does_not_have_stands_in_the_status() {
        let said = status_with("no_such_host", serde_json::json!({"hosts": ["a", "b"], "more": 3}));
        assert_eq!(
            said.lines().nth(1),
            Some("\"gw1\" is no host of this revision, nothing is forwarded; its hosts: a, b and 3 more")
        );
    }
}
