//! What is installed beside the programs: the systemd units and the hook for libvirt.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

mod hook;

/// `Key=value` lines of a unit's sections, in order.
fn directives(unit: &str) -> Vec<(String, String)> {
    let path = root().join("docs/operations").join(unit);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    lines.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Both daemons are one engine: what is allowed to the one is needed by the other.
#[test]
fn the_units_differ_in_what_is_run_and_in_nothing_else() {
    let own = ["Description", "Conflicts", "ExecStart", "ExecReload"];
    let shared = |unit: &str| -> Vec<(String, String)> {
        directives(unit).into_iter().filter(|(key, _)| !own.contains(&key.as_str())).collect()
    };
    let gateway = shared("l2gw.service");
    assert_eq!(gateway, shared("l2gw-agent.service"));
    assert!(gateway.len() > 30, "{gateway:?}");
}

#[test]
fn the_units_allow_what_the_daemons_do_and_restrict_the_rest() {
    let all = directives("l2gw.service");
    let values = |key: &str| -> Vec<&str> {
        all.iter().filter(|(name, _)| name == key).map(|(_, value)| value.as_str()).collect()
    };
    assert_eq!(values("Type"), ["notify"]);
    assert_eq!(values("WatchdogSec"), ["30s"]);
    assert_eq!(values("CapabilityBoundingSet"), ["CAP_NET_ADMIN"]);
    // The socket, the kernel, and ZooKeeper.
    let families: BTreeSet<&str> = values("RestrictAddressFamilies")[0].split(' ').collect();
    assert_eq!(families, BTreeSet::from(["AF_INET", "AF_INET6", "AF_NETLINK", "AF_UNIX"]));
    // `+` is as root and outside of the restrictions, `-` goes on without the module.
    assert_eq!(values("ExecStartPre"), ["+-/sbin/modprobe openvswitch", "+-/sbin/modprobe vxlan"]);
    // A call outside of the list is refused. Without the error number systemd would have the kernel kill the daemon for it.
    assert_eq!(values("SystemCallFilter"), ["@system-service", "~@privileged"]);
    assert_eq!(values("SystemCallErrorNumber"), ["EPERM"]);
    for key in
        ["ProtectKernelModules", "ProtectKernelTunables", "RestrictNamespaces", "MemoryDenyWriteExecute"]
    {
        assert_eq!(values(key), ["yes"], "{key}");
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}
