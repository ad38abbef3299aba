//! Which hosts lose everything by a revision.

use std::collections::BTreeMap;

use vlan::model::description::Description;

/// Hosts that a revision takes away, or all ports of, with their ports in the revision before.
#[derive(Debug)]
pub(super) struct Taken<'a>(BTreeMap<&'a str, (&'static str, Vec<String>)>);

impl<'a> Taken<'a> {
    /// By the revision `after` the one `before`.
    pub(super) fn between(before: Option<&'a Description>, after: &Description) -> Taken<'a> {
        let Some(before) = before else { return Taken(BTreeMap::new()) };
        let (had, has) = (ports_by_host(before), ports_by_host(after));
        let mut taken = BTreeMap::new();
        for host in before.agents() {
            let name = host.name.as_str();
            let ports = had.get(name).cloned().unwrap_or_default();
            if !after.agents().any(|host| host.name == name) {
                taken.insert(name, ("is no host of it", ports));
            } else if !ports.is_empty() && !has.contains_key(name) {
                taken.insert(name, ("has no port in it", ports));
            }
        }
        Taken(taken)
    }

    /// Whether this host is taken away, or all its ports.
    pub(super) fn has(&self, host: &str) -> bool {
        self.0.contains_key(host)
    }

    /// What a revision takes away from this host, in words, and the ports that the host had; `None` if nothing.
    pub(super) fn of(&self, host: &str) -> Option<(&'static str, Vec<String>)> {
        self.0.get(host).cloned()
    }
}

fn ports_by_host(description: &Description) -> BTreeMap<&str, Vec<String>> {
    let mut all = BTreeMap::<&str, Vec<String>>::new();
    for port in description.trunks.iter().chain(&description.ports) {
        all.entry(&port.host).or_default().push(port.name.clone());
    }
    all
}
