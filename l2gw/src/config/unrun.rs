//! What is right in a file, but not run by this version. `check` warns of it. Whoever would run the file refuses it, in the same words.

use agent::config::file::File;
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
pub(super) fn unrun(file: &File<'_, '_>, hosts: &[Host]) -> Vec<Unrun> {
    let hosts = hosts.iter().filter(|host| host.datapath == DatapathKind::Ebpf);
    let unrun = |host: &Host| {
        let keys = ["hosts", &host.name, "datapath"];
        let finding = file.finding(&keys, ("ebpf", "\"auto\" and \"ovs\" are"));
        Unrun { finding, host: Some(host.name.clone()) }
    };
    hosts.map(unrun).collect()
}
