//! What a host does, word for word: each folder of `tests/golden/` holds what happened to an engine (`01-input.jsonl`) and all that it
//! wanted done (`01-output.jsonl`). The scenes are played on the datapath's in-memory twin; the inputs in the folders are then given
//! to a fresh engine, as a recorded run would be.
//!
//! `UPDATE_GOLDEN=1` writes what happens now; the difference is reviewed.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::engine::{Engine, Settings};
use agent::input::Input;
use agent::list::everything;
use agent::output::Output;
use agent::record;
use agent::view::TrunkView;
use datapath::fake::Limits;
use l2gw::config;
use serde::{Deserialize, Serialize};
use tests::lab::frames::{BROADCAST, Frame, Mac};
use tests::sim::gateway::Gateway;
use vlan::model::description::Description;
use vlan::time::Instant;

macro_rules! scenes {
    ($($name:ident: $folder:literal;)+) => {
        $(
            #[test]
            fn $name() {
                Scene { folder: $folder }.check($name::play());
            }
        )+

        const PLAYED: &[&str] = &[$($folder),+];
    };
}

scenes! {
    first_frames: "first-frames";
    a_trunk_loses_its_carrier: "a-trunk-loses-its-carrier";
    a_restart_adopts: "a-restart-adopts";
    a_bpdu_blocks: "a-bpdu-blocks";
    a_full_table: "a-full-table";
}

#[test]
fn no_folder_is_left_out() {
    let there = fs::read_dir(root()).expect("tests/golden").map(|entry| entry.expect("an entry").file_name());
    let mut there: Vec<String> = there.map(|name| name.to_string_lossy().into_owned()).collect();
    let mut played: Vec<String> = PLAYED.iter().map(|name| (*name).to_owned()).collect();
    there.sort();
    played.sort();
    assert_eq!(there, played);
}

/// The first frames of a conversation: a flood, a reply, and the flow that the reply changes.
mod first_frames {
    use super::*;

    pub(super) fn play() -> Vec<Gateway> {
        let mut gateway = start(&one_trunk());
        gateway.send("leaf1", &tagged(PHYS, BROADCAST));
        gateway.send("vm8", &bare(VM, PHYS));
        gateway.send("leaf1", &tagged(PHYS, VM));
        gateway.send("leaf1", &Frame::new(PHYS, BROADCAST).tag(300, 0).payload(0x0800, &[1; 46]));
        vec![gateway]
    }
}

/// Two trunks into one fabric; the one that carries VLAN 8 loses its carrier.
mod a_trunk_loses_its_carrier {
    use super::*;

    pub(super) fn play() -> Vec<Gateway> {
        let mut gateway = start(&two_trunks());
        gateway.send("vm8", &bare(VM, BROADCAST));
        let carries = |name: &str, gateway: &Gateway| {
            everything::<TrunkView>(&gateway.engine, START)
                .iter()
                .any(|trunk| trunk.trunk == name && !trunk.carries.is_empty())
        };
        let carrier = if carries("leaf1", &gateway) { "leaf1" } else { "leaf2" };
        gateway.set_carrier(carrier, false);
        gateway.send("vm8", &bare(VM, BROADCAST));
        gateway.set_carrier(carrier, true);
        vec![gateway]
    }
}

/// Killed and started again on the same datapath with a file that no longer has a port.
mod a_restart_adopts {
    use super::*;

    pub(super) fn play() -> Vec<Gateway> {
        let description = one_trunk();
        let wire = Gateway::wire(&description, START);
        let mut first = Gateway::start(&wire, settings(), (1, &description), Vec::new());
        first.send("leaf1", &tagged(PHYS, BROADCAST));
        first.send("vm8", &bare(VM, PHYS));
        first.pass(Duration::from_secs(4));
        let saved = first.saved.clone();
        let mut changed = description.clone();
        changed.ports.retain(|port| port.name != "vm9");
        let second = Gateway::start(&wire, settings(), (2, &changed), saved);
        vec![first, second]
    }
}

/// A BPDU blocks a VM's port for five minutes.
mod a_bpdu_blocks {
    use super::*;

    pub(super) fn play() -> Vec<Gateway> {
        let mut gateway = start(&one_trunk());
        gateway.send("vm8", &bare(VM, BROADCAST));
        gateway.send("vm8", &Frame::new(VM, [1, 0x80, 0xc2, 0, 0, 0]).llc(&[0x42, 0x42, 3, 0, 0]));
        gateway.send("vm8", &bare(VM, BROADCAST));
        gateway.pass(Duration::from_secs(300));
        vec![gateway]
    }
}

/// The datapath has room for one flow: frames go on one by one.
mod a_full_table {
    use super::*;

    pub(super) fn play() -> Vec<Gateway> {
        let description = one_trunk();
        let wire = Gateway::wire(&description, START);
        let mut gateway = Gateway::start(&wire, settings(), (1, &description), Vec::new());
        wire.set_limits(Limits { flows: 1, ..Limits::default() });
        gateway.send("leaf1", &tagged(PHYS, BROADCAST));
        gateway.send("vm8", &bare(VM, PHYS));
        gateway.send("vm8", &bare(VM, PHYS));
        vec![gateway]
    }
}

struct Scene {
    folder: &'static str,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct OutputLine {
    at: u64,
    output: Output,
}

impl Scene {
    /// Compares each gateway of the scene with its files, then the files with an engine that is given the inputs alone.
    fn check(&self, gateways: Vec<Gateway>) {
        for (number, gateway) in gateways.iter().enumerate() {
            let inputs = lines(&gateway.inputs);
            let outputs: Vec<OutputLine> = gateway
                .outputs
                .iter()
                .map(|(at, output)| OutputLine { at: *at, output: output.clone() })
                .collect();
            self.compare(&format!("{:02}-input.jsonl", number + 1), &inputs);
            self.compare(&format!("{:02}-output.jsonl", number + 1), &lines(&outputs));
            self.replay(number + 1);
        }
    }

    fn compare(&self, name: &str, got: &str) {
        let path = root().join(self.folder).join(name);
        if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
            fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
            fs::write(&path, got).expect("the file");
            return;
        }
        let expected =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for (number, (expected, got)) in expected.lines().zip(got.lines()).enumerate() {
            assert_eq!(
                expected,
                got,
                "{}:{}; UPDATE_GOLDEN=1 writes what happens now",
                path.display(),
                number + 1
            );
        }
        assert_eq!(expected.lines().count(), got.lines().count(), "lines of {}", path.display());
    }

    fn replay(&self, number: usize) {
        let folder = root().join(self.folder);
        let recorded =
            fs::read_to_string(folder.join(format!("{number:02}-input.jsonl"))).expect("recorded inputs");
        let inputs =
            recorded.lines().map(|line| serde_json::from_str::<record::Line>(line).expect("an input"));
        let text =
            fs::read_to_string(folder.join(format!("{number:02}-output.jsonl"))).expect("recorded outputs");
        let mut expected =
            text.lines().map(|line| serde_json::from_str::<OutputLine>(line).expect("an output"));
        let mut engine = Engine::new(settings());
        for record::Line { at, input } in inputs {
            // Answers come while outputs are polled: everything that is still there belongs to what happened before.
            if !matches!(input, Input::Done { .. }) {
                drain(&mut engine, &mut expected);
            }
            engine.handle(Instant::from_nanos(at), input);
            // Up to one that is answered, which the next input does.
            while let Some(output) = engine.poll_output() {
                let recorded = expected.next().map(|line| line.output);
                assert_eq!(Some(&output), recorded.as_ref(), "{}", self.folder);
                if !matches!(
                    output,
                    Output::Event(_) | Output::Save(_) | Output::Follow(_) | Output::Announce(_)
                ) {
                    break;
                }
            }
        }
        drain(&mut engine, &mut expected);
        assert!(expected.next().is_none(), "{}: more was recorded than happened", self.folder);
    }
}

fn drain(engine: &mut Engine, expected: &mut impl Iterator<Item = OutputLine>) {
    while let Some(output) = engine.poll_output() {
        assert_eq!(Some(&output), expected.next().map(|line| line.output).as_ref());
    }
}

fn lines<T: Serialize>(list: &[T]) -> String {
    list.iter().fold(String::new(), |mut text, one| {
        let _ = writeln!(text, "{}", serde_json::to_string(one).expect("JSON"));
        text
    })
}

fn start(description: &Description) -> Gateway {
    let wire = Gateway::wire(description, START);
    Gateway::start(&wire, settings(), (1, description), Vec::new())
}

fn settings() -> Settings {
    Settings { seed: 7, ..Settings::new("gw1") }
}

fn tagged(from: Mac, to: Mac) -> Vec<u8> {
    Frame::new(from, to).tag(8, 0).payload(0x0800, &[1; 46])
}

fn bare(from: Mac, to: Mac) -> Vec<u8> {
    Frame::new(from, to).payload(0x0800, &[1; 46])
}

fn one_trunk() -> Description {
    parse(ONE_TRUNK)
}

fn two_trunks() -> Description {
    parse(&format!(
        "{ONE_TRUNK}\n[[trunks]]\nname = \"leaf2\"\nbridge = \"dc1\"\nhost = \"gw1\"\nlink = \"eth2\"\nvlans = [\"8\"]\n"
    ))
}

fn parse(text: &str) -> Description {
    config::parse("gateway.toml", text).expect("a file that is right").description
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

const ONE_TRUNK: &str = r#"
[hosts.gw1]
[bridges.dc1]
kind = "vlan-aware"
[bridges.vub8]
kind = "vlan-unaware"
[[vlans]]
bridge = "dc1"
vid = 8
to = "vub8"
[[trunks]]
name = "leaf1"
bridge = "dc1"
host = "gw1"
link = "eth1"
vlans = ["8"]
[[ports]]
name = "vm8"
bridge = "vub8"
host = "gw1"
link = "tap8"
[[ports]]
name = "vm9"
bridge = "vub8"
host = "gw1"
link = "tap9"
"#;
const START: Instant = Instant::from_secs(1_000);
const PHYS: Mac = [0x52, 0x54, 0, 0, 0, 1];
const VM: Mac = [0x52, 0x54, 0, 0, 0, 2];
