//! What is kept, read again: shards of a topology, saved addresses, entries and events of a journal, records of a run.

use std::sync::OnceLock;

use agent::documents::{Stored, from_shards, to_shards};
use agent::engine::{Engine, Settings};
use agent::event::Event;
use agent::input::{Input, SavedAddress};
use agent::list::everything;
use agent::record::Line;
use agent::view::{BridgeView, CounterView, FlowView, MacView, PortView, TrunkView};
use vlan::addr::MacAddr;
use vlan::model::description::Description;
use vlan::model::topology::Topology;
use vlan::time::Instant;
use vlan::vid::Vid;

use super::examples;
use super::feed::Feed;
use super::json_grammar::changed;

/// Any bytes as what was kept.
///
/// # Panics
/// What was read, written and read again is something else; an error has no words; or an engine panics over what it was given.
pub fn documents(bytes: &[u8]) {
    let mut feed = Feed::new(bytes);
    match feed.byte() % 7 {
        0 => records(feed.rest()),
        1 => shards(&mut feed),
        2 => addresses(feed.rest()),
        3 => known_addresses(&mut feed),
        4 => events(feed.rest()),
        5 => declared(&mut feed),
        _ => run(feed.rest()),
    }
}

/// As the store's own records.
fn records(bytes: &[u8]) {
    let found = nsdb::reread(bytes).unwrap_or_else(|difference| panic!("{difference}"));
    assert!(found.refused.iter().all(|words| !words.is_empty()), "{found:?}");
    if let Some(root) = found.root {
        let next = root.revision.next();
        assert!(root.revision.get() > 0 && next >= root.revision, "{root:?}");
    }
}

/// As the shards of a topology: those of an example, with bytes changed, under their names or others.
fn shards(feed: &mut Feed<'_>) {
    let all = example_shards();
    let mut shards = all[feed.below(all.len())].clone();
    for _ in 0..feed.byte() % 4 {
        let at = feed.below(shards.len());
        let (name, bytes) = &mut shards[at];
        match feed.byte() {
            0 => *name = String::from_utf8_lossy(feed.bytes(16)).into_owned(),
            1 => bytes.truncate(usize::from(feed.u16()) % (bytes.len() + 1)),
            2 => *bytes = feed.bytes(255).to_vec(),
            3 => bytes.extend(feed.bytes(3)),
            4 => *bytes = all[feed.below(all.len())][0].1.clone(),
            more => change(bytes, feed, more % 8),
        }
    }
    match from_shards(shards.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))) {
        Ok(stored) => take(&stored.description),
        Err(error) => {
            let text = error.to_string();
            assert!(
                shards
                    .iter()
                    .any(|(name, _)| text.contains(name.as_str()) || text.contains(&format!("{name:?}")))
            );
        }
    }
}

fn change(bytes: &mut [u8], feed: &mut Feed<'_>, times: u8) {
    for _ in 0..times {
        let at = usize::from(feed.u16()) % bytes.len().max(1);
        if let Some(byte) = bytes.get_mut(at) {
            *byte = feed.byte();
        }
    }
}

/// What a client may have published, with parts that no file declares.
fn declared(feed: &mut Feed<'_>) {
    let all = example_descriptions();
    let example = serde_json::to_value(&all[feed.below(all.len())]).expect("a description is written");
    if let Ok(description) = serde_json::from_value(changed(feed, &example)) {
        take(&description);
    }
}

/// A description that came from a store: it is compiled or refused in words; what is compiled is kept as it is, and an engine runs on it.
pub(super) fn take(description: &Description) {
    match Topology::build(description) {
        Ok(topology) => {
            assert_eq!(topology.description(), description);
            let stored = Stored::from(description.clone());
            let again = to_shards(&stored).unwrap_or_else(|error| panic!("{error}: {description:?}"));
            let again = from_shards(again.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
            assert_eq!(again.expect("what was written is read"), stored);
        }
        Err(mistakes) => {
            assert!(!mistakes.is_empty());
            assert!(mistakes.iter().all(|mistake| !mistake.text.is_empty()), "{mistakes:?}");
        }
    }
    let host = description.hosts.first().map_or("gw1", |host| &host.name);
    let mut engine = Engine::new(Settings::new(host));
    engine.handle(
        NOW,
        Input::Topology {
            revision: 1,
            description: Box::new(description.clone()),
            numbers: None,
            built: None,
        },
    );
    look(&mut engine);
}

/// As saved addresses, and into an engine that knows their ports or does not.
fn addresses(bytes: &[u8]) {
    let read = nsdb::reread_document::<Vec<SavedAddress>>(1, bytes);
    match read.unwrap_or_else(|difference| panic!("{difference}")) {
        Ok(addresses) => restore(0, addresses),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Saved addresses at ports that there are, with any ages and VLANs.
fn known_addresses(feed: &mut Feed<'_>) {
    let all = example_descriptions();
    let number = feed.below(all.len());
    let names: Vec<String> =
        all[number].trunks.iter().chain(&all[number].ports).map(|port| port.name.clone()).collect();
    let mut addresses = Vec::new();
    while !feed.is_empty() && addresses.len() < 64 {
        addresses.push(SavedAddress {
            mac: MacAddr([2, 0, 0, 0, 0, feed.byte()]),
            port: names[feed.below(names.len())].clone(),
            vid: Vid::new(feed.pick(&[0, 8, 5, 10, 100, 4094])),
            inner: feed.pick(&[0, 8, 10, 4095, u16::MAX]),
            age_ms: feed.pick(&[0, 1_000, 299_999, 300_001, u64::MAX, u64::MAX / 1_000_000]),
            mobility: if feed.byte() > 250 { u64::MAX } else { 0 },
        });
    }
    restore(number, addresses);
}

/// What an engine takes of saved addresses it has, and saves again.
fn restore(example: usize, addresses: Vec<SavedAddress>) {
    let description = &example_descriptions()[example];
    let mut engine = Engine::new(Settings::new(description.hosts[0].name.as_str()));
    engine
        .handle(NOW, Input::Observed { vports: Vec::new(), flows: Vec::new(), tunnel: None, groups: vec![] });
    engine.handle(NOW, Input::Saved(addresses.clone()));
    engine.handle(
        NOW,
        Input::Topology {
            revision: 1,
            description: Box::new(description.clone()),
            numbers: None,
            built: None,
        },
    );
    for saved in engine.save(NOW) {
        let is_there = |one: &&SavedAddress| (one.mac, one.vid) == (saved.mac, saved.vid);
        assert!(addresses.iter().any(|one| is_there(&one)), "{saved:?} was not among {addresses:?}");
    }
    look(&mut engine);
}

/// As an event of the journal.
fn events(bytes: &[u8]) {
    if let Ok(event) = serde_json::from_slice::<Event>(bytes) {
        let again = serde_json::to_vec(&event).expect("an event is written");
        assert_eq!(serde_json::from_slice::<Event>(&again).expect("and read"), event);
        assert!(!event.to_string().is_empty() && !event.kind().is_empty(), "{event:?}");
    }
}

/// As the record of a run, a line an input, played to an engine.
fn run(bytes: &[u8]) {
    let mut engine = Engine::new(Settings::new("gw1"));
    for text in bytes.split(|byte| *byte == b'\n').take(MOST_LINES) {
        let Ok(line) = serde_json::from_slice::<Line>(text) else { continue };
        let again = serde_json::to_string(&line).expect("a line is written");
        assert_eq!(serde_json::from_str::<Line>(&again).expect("and read"), line);
        engine.handle(Instant::from_nanos(line.at), line.input);
        while engine.poll_output().is_some() {}
    }
    look(&mut engine);
}

/// Time goes by; everything that can be shown is.
pub(super) fn look(engine: &mut Engine) {
    for _ in 0..3 {
        engine.handle(NOW + std::time::Duration::from_secs(400), Input::Tick);
        while let Some(output) = engine.poll_output() {
            assert!(serde_json::to_string(&output).is_ok(), "{output:?}");
        }
    }
    let status = engine.view().status(NOW);
    let views = (
        everything::<PortView>(engine, NOW),
        everything::<TrunkView>(engine, NOW),
        everything::<BridgeView>(engine, NOW),
    );
    let more = (
        everything::<MacView>(engine, NOW),
        everything::<FlowView>(engine, NOW),
        everything::<CounterView>(engine, NOW),
    );
    assert!(serde_json::to_string(&(status, views, more)).is_ok());
}

/// What the examples declare.
pub(super) fn example_descriptions() -> &'static [Description] {
    static ALL: OnceLock<Vec<Description>> = OnceLock::new();
    ALL.get_or_init(examples::descriptions)
}

/// Names and bytes.
type Shards = Vec<(String, Vec<u8>)>;

/// The shards of each example.
pub(super) fn example_shards() -> &'static [Shards] {
    static ALL: OnceLock<Vec<Shards>> = OnceLock::new();
    let written = |description: &Description| {
        let shards = to_shards(&Stored::from(description.clone())).expect("an example is kept");
        shards.into_iter().map(|(name, bytes)| (name.to_string(), bytes)).collect()
    };
    ALL.get_or_init(|| example_descriptions().iter().map(written).collect())
}

const NOW: Instant = Instant::from_secs(1_000);
/// Inputs of one record.
const MOST_LINES: usize = 64;
