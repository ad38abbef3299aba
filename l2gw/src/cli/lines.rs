//! Where a file declares the ports that a traced frame meets.

use std::collections::HashMap;

use agent::revisions::Published;
use agent::tree::Tree;
use agent::view::TraceView;
use vlan::model::mistake::{ObjectKey, Table};

use crate::config::{self, Config, StoreSaid};

/// The line of each port and trunk of a file.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    file: String,
    of_ports: HashMap<String, usize>,
}

impl Lines {
    /// Of a file.
    pub(crate) fn of(config: &Config) -> Lines {
        let line = |table, index| Some(config.places.position(&ObjectKey { table, index, key: "" })?.line);
        let trunks = config.description.trunks.iter().enumerate().map(|port| (Table::Trunks, port));
        let ports = config.description.ports.iter().enumerate().map(|port| (Table::Ports, port));
        let of_ports = trunks
            .chain(ports)
            .filter_map(|(table, (index, port))| Some((port.name.clone(), line(table, index)?)))
            .collect();
        Lines { file: config.file.clone(), of_ports }
    }

    /// The lines of the file that a revision was published from. There are none if its text was not kept, or says something else.
    pub(crate) fn of_revision(published: &Published) -> Lines {
        read(published).as_ref().map(Lines::of).unwrap_or_default()
    }

    /// Adds them to the steps of a story.
    pub(crate) fn add_to(&self, story: &mut TraceView) {
        for about in &mut story.about {
            about.declared_at = self.of_port(&about.port);
        }
        story.elsewhere.iter_mut().for_each(|elsewhere| self.add_to(&mut elsewhere.story));
    }

    /// Where a port or trunk is declared: `gateway.toml:14`.
    pub(crate) fn of_port(&self, name: &str) -> Option<String> {
        self.of_ports.get(name).map(|line| format!("{}:{line}", self.file))
    }
}

/// The file that a revision was published from. `None` if its text declares something else: whoever published it may have sent any.
pub(crate) fn read(published: &Published) -> Option<Config> {
    let text = published.text.as_ref()?;
    // What it said of stores is not kept with it.
    let config = config::parse_as(&text.file, &text.text, StoreSaid::Elsewhere).ok()?;
    // Whatever did not come from a file is not in it.
    let (of_file, _) = published.topology.clone().apart(&published.sources);
    (Tree::from(&config.description).digest() == of_file.digest()).then_some(config)
}
