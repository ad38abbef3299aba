//! The entries of the fuzz targets, without a fuzzer: what one has found, the seeds, and seeds and random bytes with changes.
//!
//! `L2GW_CASES` says how many changed inputs a target gets; `L2GW_FUZZ_SEEDS=DIRECTORY` writes the seeds there, a directory a target, as
//! `make fuzz` wants them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use datapath::ovs::reread;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use tests::entry::{TARGETS, enter, seeds};
use tests::sim::asked::number;

#[test]
fn what_was_found_is_found_no_more() {
    let rows = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/rows");
    let mut count = 0;
    for target in TARGETS {
        for row in files(&rows.join(target)) {
            println!("{}", row.display());
            enter(target, &fs::read(row).unwrap());
            count += 1;
        }
    }
    assert!(count >= 3, "{count} rows in {}", rows.display());
}

#[test]
fn every_target_takes_its_seeds() {
    let into = std::env::var_os("L2GW_FUZZ_SEEDS").map(PathBuf::from);
    for target in TARGETS {
        let seeds = seeds(target);
        assert!(seeds.len() >= 10, "{} seeds of {target}", seeds.len());
        for (number, seed) in seeds.iter().enumerate() {
            enter(target, seed);
            if let Some(directory) = into.as_ref().map(|into| into.join(target)) {
                fs::create_dir_all(&directory).unwrap();
                fs::write(directory.join(format!("seed-{number}")), seed).unwrap();
            }
        }
    }
}

/// Seeds of which nothing is understood would test nothing.
#[test]
fn what_a_kernel_sent_is_read_and_written() {
    let datagrams = seeds("netlink");
    let found = datagrams.iter().map(|seed| reread(&seed[1..]).unwrap());
    let (values, written) = found.fold((0, 0), |sum, one| (sum.0 + one.values, sum.1 + one.written));
    assert!(values >= 100 && written >= 15, "{values} values, {written} of them written again");
}

#[test]
fn every_target_has_a_binary_of_its_name() {
    let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/targets");
    let mut names: Vec<String> =
        files(&targets).iter().map(|file| file.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    names.sort();
    let mut expected = TARGETS.map(str::to_owned);
    expected.sort();
    assert_eq!(names, expected);
}

#[test]
fn frames_any() {
    play("frames", 3_000);
}

#[test]
fn netlink_any() {
    play("netlink", 20_000);
}

#[test]
fn documents_any() {
    play("documents", 10_000);
}

#[test]
fn toml_any() {
    play("toml", 3_000);
}

#[test]
fn socket_any() {
    play("socket", 3_000);
}

/// No text of 64 KiB takes long, whatever it declares.
#[test]
fn a_long_file_is_read_in_bounded_time() {
    let trunk = |n: usize| {
        format!(
            "[bridges.b{n}]\nkind = 'vlan-aware'\nfabric = 'f{n}'\n[[trunks]]\nname = 't{n}'\nbridge = 'b{n}'\nhost = 'g'\n\
             link = 'e{n}'\nvlans = ['1-4094']\n"
        )
    };
    let outer = |n: usize| format!("[[vlans]]\nbridge = 'b0'\nvid = {}\nto = 'b1'\n", n % 4094 + 1);
    let texts = [
        ("trunks with all VLANs", "[hosts.g]\n".to_owned() + &(0..480).map(trunk).collect::<String>()),
        (
            "outer VLANs into one bridge",
            "[hosts.g]\n".to_owned() + &trunk(0) + &trunk(1) + &(0..1_400).map(outer).collect::<String>(),
        ),
        ("brackets", "a = ".to_owned() + &"[".repeat(60_000)),
        ("dots", "a.".repeat(32_000) + "b = 1"),
        ("ranges", format!("[[trunks]]\nvlans = [{}]", "'1-4094',".repeat(7_000))),
        ("bridges that are none", (0..2_600).map(|n| format!("[bridges.x{n}]\nkind = 1\n")).collect()),
    ];
    for (what, text) in texts {
        assert!(text.len() <= 64 << 10, "{what}: {} bytes", text.len());
        let start = Instant::now();
        let _ = l2gw::config::parse("gateway.toml", &text);
        let took = start.elapsed();
        println!("{what}: {} bytes in {took:?}", text.len());
        assert!(took < LONGEST, "{what}: {took:?}");
    }
}

/// Seeds with changes, random bytes, and random bytes behind the first bytes of a seed.
fn play(target: &str, cases: u32) {
    let cases = number("L2GW_CASES").map_or(cases, |asked| asked as u32);
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let seeds = seeds(target);
    let seed = any::<Index>().prop_map(move |index| index.get(&seeds).clone());
    let bytes = || prop::collection::vec(any::<u8>(), 0..300);
    let input = prop_oneof![
        2 => bytes(),
        2 => (seed.clone(), prop::collection::vec(edit(), 1..8)).prop_map(|(seed, edits)| changed(seed, &edits)),
        1 => (seed, 0..40_usize, bytes()).prop_map(|(seed, keep, more)| {
            [seed.get(..keep).unwrap_or(&seed), more.as_slice()].concat()
        }),
    ];
    let outcome = runner.run(&input, |bytes| {
        enter(target, &bytes);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{target}: {error}"));
}

/// A change of an input.
#[derive(Debug, Clone)]
enum Edit {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Double(Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        2 => (at(), prop::collection::vec(any::<u8>(), 1..6)).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        2 => (at(), 1..9_usize).prop_map(|(at, len)| Edit::Remove(at, len)),
        1 => at().prop_map(Edit::Double),
    ]
}

fn changed(mut bytes: Vec<u8>, edits: &[Edit]) -> Vec<u8> {
    for edit in edits {
        let len = bytes.len();
        match edit {
            Edit::Insert(at, more) => {
                drop(bytes.splice(at.index(len + 1)..at.index(len + 1), more.iter().copied()))
            }
            _ if len == 0 => {}
            Edit::Set(at, byte) => bytes[at.index(len)] = *byte,
            Edit::Remove(at, count) => drop(bytes.drain(at.index(len)..len.min(at.index(len) + count))),
            Edit::Double(at) => bytes.extend_from_within(at.index(len)..),
        }
    }
    bytes
}

/// The files of a directory, by name; none if it is not there.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Ten times what the slowest takes on two busy cores.
const LONGEST: Duration = Duration::from_secs(60);
