//! The hook for libvirt, called as libvirt calls it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::root;

/// A guest as libvirt writes it, with names of its links and their aliases; `None` of an interface without that line.
fn guest(interfaces: &[(Option<&str>, Option<&str>)]) -> String {
    let interfaces: String = interfaces
        .iter()
        .map(|(device, alias)| {
            let target = device.map_or(String::new(), |device| format!("      <target dev='{device}'/>\n"));
            let alias = alias.map_or(String::new(), |alias| format!("      <alias name='{alias}'/>\n"));
            format!(
                "    <interface type='ethernet'>\n      <mac address='52:54:00:00:00:01'/>\n{target}      \
                 <model type='virtio'/>\n{alias}    </interface>\n"
            )
        })
        .collect();
    format!(
        "<domain type='kvm' id='1'>\n  <name>vm1</name>\n  <metadata>\n    <x:x xmlns:x='urn:x'>\n    \
         <interface><target dev='lo'/><alias name='ua-l2gw-foreign'/></interface>\n    </x:x>\n  </metadata>\n  \
         <devices>\n    <disk type='file' device='disk'>\n      <target dev='vda' bus='virtio'/>\n      \
         <alias name='ua-l2gw-disk'/>\n    </disk>\n{interfaces}    <serial type='pty'>\n      \
         <alias name='ua-l2gw-serial'/>\n    </serial>\n  </devices>\n</domain>\n"
    )
}

fn called(command: &mut Command, xml: &str) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It need not read what it has no use for.
    let _ = child.stdin.take().unwrap().write_all(xml.as_bytes());
    child.wait_with_output().unwrap()
}

/// What the hook asks of `ip` for an operation, but for what it only looks at, and what it says. `ip` here says `shown` of a link, and
/// does everything unless `refused`.
fn asked(operation: &str, xml: &str, shown: &str, refused: bool) -> (Vec<String>, String) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let end = if refused { "echo 'RTNETLINK answers: File exists' >&2; exit 2" } else { "exit 0" };
    let ip = format!(
        "#!/bin/sh\ncase $* in '-o link show'*) echo '{shown}'; exit 0 ;; esac\necho \"$*\" >>'{}'\n{end}\n",
        log.display()
    );
    for (name, script) in [("ip", ip.as_str()), ("logger", "#!/bin/sh\nexit 0\n")] {
        let path = folder.path().join(name);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let mut hook = Command::new(script());
    let output = called(hook.args(["vm1", operation, "begin", "-"]).env("PATH", path), xml);
    assert!(output.status.success(), "{operation}: libvirt would end the guest: {output:?}");
    assert!(output.stdout.is_empty(), "{operation}: libvirt would take it for XML: {output:?}");
    let lines = fs::read_to_string(log).unwrap_or_default();
    (lines.lines().map(str::to_owned).collect(), String::from_utf8(output.stderr).unwrap())
}

fn script() -> std::path::PathBuf {
    root().join("docs/operations/libvirt-qemu-hook.sh")
}

const TWO: [(Option<&str>, Option<&str>); 5] = [
    (Some("vnet3"), Some("ua-l2gw-tap-vm1")),
    (Some("vnet4"), Some("net1")),
    (Some("vnet5"), None),
    (None, Some("ua-l2gw-no-device")),
    (Some("vnet6"), Some("ua-l2gw-tap-vm1b")),
];

#[test]
fn a_started_guests_links_get_the_names_that_their_aliases_say() {
    let both =
        ["link property add dev vnet3 altname tap-vm1", "link property add dev vnet6 altname tap-vm1b"];
    let said = (both.map(str::to_owned).to_vec(), String::new());
    // Elements of one line, and values between other marks, are the same XML.
    for xml in [guest(&TWO), guest(&TWO).replace('\n', ""), guest(&TWO).replace('\'', "\"")] {
        for operation in ["started", "reconnect"] {
            assert_eq!(asked(operation, &xml, "", false), said, "{operation}: {xml}");
        }
    }
}

#[test]
fn nothing_is_done_at_any_other_moment_and_for_anything_but_a_guest() {
    let nothing = (Vec::new(), String::new());
    for operation in ["prepare", "start", "stopped", "release", "migrate", "restore", "attach", ""] {
        assert_eq!(asked(operation, &guest(&TWO), "", false), nothing, "{operation}");
    }
    for xml in ["", "not XML", "<domain/>", "<interface><target dev='a'/><alias name='ua-l2gw-b'/>"] {
        assert_eq!(asked("started", xml, "", false), nothing, "{xml}");
    }
}

#[test]
fn a_link_that_has_the_name_is_left_alone() {
    let one = guest(&TWO[..1]);
    for shown in [
        "7: vnet3: <UP> mtu 1500\\    link/ether 02:00:00:00:00:01\\    altname tap-vm1",
        "7: tap-vm1: <UP> mtu 1500\\    link/ether 02:00:00:00:00:01",
        "7: tap-vm1@if6: <UP> mtu 1500",
    ] {
        assert_eq!(asked("started", &one, shown, false), (Vec::new(), String::new()), "{shown}");
    }
    let other = "7: vnet3: <UP> mtu 1500\\    altname tap-vm10\\    altname tap-vm";
    assert_eq!(asked("started", &one, other, false).0.len(), 1);
}

#[test]
fn what_goes_wrong_is_told_and_ends_no_guest() {
    let one = guest(&TWO[..1]);
    let expected =
        "l2gw hook, guest vm1: vnet3 does not get the name tap-vm1: RTNETLINK answers: File exists\n";
    assert_eq!(asked("started", &one, "", true).1, expected);
    for name in ["", "-x", "0123456789abcdef", "a.b", "a b", "$(id)", "a;b"] {
        let alias = format!("ua-l2gw-{name}");
        let (asked, told) = asked("started", &guest(&[(Some("vnet3"), Some(&alias))]), "", false);
        assert_eq!(asked, Vec::<String>::new(), "{name}");
        assert!(told.contains(&format!("alias {alias}: ")) && told.contains("allowed are 1 to 15"), "{told}");
    }
}

/// With the real `ip`, on a real link in a namespace of its own.
#[test]
fn a_real_link_is_found_by_the_name_and_again_after_libvirt_came_back() {
    let folder = tempfile::tempdir().unwrap();
    let xml = folder.path().join("vm1.xml");
    fs::write(&xml, guest(&TWO[..1])).unwrap();
    let hook = format!("{} vm1 OPERATION begin - <{}", script().display(), Path::new(&xml).display());
    let script = format!(
        "set -e\nip link add vnet3 type veth peer name vm\nip link set vnet3 up\n{}\n{}\nip -o link show tap-vm1",
        hook.replace("OPERATION", "started"),
        hook.replace("OPERATION", "reconnect"),
    );
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap());
    let mut apart = Command::new("unshare");
    let output =
        called(apart.args(["--user", "--map-root-user", "--net", "sh", "-c", &script]).env("PATH", path), "");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && err.is_empty(), "{}: {err}", output.status);
    assert!(out.contains(": vnet3@vm: ") && out.matches("altname tap-vm1").count() == 1, "{out}");
}
