//! Frames for `l2gw trace` as people have them: pasted, read from a file or standard input, made of their fields; ports by their links.

use std::fs::File;
use std::io::Write;
use std::process::Stdio;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::json;

use crate::process::{FILE, Gateway, Said, l2gw, with_file};

/// What `tcpdump -e -xx` prints of the broadcast [`FRAME`] in VLAN 8.
const TCPDUMP: &str = "12:00:00.000000 02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff, ethertype 802.1Q (0x8100), length 19: vlan 8, p 0\n\
                       \t0x0000:  ffff ffff ffff 0200 0000 0001 8100 0008\n\t0x0010:  0806 00\n";
/// What Wireshark copies as a hex dump.
const WIRESHARK: &str = "0000   ff ff ff ff ff ff 02 00 00 00 00 01 81 00 00 08   ................\n\
                         0010   08 06 00                                          ...\n";
const FRAME: &str = "ffffffffffff02000000000181000008080600";

fn traced(gateway: &Gateway, words: &[&str]) -> Said {
    let words = [&["--port", "leaf1", "--json"], words].concat();
    with_file("trace", &gateway.path("gateway.toml"), &words)
}

/// With this text as its standard input.
fn traced_with_input(gateway: &Gateway, text: &str) -> Said {
    let path = gateway.path("input");
    std::fs::write(&path, text).unwrap();
    let mut command = l2gw();
    command
        .arg("trace")
        .arg(gateway.path("gateway.toml"))
        .args(["--port", "leaf1", "--json", "--frame", "-"]);
    let output = command.stdin(Stdio::from(File::open(path).unwrap())).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

#[test]
fn a_pasted_dump_is_the_frame_that_it_shows() {
    let gateway = Gateway::new();
    let expected = traced(&gateway, &["--frame", FRAME]).json();
    assert_eq!(expected["outputs"], json!([{"port": "vm8", "frame": "ffffffffffff020000000001080600"}]));
    for (number, dump) in [TCPDUMP, WIRESHARK, FRAME].into_iter().enumerate() {
        assert_eq!(traced(&gateway, &["--frame", dump]).json(), expected, "{dump}");
        assert_eq!(traced_with_input(&gateway, dump).json(), expected, "{dump}");
        let path = gateway.path(&format!("dump-{number}"));
        File::create(&path).unwrap().write_all(dump.as_bytes()).unwrap();
        let argument = format!("@{}", path.display());
        assert_eq!(traced(&gateway, &["--frame", &argument]).json(), expected, "{dump}");
    }
}

#[test]
fn what_holds_no_frame_is_refused_in_words() {
    let gateway = Gateway::new();
    let binary = gateway.path("bad.pcap");
    std::fs::write(&binary, [0xd4, 0xc3, 0xb2, 0xa1, 0xff]).unwrap();
    let large = gateway.path("large");
    std::fs::File::create(&large).unwrap().set_len((4 << 20) + 1).unwrap();
    let fifo = gateway.path("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    let [binary, missing, large, fifo] =
        [binary, gateway.path("missing"), large, fifo].map(|path| format!("@{}", path.display()));
    let twice = format!("{WIRESHARK}{WIRESHARK}");
    for (argument, part) in [
        (binary.as_str(), "bad.pcap: is no text; a capture is given by --pcap"),
        (missing.as_str(), "missing: does not exist"),
        (large.as_str(), "large: has 4194305 bytes or more, allowed are 4194304 (4 MiB)"),
        (fifo.as_str(), "fifo: is a named pipe, allowed is a regular file"),
        ("@/dev/zero", "--frame: /dev/zero: is a device, allowed is a regular file"),
        (twice.as_str(), "there are 2 frames in the dump"),
        (TCPDUMP.split_once("\n\t").unwrap().0, "is not a hexadecimal digit"),
        ("", "there are no hexadecimal digits in it"),
        ("@", "--frame: \"@\" names no file, allowed is @FILE"),
    ] {
        let said = traced(&gateway, &["--frame", argument]);
        // What is in a file is no word of the command line.
        let code = if argument.len() > 1 && argument.starts_with('@') { 1 } else { 64 };
        assert_eq!(said.code, code, "{argument}");
        assert!(said.failure().contains(part), "{argument}: {}", said.failure());
    }
    let said = traced_with_input(&gateway, "");
    let expected = "--frame: standard input: there are no hexadecimal digits in it; give the frame as";
    assert_eq!((said.code, said.failure().starts_with(expected)), (1, true), "{}", said.out);
}

/// A capture without an end, or one that nobody writes, keeps nobody waiting; with a FILE and without.
#[test]
fn a_capture_is_a_regular_file_of_a_bounded_size() {
    let mut gateway = Gateway::new();
    let (large, fifo) = (gateway.path("large"), gateway.path("fifo"));
    std::fs::File::create(&large).unwrap().set_len((64 << 20) + 1).unwrap();
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    let [large, fifo] = [large, fifo].map(|path| path.display().to_string());
    let cases = [
        (large.as_str(), "large: has 67108865 bytes or more, allowed are 67108864 (64 MiB)"),
        (fifo.as_str(), "fifo: is a named pipe, allowed is a regular file"),
        ("/dev/zero", "/dev/zero: is a device, allowed is a regular file"),
        (
            "/proc/self/environ/x",
            "/proc/self/environ/x: cannot be read: a part of its path is not a directory",
        ),
    ];
    for (path, part) in cases {
        let said = traced(&gateway, &["--pcap", path]);
        assert_eq!((said.code, said.failure().contains(part)), (1, true), "{path}: {}", said.out);
    }
    gateway.start(&[]);
    for (path, part) in cases {
        let said = gateway.ask(&["trace", "--port", "leaf1", "--pcap", path]);
        assert_eq!((said.code, said.err.contains(part)), (1, true), "{path}: {}", said.err);
    }
}

/// Standard input without an end is not read without an end either.
#[test]
fn a_frame_on_standard_input_is_of_a_bounded_size() {
    let gateway = Gateway::new();
    let said = traced_with_input(&gateway, &"00 ".repeat(2 << 20));
    assert_eq!(said.code, 1, "{}", said.out);
    let failure = said.failure();
    assert!(failure.contains("standard input: has 4194305 bytes or more"), "{failure}");
}

/// Which frame it is can be said in three ways, and whoever says it in none is told of all three.
#[test]
fn a_trace_without_a_frame_names_every_way_to_give_one() {
    let gateway = Gateway::new();
    let said = traced(&gateway, &[]).failure();
    assert!(["--frame", "--pcap", "--src"].iter().all(|option| said.contains(option)), "{said}");
}

#[test]
fn a_frame_is_made_of_its_fields() {
    let gateway = Gateway::new();
    let verdict = |words: &[&str]| {
        let answer = traced(&gateway, words).json();
        (
            answer["drop"].clone(),
            answer["outputs"][0]["port"].clone(),
            answer["steps"][0].as_str().unwrap().to_owned(),
        )
    };
    let (drop, port, first) = verdict(&["--vid", "8"]);
    assert_eq!((drop, port), (json!(null), json!("vm8")));
    assert_eq!(
        first,
        "00:00:5e:00:53:01 to ff:ff:ff:ff:ff:ff, tagged [VID 8 PCP 0], arrives at trunk leaf1 of bridge dc1"
    );
    let words = [
        "--vid",
        "5",
        "--pcp",
        "3",
        "--src",
        "02:00:00:00:00:01",
        "--dst",
        "02:00:00:00:00:02",
        "--ip=192.0.2.7",
    ];
    let (_, port, first) = verdict(&words);
    assert_eq!(port, json!("vm5"));
    assert!(first.starts_with("02:00:00:00:00:01 to 02:00:00:00:00:02, tagged [VID 5 PCP 3]"), "{first}");
    assert_eq!(verdict(&["--arp"]).0, json!("untagged-on-trunk"));
    assert_eq!(verdict(&["--vid", "6"]).0, json!("vlan-not-allowed"));
    assert_eq!(verdict(&["--vid", "4095"]).0, json!("vlan-reserved"));
    for words in [
        &["--vid", "8", "--frame", FRAME][..],
        &["--vid", "8", "--pcap", "x"],
        &["--vid", "4096"],
        &["--vid", "08"],
        &["--vid", "+8"],
        &["--vid", "8", "--pcp", "8"],
        &["--arp", "--ip"],
        &["--vid", "8", "--tpid", "0x9100"],
        &[],
    ] {
        assert_eq!(traced(&gateway, words).code, 64, "{words:?}");
    }
}

/// The trunks of a bridge of 0x88a8 read no other tag, so that is what a frame made for them has.
#[test]
fn a_made_frame_has_the_tags_that_its_port_reads() {
    let gateway = Gateway::new();
    gateway.write(&FILE.replace("fabric = \"rack1\"", "fabric = \"rack1\"\ntpid = \"0x88a8\""));
    let port = |words: &[&str]| traced(&gateway, words).json()["outputs"][0]["port"].clone();
    assert_eq!(port(&["--vid", "8"]), json!("vm8"));
    assert_eq!(port(&["--vid", "8", "--tpid", "0x8100"]), json!(null), "no tag of this bridge's: untagged");
}

#[test]
fn a_port_may_be_named_by_its_link() {
    let mut gateway = Gateway::new();
    let file = gateway.path("gateway.toml");
    let offline = |port: &str| with_file("trace", &file, &["--port", port, "--vid", "8", "--json"]);
    assert_eq!(offline("eth2").json(), offline("leaf1").json());
    assert!(offline("eth3").failure().contains("\"eth3\" is no port of this file"));
    gateway.start(&[]);
    let live = |port: &str| gateway.ask(&["trace", "--port", port, "--vid", "8", "--json"]);
    assert_eq!(live("eth2").json(), live("leaf1").json());
    assert_eq!(live("eth3").code, 64);
}
