//! What is right in a file, but not run by this version. `check` warns of it. Whoever would run the file refuses it, in the same words.

use agent::config::store::Stores;
use agent::config::unrun::File;
use agent::reader::finding::Finding;
use vlan::model::description::{DatapathKind, Host};

/// Something that this version does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unrun {
    /// Where it is and what.
    pub finding: Finding,
    /// The host that it is about; `None` for all of them.
    pub host: Option<String>,
}

/// Everything in a file that this version does not run, in no order.
pub(super) fn unrun(file: &File<'_, '_>, stores: &Stores, hosts: &[Host]) -> Vec<Unrun> {
    let of_all = |finding| Unrun { finding, host: None };
    let mut all: Vec<Unrun> = file.of_stores(stores).into_iter().map(of_all).collect();
    for host in hosts.iter().filter(|host| host.datapath == DatapathKind::Ebpf) {
        let keys = ["hosts", &host.name, "datapath"];
        let finding = file.finding(&keys, ("ebpf", "\"auto\" and \"ovs\" are"));
        all.push(Unrun { finding, host: Some(host.name.clone()) });
    }
    all
}
