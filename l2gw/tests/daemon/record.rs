//! What a daemon records can be played again, and every difference shows.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use agent::input::Input;
use agent::record::{Line, Reader};

use crate::process::{Gateway, Said, file_with_vlan_9, finish, l2gw};

/// A run in which something happens, recorded.
fn recorded() -> (Gateway, PathBuf) {
    let mut gateway = Gateway::new();
    let record = gateway.path("record");
    gateway.start(&["--record", &record.display().to_string()]);
    gateway.write(&file_with_vlan_9());
    gateway.ask_about_file("apply", &[]).done();
    gateway.ask(&["flush", "macs"]).done();
    gateway.stop();
    (gateway, record)
}

fn replay(record: &PathBuf) -> Said {
    finish(l2gw().arg("replay").arg(record))
}

#[test]
fn a_recorded_run_replays_equal() {
    let (_gateway, record) = recorded();
    let said = replay(&record).done();
    assert!(said.starts_with("equal: ") && said.contains(" inputs of host gw1 in "), "{said}");
    let json = finish(l2gw().arg("replay").arg(&record).arg("--json")).json();
    assert_eq!((&json["equal"], &json["difference"]), (&true.into(), &serde_json::Value::Null));
    assert!(json["inputs"].as_u64().unwrap() > 5 && json["outputs"].as_u64().unwrap() > 5, "{json}");
    assert_eq!(fs::metadata(&record).unwrap().permissions().mode() & 0o7777, 0o600);
}

#[test]
fn inputs_of_a_record_are_in_their_order() {
    let (_gateway, record) = recorded();
    let (mut reader, head) = Reader::open(&record).unwrap();
    assert_eq!(head.settings.host, "gw1");
    let mut lines = Vec::new();
    while let Some(text) = reader.next_line().unwrap() {
        lines.extend(serde_json::from_slice::<Line>(&text));
    }
    for revision in [1, 2] {
        let is_it = |line: &Line| matches!(line.input, Input::Topology { revision: number, .. } if number == revision);
        assert!(lines.iter().any(is_it), "revision {revision} of {} lines", lines.len());
    }
    assert!(lines.is_sorted_by_key(|line| line.at), "time goes on");
}

#[test]
fn one_flipped_byte_of_an_input_differs() {
    let (gateway, record) = recorded();
    let whole = fs::read(&record).unwrap();
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    // Inputs are on every second line behind the first. Some of them, and some bytes of each.
    for number in (1..lines.len()).step_by(2).step_by(lines.len().div_ceil(2 * 12).max(1)) {
        let before: usize = lines[..number].iter().map(|line| line.len()).sum();
        let at = before + lines[number].len() / 2;
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        let path = gateway.path("flipped");
        fs::write(&path, &flipped).unwrap();
        let said = replay(&path);
        assert_eq!(said.code, 1, "byte {at} of line {}: {}{}", number + 1, said.out, said.err);
        let place = format!("flipped:{}: ", number + 1);
        assert!(
            said.out.contains(&place) && said.out.contains("changed since it was recorded"),
            "{}",
            said.out
        );
    }
}

#[test]
fn an_output_that_is_another_is_named() {
    let (gateway, record) = recorded();
    let text = fs::read_to_string(&record).unwrap();
    let path = gateway.path("other");
    // The seed, the host, or an output that was not there: whatever it comes from, the first difference is told.
    let with_host = text.replacen("\"host\":\"gw1\"", "\"host\":\"gw7\"", 1);
    let with_event = text.replacen("[\"applied\",\"", "[\"applied\",\"0", 1);
    let with_output = text.replacen("\"outputs\":[]}", "\"outputs\":[[\"detach\",\"0\"]]}", 1);
    let without_event = text.replacen("\"outputs\":[[", "\"outputs\":[[\"detach\",\"0\"],[", 1);
    for (text, words) in [
        (with_host, "{\"Event\":{\"event\":\"host-unknown\",\"host\":\"gw7\""),
        (with_output, "output 1, detach, was there when it was recorded, and is not"),
        (with_event, ", applied, is another than recorded: {\"Event\""),
        (without_event, "output 1 was detach when it was recorded, and is "),
    ] {
        fs::write(&path, text).unwrap();
        let said = replay(&path);
        assert_eq!(said.code, 1, "{}{}", said.out, said.err);
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
}

#[test]
fn a_record_that_was_cut_off_replays_as_far_as_it_goes() {
    let (gateway, record) = recorded();
    let whole = fs::read(&record).unwrap();
    let path = gateway.path("cut");
    for cut in [whole.len() - 1, whole.len() - 30, whole.len() / 2] {
        fs::write(&path, &whole[..cut]).unwrap();
        let said = replay(&path).done();
        assert!(
            said.starts_with("equal: ") && said.contains("\nas far as it goes: the record ends "),
            "{said}"
        );
    }
    // Behind each line, and inside each.
    let ends: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] == b'\n').collect();
    for (lines, end) in (1..).zip(ends.iter().copied()).take(24) {
        for (bytes, expected) in [(end + 1, behind(lines)), (end, inside(lines)), (end - 1, inside(lines))] {
            fs::write(&path, &whole[..bytes]).unwrap();
            let said = finish(l2gw().arg("replay").arg(&path).arg("--json"));
            if lines == 1 && bytes <= end {
                assert_eq!(said.code, 1, "{}", said.out);
                assert!(
                    said.failure().contains("cut:1: it ends inside its first line; a record"),
                    "{}",
                    said.out
                );
                continue;
            }
            let said = said.json();
            assert_eq!(
                (&said["equal"], &said["cut"]),
                (&true.into(), &expected.into()),
                "{lines} lines, {bytes} bytes"
            );
        }
    }
    let said = finish(l2gw().arg("replay").arg(&record).arg("--json")).json();
    assert_eq!(said["cut"], serde_json::Value::Null, "a whole one");
    fs::write(&path, "not a record\n").unwrap();
    let said = replay(&path);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.contains("cut:1: a record begins with the engine's settings"), "{}", said.err);
}

/// What is said of a record that ends behind this line; lines with an input have an even number.
fn behind(line: usize) -> Option<String> {
    let text =
        format!("the record ends behind line {line}, an input: what followed from it was not compared");
    line.is_multiple_of(2).then_some(text)
}

/// What is said of one that ends inside this line.
fn inside(line: usize) -> Option<String> {
    let input = line - 1;
    Some(match line.is_multiple_of(2) {
        true => format!("the record ends inside line {line}, an input that was not played"),
        false => format!(
            "the record ends inside line {line}: what followed from the input on line {input} was not compared"
        ),
    })
}

#[test]
fn nothing_that_is_there_is_recorded_over() {
    let mut gateway = Gateway::new();
    let path = |name: &str| gateway.path(name);
    fs::write(path("precious"), "text").unwrap();
    std::os::unix::fs::symlink(path("precious"), path("link")).unwrap();
    nix::unistd::mkfifo(&path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for (name, what) in [("precious", "a file"), ("link", "a symbolic link"), ("fifo", "a named pipe")] {
        let said = finish(&mut gateway.run(&["--record", &path(name).display().to_string()]));
        assert_eq!(said.code, 1, "{}", said.err);
        assert!(
            said.err.contains(&format!("there is {what} already, and it is not written over")),
            "{}",
            said.err
        );
    }
    assert_eq!(fs::read_to_string(path("precious")).unwrap(), "text");
    // None of them has published anything: this file is the first.
    gateway.write(&file_with_vlan_9());
    gateway.start(&[]);
    let status = gateway.ask(&["show", "status"]).done();
    assert!(status.starts_with("host gw1, revision 1"), "{status}");
}
