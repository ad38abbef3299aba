//! The difference between two descriptions: in the file's words, and what changes for frames.

use std::sync::Arc;

use serde::Serialize;
use vlan::model::description::Description;
use vlan::model::topology::Topology;

use crate::cli::declared::{Key, Word, declared};
use crate::cli::frames::{self, FrameChange};

/// What a change would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// What changes in the file's words, complete: `+ vlans dc1.200: to = "vub200"`, `~ bridges.dc1.ageing: 300s -> 600s`, `- ports.vm1`. A
    /// key that is not written and has no default is `unset`.
    pub objects: Vec<String>,
    /// What changes for a broadcast frame of each port and VLAN. Where a tag is payload, the same change for tagged frames is left out.
    pub frames: Vec<FrameChange>,
    /// Hosts that have ports before and none after.
    pub hosts_without_ports: Vec<String>,
}

impl Difference {
    /// The difference from `before` to `after`; `before` may be empty. Another version may have stored a `before` that does not build here.
    /// For frames it then counts as empty.
    pub fn new(before: &Description, after: &Arc<Topology>) -> Difference {
        let old = Topology::build(before).or_else(|_| Topology::build(&Description::default()));
        let frames = old.map(|old| frames::changes(&Arc::new(old), after)).unwrap_or_default();
        let after = after.description();
        let hosts_without_ports = emptied_hosts(before, after);
        Difference { objects: objects(before, after), frames, hosts_without_ports }
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.frames.is_empty()
    }

    /// All of it, a line each: hosts that lose all of their ports, objects, and what changes for frames.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.hosts_without_ports.iter().map(|host| emptied(host)).collect();
        lines.extend(self.objects.iter().map(|line| format!("  {line}")));
        if !self.frames.is_empty() {
            lines.push("for a broadcast frame:".to_owned());
        }
        lines.extend(frames::lines(&self.frames).iter().map(|line| format!("  {line}")));
        lines
    }
}

fn emptied(host: &str) -> String {
    format!("  {host} loses all of its ports; where {host} runs, `l2gw apply` asks for --without-host {host}")
}

fn emptied_hosts(before: &Description, after: &Description) -> Vec<String> {
    let (had, has) = (before.agents_with_ports(), after.agents_with_ports());
    had.difference(&has).map(|host| (*host).to_owned()).collect()
}

fn objects(before: &Description, after: &Description) -> Vec<String> {
    let (old, new) = (declared(before), declared(after));
    let gone = old.keys().filter(|path| !new.contains_key(*path)).map(|path| format!("- {path}"));
    let mut lines: Vec<String> = gone.collect();
    for (path, object) in &new {
        match old.get(path) {
            None => lines.push(new_object(path, &object.keys())),
            // Nearly all are as they were, and a port has some thirty keys.
            Some(was) if was == object => {}
            Some(was) => lines.extend(changed_keys(path, &was.keys(), &object.keys())),
        }
    }
    lines
}

fn new_object(path: &str, keys: &[Key]) -> String {
    let written = keys.iter().filter(|key| key.is_written());
    let written = written.filter_map(|key| Some(format!("{} = {}", key.name, key.value.as_ref()?.as_toml())));
    let written = written.collect::<Vec<_>>().join(", ");
    if written.is_empty() { format!("+ {path}") } else { format!("+ {path}: {written}") }
}

fn changed_keys(path: &str, was: &[Key], is: &[Key]) -> Vec<String> {
    // The same kind of object has the same keys in the same order.
    let is_changed =
        |(was, is): &(&Key, &Key)| was.value != is.value && (was.is_written() || is.is_written());
    let pairs = was.iter().zip(is).filter(is_changed);
    pairs
        .map(|(was, is)| {
            format!("~ {path}.{}: {} -> {}", is.name, said(was.value.as_ref()), said(is.value.as_ref()))
        })
        .collect()
}

fn said(value: Option<&Word>) -> String {
    value.map_or("unset".to_owned(), Word::to_string)
}

#[cfg(test)]
mod tests;
