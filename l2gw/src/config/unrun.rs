//! What is right in a file and not run by this version: `check` warns of it, and whoever would run the file refuses it, in the same words.

use toml::de::{DeTable, DeValue};
use vlan::model::description::{DatapathKind, Host};

use super::finding::Finding;
use super::position::{Position, Positions};
use super::section::path_of;
use super::store::{Journal, JournalBackend, Nsdb};

/// Something that this version does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unrun {
    /// Where it is and what.
    pub finding: Finding,
    /// The host that it is about; `None` for all of them.
    pub host: Option<String>,
}

/// Everything in a file that this version does not run, in no order.
pub(super) fn unrun(
    root: &DeTable<'_>,
    positions: &Positions<'_>,
    (nsdb, journal): (&Nsdb, &Journal),
    hosts: &[Host],
) -> Vec<Unrun> {
    let file = File { root, positions };
    let mut all = Vec::new();
    if matches!(nsdb, Nsdb::ZooKeeper { .. }) {
        let finding = file.finding(&["nsdb", "backend"], ("zookeeper", "\"embedded\" is"));
        all.push(Unrun { finding, host: None });
    }
    if matches!(journal.backend, JournalBackend::Cassandra { .. }) {
        let finding = file.finding(&["journal", "backend"], ("cassandra", "\"embedded\" is"));
        all.push(Unrun { finding, host: None });
    }
    for host in hosts.iter().filter(|host| host.datapath == DatapathKind::Ebpf) {
        let keys = ["hosts", &host.name, "datapath"];
        let finding = file.finding(&keys, ("ebpf", "\"auto\" and \"ovs\" are"));
        all.push(Unrun { finding, host: Some(host.name.clone()) });
    }
    all
}

struct File<'f, 'a> {
    root: &'f DeTable<'a>,
    positions: &'f Positions<'f>,
}

impl File<'_, '_> {
    fn finding(&self, keys: &[&str], (value, instead): (&str, &str)) -> Finding {
        let Position { line, column } = self.position(keys).unwrap_or(Position { line: 0, column: 0 });
        let key = keys.iter().fold(String::new(), |path, key| path_of(&path, key));
        let text = format!("\"{value}\" is checked but not run by this version, {instead}");
        Finding { line, column, key, text }
    }

    fn position(&self, keys: &[&str]) -> Option<Position> {
        let (last, tables) = keys.split_last()?;
        let mut table = self.root;
        for key in tables {
            let DeValue::Table(inner) = table.get(*key)?.get_ref() else { return None };
            table = inner;
        }
        Some(self.positions.at(table.get(*last)?.span().start))
    }
}
