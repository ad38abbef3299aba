//! `l2gw show hosts`: which hosts are there, and what they say of themselves.

use std::io::{self, Write};

use agent::hosts::{HostView, HostsView};
use agent::presence::HostWord;
use agent::view::StatusView;

use super::{Row, dash, print_columns};

/// A host beside the newest revision.
#[derive(serde::Serialize, serde::Deserialize)]
struct HostRow {
    newest: u64,
    host: HostView,
}

/// Says it in lines.
pub(super) fn print(view: HostsView, out: &mut impl Write) -> io::Result<()> {
    let HostsView { revision: newest, hosts } = view;
    let alive = hosts.iter().filter(|host| host.alive).count();
    let all = hosts.len();
    let rows: Vec<HostRow> = hosts.into_iter().map(|host| HostRow { newest, host }).collect();
    print_columns(&rows, out)?;
    let revision = match newest {
        0 => "there is no revision yet".to_owned(),
        newest => format!("the newest revision is {newest}"),
    };
    writeln!(out, "{alive} of {all} alive; {revision}")
}

impl Row for HostRow {
    const HEADINGS: &'static [&'static str] =
        &["HOST", "STATE", "REVISION", "PORTS", "ADDRESSES", "HEARD", "SINCE", "WHAT"];

    fn cells(&self) -> Vec<String> {
        let HostView { host, alive, word, .. } = &self.host;
        let state = if *alive { "alive" } else { "gone" }.to_owned();
        let what = self.what().join("; ");
        let Some(HostWord { started_ms, status, .. }) = word else {
            let none = || dash("");
            return vec![host.clone(), state, none(), none(), none(), none(), none(), what];
        };
        let heard = status.others.as_ref().map(|others| format!("{} of {}", others.heard, others.hosts));
        vec![
            host.clone(),
            state,
            status.revision.to_string(),
            format!("{} of {}", status.ports_up, status.ports),
            status.addresses.to_string(),
            heard.unwrap_or_else(|| dash("")),
            crate::cli::time::utc(*started_ms),
            what,
        ]
    }
}

impl HostRow {
    /// What is to be said of a host, the worst first.
    fn what(&self) -> Vec<String> {
        let HostView { alive, declared, word, namesake, .. } = &self.host;
        let status = word.as_ref().map(|word| &word.status);
        let unknown = !declared && self.newest > 0;
        let is_unread = *alive && word.is_none();
        let of_host = [
            namesake.as_ref().map(|machine| {
                format!(
                    "this is another process, on {machine}: the daemon that was asked has the same name, give one of them another by --host"
                )
            }),
            unknown.then(|| "the newest revision has no such host".to_owned()),
            (!alive).then(|| "no daemon of this name has a session in the store".to_owned()),
            is_unread.then(|| {
                "has said nothing that can be read: it is starting, or of another version".to_owned()
            }),
        ];
        of_host
            .into_iter()
            .flatten()
            .chain(status.into_iter().flat_map(|status| self.of_status(status)))
            .collect()
    }

    fn of_status(&self, status: &StatusView) -> Vec<String> {
        let StatusView { revision, settled, unread, unconfirmed, others, feed, down, .. } = status;
        let is_back = unconfirmed
            .as_ref()
            .is_some_and(|waits| waits.revision == self.newest && waits.seconds_left.is_none());
        let is_behind = *revision < self.newest && unread.is_none() && !is_back;
        let no_tunnel = others.as_ref().and_then(|others| others.no_tunnel.as_ref());
        let silent = others.as_ref().map(|others| others.silent.join(", ")).filter(|names| !names.is_empty());
        let refused = feed.as_ref().and_then(|feed| feed.refused.as_ref());
        let said = [
            unread
                .as_ref()
                .map(|unread| format!("revision {} is not taken: {}", unread.revision, unread.why)),
            is_back.then(|| format!("revision {} was not confirmed in its time: went back", self.newest)),
            is_behind.then(|| format!("had not revision {} when it spoke last", self.newest)),
            (!settled && *revision > 0).then(|| "flows are being looked over".to_owned()),
            no_tunnel.map(|why| format!("no tunnel port: {why}")),
            silent.filter(|_| no_tunnel.is_none()).map(|names| format!("does not hear {names}")),
            refused.map(|why| format!("its addresses cannot be told: {why}")),
            (!down.is_empty()).then(|| format!("not up: {}", down.join(", "))),
        ];
        said.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_stands_with_what_is_to_be_said_of_it() {
        let status = |host: &str, revision: u64, down: &[&str]| {
            serde_json::json!({"host": host, "revision": revision, "settled": true, "datapath": "ovs", "ports_up": 1,
                "ports": 1 + down.len(), "down": down, "addresses": 7, "flows": 0, "outstanding": 0,
                "others": {"hosts": 2, "heard": 1, "silent": ["cn9"]}})
        };
        let word =
            |status| serde_json::json!({"version": "0.1.0", "started_ms": 0, "said_ms": 5, "status": status});
        let host = |name: &str, declared: bool, word| serde_json::json!({"host": name, "alive": true, "declared": declared, "word": word});
        let mut back = status("cn4", 3, &[]);
        back["unconfirmed"] = serde_json::json!({"revision": 4, "seconds_left": null});
        let hosts = serde_json::json!([
            host("cn1", true, word(status("cn1", 4, &[]))),
            host("cn2", true, word(status("cn2", 3, &["tap1", "tap2"]))),
            host("cn3", false, serde_json::Value::Null),
            host("cn4", true, word(back)),
            {"host": "cn9", "alive": false, "declared": true},
        ]);
        let view = serde_json::json!({"revision": 4, "hosts": hosts});
        let mut out = Vec::new();
        print(serde_json::from_value(view).unwrap(), &mut out).unwrap();
        let said = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = said.lines().collect();
        let start = "1970-01-01T00:00:00.000Z";
        assert_eq!(
            lines[0],
            format!("HOST  STATE  REVISION  PORTS   ADDRESSES  HEARD   {:24}  WHAT", "SINCE")
        );
        assert_eq!(
            lines[1],
            format!("cn1   alive  4         1 of 1  7          1 of 2  {start}  does not hear cn9")
        );
        let what = "had not revision 4 when it spoke last; does not hear cn9; not up: tap1, tap2";
        assert_eq!(lines[2], format!("cn2   alive  3         1 of 3  7          1 of 2  {start}  {what}"));
        assert!(lines[3].ends_with(
            "the newest revision has no such host; has said nothing that can be read: it is starting, or of another version"
        ));
        assert!(lines[4].ends_with("revision 4 was not confirmed in its time: went back; does not hear cn9"));
        assert!(lines[5].starts_with("cn9   gone   -"), "{}", lines[5]);
        assert_eq!(lines[6], "4 of 5 alive; the newest revision is 4");
    }
}
