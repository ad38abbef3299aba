//! Which hosts lose everything by a revision.

use std::collections::BTreeMap;

use vlan::model::description::Description;

use super::DoorError;

/// Hosts that a revision takes away, or all ports of, with their ports in the revision before.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    hosts: BTreeMap<&'a str, (&'static str, Vec<String>)>,
    /// Where there is no revision before, there is nothing to be lost.
    is_first: bool,
    after: &'a Description,
}

impl<'a> Taken<'a> {
    /// By the revision `after` the one `before`.
    pub(super) fn between(before: Option<&'a Description>, after: &'a Description) -> Taken<'a> {
        let mut hosts = BTreeMap::new();
        let (had, has) = (before.map(ports_by_host).unwrap_or_default(), ports_by_host(after));
        for host in before.into_iter().flat_map(Description::agents) {
            let name = host.name.as_str();
            let ports = had.get(name).cloned().unwrap_or_default();
            if !after.agents().any(|host| host.name == name) {
                hosts.insert(name, ("is no host of it", ports));
            } else if !ports.is_empty() && !has.contains_key(name) {
                hosts.insert(name, ("has no port in it", ports));
            }
        }
        Taken { hosts, is_first: before.is_none(), after }
    }

    /// Refuses what takes away the host that `runs`, unless it is among those that are `named`. Where none runs, refuses what leaves nothing
    /// at all, unless every host that loses by it is named.
    pub(super) fn check(&self, runs: Option<&str>, named: &[String]) -> Result<(), DoorError> {
        let is_named = |host: &str| named.iter().any(|named| named == host);
        if self.after.hosts.is_empty() && self.after.bridges.is_empty() {
            self.check_nothing(runs, is_named)?;
        }
        if let Some(host) = runs.filter(|host| self.is_first && !self.after.agents().any(|a| a.name == *host))
        {
            let known = self.after.agents().map(|host| host.name.clone()).collect();
            return Err(DoorError::NoHost { host: host.to_owned(), known });
        }
        if let Some(host) = named.iter().find(|host| !self.hosts.contains_key(host.as_str())) {
            return Err(DoorError::Stays { host: host.clone() });
        }
        match runs.and_then(|host| Some((host, self.hosts.get(host)?.clone()))) {
            Some((host, (what, ports))) if !is_named(host) => {
                Err(DoorError::Takes { host: host.to_owned(), what, ports })
            }
            _ => Ok(()),
        }
    }

    /// The same of a revision that declares nothing.
    fn check_nothing(&self, runs: Option<&str>, is_named: impl Fn(&str) -> bool) -> Result<(), DoorError> {
        match runs {
            Some(host) if !is_named(host) => Err(DoorError::Nothing { host: host.to_owned() }),
            None if !self.hosts.keys().all(|host| is_named(host)) => {
                let hosts = self.hosts.keys().map(|host| (*host).to_owned()).collect();
                Err(DoorError::NothingAnywhere { hosts })
            }
            _ => Ok(()),
        }
    }
}

fn ports_by_host(description: &Description) -> BTreeMap<&str, Vec<String>> {
    let mut all = BTreeMap::<&str, Vec<String>>::new();
    for port in description.trunks.iter().chain(&description.ports) {
        all.entry(&port.host).or_default().push(port.name.clone());
    }
    all
}
