//! Large files: they take a time that grows as they do, and a bounded memory, and what is said of them has an end.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use l2gw::config;

use super::{BASE, said};

/// Printed, not asserted: machines differ. `--nocapture` shows it.
#[test]
fn a_file_with_every_vlan_is_checked() {
    let mut text = String::from("[hosts.gw1]\n[bridges.dc1]\nkind = \"vlan-aware\"\n");
    for vid in 1..=4094 {
        write!(text, "[bridges.vub{vid}]\nkind = \"vlan-unaware\"\n[[vlans]]\nbridge = \"dc1\"\nvid = {vid}\nto = \"vub{vid}\"\n")
            .unwrap();
    }
    text += "[[trunks]]\nname = \"leaf1\"\nbridge = \"dc1\"\nhost = \"gw1\"\nlink = \"eth0\"\nvlans = [\"1-4094\"]\n";
    let start = Instant::now();
    let config = config::parse("f", &text).unwrap();
    println!("{} bytes with 4094 VLANs: {:?}", text.len(), start.elapsed());
    assert_eq!((config.description.vlans.len(), config.topology.bridges().len()), (4094, 4095));
    let start = Instant::now();
    let problems = config::parse("f", &text.replace("to = \"vub", "to = 5 #")).unwrap_err();
    println!("the same with {} mistakes: {:?}", problems.mistakes.len(), start.elapsed());
    assert_eq!((problems.mistakes.len(), problems.more), (1_000, 3_094));
}

/// Files that are nothing but one thing, many times: what is said of them comes about as much later as there is more of it. The bound is far
/// from linear, because other programs run on the machine as well; looking at everything for everything would be sixteen times as long.
#[test]
fn a_file_of_four_times_the_size_takes_about_four_times_as_long() {
    for (what, file, size) in LARGE {
        let [small, large] = [*size, size * 4].map(|size| {
            let text = file(size);
            let start = Instant::now();
            let said = said(&text);
            println!("{what}, {size}: {:?}, {} bytes said of {}", start.elapsed(), said.len(), text.len());
            assert!(said.len() < 300_000, "{what}, {size}: {} bytes are said", said.len());
            start.elapsed()
        });
        let bound = small.max(Duration::from_millis(50)) * 12;
        assert!(large <= bound, "{what}: {small:?}, with four times as many {large:?}");
    }
}

/// What a file is made of, and the smaller of its two sizes.
type Large = (&'static str, fn(usize) -> String, usize);

const LARGE: &[Large] = &[
    ("bridges in a chain", chain, 1_600),
    ("misspelt names", misspelt, 2_500),
    ("ranges in a list", |size| trunk_with(&format!("vlans = [{}]", "\"1-4094\", ".repeat(size))), 200_000),
    ("wrong elements of a list", |size| trunk_with(&format!("vlans = [{}]", "0, ".repeat(size))), 200_000),
    (
        "unknown keys",
        |size| (0..size).fold("[hosts.gw1]\n".to_owned(), |text, key| text + &format!("x{key} = 1\n")),
        60_000,
    ),
    ("tables that are there twice", |size| "[hosts.gw1]\n".repeat(size), 20_000),
    (
        "keys that are there twice",
        |size| "[hosts.gw1]\n".to_owned() + &"datapath = \"ovs\"\n".repeat(size),
        60_000,
    ),
    ("dotted names that are too deep", |size| "a.".repeat(90) + "a = 1\n" + &"# \n".repeat(size), 100_000),
];

fn chain(size: usize) -> String {
    let mut text = String::from("[hosts.gw1]\n");
    for number in 0..size {
        let (vid, next) = (number % 4094 + 1, number + 1);
        write!(text, "[bridges.b{number}]\nkind = \"vlan-aware\"\n").unwrap();
        write!(text, "[[vlans]]\nbridge = \"b{number}\"\nvid = {vid}\nto = \"b{next}\"\n").unwrap();
    }
    text
}

fn misspelt(size: usize) -> String {
    let mut text = String::from("[hosts.gw1]\n");
    for number in 0..size {
        write!(text, "[bridges.bridge{number}]\nkind = \"vlan-unaware\"\n[[ports]]\nname = \"p{number}\"\n")
            .unwrap();
        write!(text, "bridge = \"bridgx{number}\"\nhost = \"gw1\"\nlink = \"l{number}\"\n").unwrap();
    }
    text
}

fn trunk_with(line: &str) -> String {
    format!("{BASE}[[trunks]]\nname = \"t\"\nbridge = \"dc1\"\nhost = \"gw1\"\nlink = \"eth0\"\n{line}\n")
}

#[test]
fn mistakes_end_after_a_thousand_with_a_count() {
    let told = said(&trunk_with(&format!("vlans = [{}]", "0, ".repeat(2_500))));
    let lines: Vec<&str> = told.lines().collect();
    let expected = "trunks.t.vlans: 0 is not a usable VLAN identifier, allowed is 1 to 4094";
    assert_eq!((lines.len(), lines[1_000]), (1_001, "f: … and 1500 more mistakes"));
    assert_eq!(
        (lines[0], lines[999]),
        (&*format!("f:15:10: {expected}"), &*format!("f:15:3007: {expected}"))
    );
    let thousand = said(&trunk_with(&format!("vlans = [{}]", "0, ".repeat(1_000))));
    assert_eq!(thousand.lines().count(), 1_000);
}

#[test]
fn a_text_that_would_take_too_much_memory_is_not_read() {
    let list = |values: usize| trunk_with(&format!("vlans = [{}8]", "8, ".repeat(values)));
    let expected = "f: has 1100074 values, a key counted as three and a table as four, allowed are 1048576";
    assert_eq!(said(&list(1_100_000)), expected);
    assert!(said(&list(1_000_000)).ends_with("ok"));
    assert!(said(&"[bridges.b]\n".repeat(200_000)).starts_with("f: has 1600000 values"));
    // What is in text or a comment is nothing to the reader.
    assert!(said(&format!("{BASE}# {}\n", "=".repeat(2_000_000))).ends_with("ok"));
}
