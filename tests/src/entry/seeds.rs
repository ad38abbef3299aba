//! Inputs that reach deep from the start: what the stories, captures, examples and recorded runs hold, in the form that each entry reads.

use std::path::Path;

use super::documents::example_shards;
use super::{examples, frames, netlink};
use crate::rows::{self, table::What};

/// The seeds of a target.
///
/// # Panics
/// There is no such target, or `tests/golden` cannot be read.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "frames" => of_frames(),
        "netlink" => {
            netlink::captured().iter().map(|datagram| [&[0], datagram.as_slice()].concat()).collect()
        }
        "documents" => of_documents(),
        "toml" => of_toml(),
        "socket" => of_socket(),
        other => panic!("{other:?} is no target, {TARGETS:?} are"),
    }
}

/// Every target.
pub const TARGETS: [&str; 5] = ["frames", "netlink", "documents", "toml", "socket"];

/// The frames of each story, byte for byte, into its own topology; and a few random cases.
fn of_frames() -> Vec<Vec<u8>> {
    let cases = (0..=u8::MAX).step_by(5).map(|case| vec![3, case, 0, 0, 5, 1, 2, 3, 0, 1, 5, 2, 1, 3, 0]);
    cases.chain(rows::stories().iter().filter_map(of_story)).collect()
}

fn of_story(story: &rows::table::Story) -> Option<Vec<u8>> {
    let (number, topology) = frames::find(&story.description)?;
    let first = topology.ports().iter().position(|port| port.host.0 == 0)?;
    let mut bytes = vec![0];
    bytes.extend((number as u16).to_be_bytes());
    bytes.push(first as u8);
    for step in &story.steps {
        let What::Frame(frame) = &step.what else { continue };
        let mut here = topology.ports().iter().filter(|port| port.host.0 == 0);
        let port = here.position(|port| port.name == frame.port)?;
        // As it is: shape 7, length, bytes.
        bytes.extend([port as u8, 0, 7, frame.bytes.len() as u8]);
        bytes.extend(&frame.bytes);
    }
    Some(bytes)
}

/// Shards, descriptions and saved addresses of the examples, and the recorded runs under `tests/golden`.
fn of_documents() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for number in 0..example_shards().len() as u8 {
        all.extend([vec![1, number, 0], vec![1, number, 1, 0, 5, 0, 9, 1], vec![5, number, 1, 0, 9, 6, 4]]);
        all.push([vec![3, number], (0..60).collect()].concat());
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let read =
        |path: &Path| std::fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for scene in read(&golden).flatten() {
        for file in read(&scene.path()).flatten().map(|file| file.path()) {
            if file.to_string_lossy().ends_with("-input.jsonl") {
                all.push([vec![6], std::fs::read(file).expect("a recorded run is read")].concat());
            }
        }
    }
    all
}

/// Each example as it is, and as one that choices may change.
fn of_toml() -> Vec<Vec<u8>> {
    let whole = examples::FILES.iter().map(|(_, text)| [&[0], text.as_bytes()].concat());
    whole.chain((0..examples::FILES.len() as u8).map(|number| vec![1, number, 0])).collect()
}

/// A request to each path; each example published; frames traced and commands given.
fn of_socket() -> Vec<Vec<u8>> {
    let get = |path: &str| format!("\0GET {path} HTTP/1.1\r\nHost: l2gw\r\n\r\n").into_bytes();
    let mut all: Vec<Vec<u8>> = super::http::PATHS.iter().map(|path| get(path)).collect();
    for number in 0..examples::FILES.len() as u8 {
        // POST /v1/topology as JSON: against revision 0, or any with one part replaced; twice.
        all.push(vec![1, 11, 8, 0, number, 0, 1, 0, 6, 11, 8, 0, number, 0, 2, 0, 6]);
        all.push(vec![1, 11, 8, 0, number, 0, 0, 1, 0, 20, 6, 4, 6]);
    }
    all.push([vec![1, 11, 9, 0, 0, 2], vec![0xff; 64], vec![0, 6]].concat());
    all.extend([vec![1, 11, 10, 0, 0, 3, 0, 6], vec![1, 11, 10, 0, 0, 4, 0, 6]]);
    all
}
