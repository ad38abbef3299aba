//! What a host reads of a revision: its list, the bridges on it, what can be reached by them, and the hosts that have ports there.

use std::collections::BTreeSet;

use super::{BRIDGES, DocumentError, HOSTS, LISTS, NUMBERS, PARTS, Reading, SETTINGS, Stored};

/// What a host has read of a revision so far. What it asks for next follows from that: of a bridge only its own shards say what else can
/// be reached by it.
pub(crate) struct ShareReading<'h> {
    host: &'h str,
    read: Reading,
    stage: Stage,
    /// Bridges whose shards were asked for.
    bridges: BTreeSet<String>,
}

enum Stage {
    Beginning,
    Bridges,
    Hosts,
    /// The revision has no lists.
    Whole,
}

impl<'h> ShareReading<'h> {
    pub(crate) fn new(host: &'h str) -> ShareReading<'h> {
        ShareReading { host, read: Reading::default(), stage: Stage::Beginning, bridges: BTreeSet::new() }
    }

    /// The shards that are to be taken next, as [`nsdb::Documents::names`] takes them; none at the end.
    pub(crate) fn next(&mut self) -> Vec<String> {
        let host = self.host;
        match self.stage {
            Stage::Beginning => {
                self.stage = Stage::Bridges;
                let list = [format!("{LISTS}{host}"), format!("{LISTS}{host}/")];
                let own = [NUMBERS.to_owned(), SETTINGS.to_owned(), format!("{HOSTS}{host}")];
                list.into_iter().chain(own).collect()
            }
            Stage::Bridges if !self.read.has_lists => {
                (self.stage, self.read) = (Stage::Whole, Reading::default());
                vec![String::new()]
            }
            Stage::Bridges => {
                let unread = self.unread();
                if unread.is_empty() {
                    self.stage = Stage::Hosts;
                    return self.hosts();
                }
                let shards = |bridge: &String| [format!("{BRIDGES}{bridge}"), format!("{PARTS}{bridge}/")];
                let next = unread.iter().flat_map(shards).collect();
                self.bridges.extend(unread);
                next
            }
            Stage::Hosts | Stage::Whole => Vec::new(),
        }
    }

    /// Takes one of the shards that were asked for.
    ///
    /// # Errors
    /// As [`super::from_shards`].
    pub(crate) fn take(&mut self, name: &str, bytes: &[u8]) -> Result<(), DocumentError> {
        self.read.take(name, bytes)
    }

    /// The host's share; the whole of a revision without lists.
    ///
    /// # Errors
    /// A bridge that can be reached is not there.
    pub(crate) fn finish(self) -> Result<Stored, DocumentError> {
        let mut stored = self.read.finish();
        if !matches!(self.stage, Stage::Whole) {
            let there: BTreeSet<&String> =
                stored.description.bridges.iter().map(|bridge| &bridge.name).collect();
            if let Some(missing) = self.bridges.iter().find(|bridge| !there.contains(bridge)) {
                let why = format!("is missing, and host {} needs it", self.host);
                return Err(DocumentError::Shard { name: format!("{BRIDGES}{missing}"), why });
            }
            stored.description = stored.description.share(&self.bridges);
        }
        Ok(stored)
    }

    fn unread(&self) -> BTreeSet<String> {
        let Reading { description, listed, led_from, .. } = &self.read;
        let reached = description.reach(self.host, listed.iter().map(String::as_str), led_from);
        reached.into_iter().filter(|bridge| !self.bridges.contains(*bridge)).map(str::to_owned).collect()
    }

    /// The other hosts that have ports on its bridges. Who is no host of the topology asks which there are, to say so.
    fn hosts(&self) -> Vec<String> {
        if !self.read.description.hosts.iter().any(|host| host.name == self.host) {
            return vec![HOSTS.to_owned()];
        }
        let of_hosts = self.read.description.bridges_of_hosts();
        of_hosts.into_keys().filter(|host| *host != self.host).map(|host| format!("{HOSTS}{host}")).collect()
    }
}
