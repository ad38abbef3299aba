//! Sites that are alike and differ in size: VLANs of three ports each behind one trunk.
//!
//! ```text
//!   leaf1 [ dc1 ]──VLAN n──[ vn ]── pn-0, pn-1, pn-2         [ extra ]── e0, e1, … where ports are added
//! ```

use std::fmt::Write as _;

use agent::input::SavedAddress;
use vlan::addr::MacAddr;
use vlan::vid::Vid;

use crate::lab::frames::{Frame, Mac};

/// A site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct World {
    /// Its VLANs, 1 to 4 094.
    pub vlans: u16,
}

impl World {
    /// Ports of VMs; the trunk is one more.
    pub fn ports(self) -> usize {
        usize::from(self.vlans) * PORTS_A_VLAN
    }

    /// The name of a VM's port and of its link; the next VLAN after each third.
    pub fn port(self, number: usize) -> String {
        let number = number % self.ports();
        format!("p{}-{}", number / PORTS_A_VLAN + 1, number % PORTS_A_VLAN)
    }

    /// Every link of the site.
    pub fn links(self) -> Vec<String> {
        let ports = (0..self.ports()).map(|number| self.port(number));
        ports.chain([TRUNK.to_owned()]).collect()
    }

    /// The configuration file.
    pub fn file(self) -> String {
        let mut file = String::from("[hosts.gw1]\n[bridges.dc1]\nkind = \"vlan-aware\"\n");
        file += &entry("trunks", TRUNK, "dc1");
        for vid in 1..=self.vlans {
            let bridge = format!("v{vid}");
            // Writing into a String does not fail.
            let _ = write!(
                file,
                "[bridges.{bridge}]\nkind = \"vlan-unaware\"\n[[vlans]]\nbridge = \"dc1\"\nvid = {vid}\nto = \"{bridge}\"\n"
            );
            let first = usize::from(vid - 1) * PORTS_A_VLAN;
            for number in first..first + PORTS_A_VLAN {
                file += &entry("ports", &self.port(number), &bridge);
            }
        }
        file
    }

    /// The same with ports more, on a bridge of their own.
    pub fn file_with_more(self, ports: usize) -> String {
        let mut file = self.file() + "[bridges.extra]\nkind = \"vlan-unaware\"\n";
        for link in extra_links(ports) {
            file += &entry("ports", &link, "extra");
        }
        file
    }

    /// The same with one key of one port changed.
    pub fn file_with_a_change(self) -> String {
        let port = entry("ports", &self.port(0), "v1");
        self.file().replace(&port, &format!("{port}priority-tags = true\n"))
    }

    /// The first frame of the conversation `number`: from the VM at a port to an address that nobody has.
    pub fn first_frame(self, port: usize, number: u32) -> Vec<u8> {
        let [a, b, c, d] = number.to_be_bytes();
        Frame::new(vm(port), [0x52, 0x56, a, b, c, d]).payload(0x0800, &[1; 46])
    }

    /// Addresses behind the trunk as an earlier run has saved them, shared out over the VLANs.
    pub fn saved(self, count: u32) -> Vec<SavedAddress> {
        let address = |number: u32| {
            let [a, b, c, d] = number.to_be_bytes();
            let vid = 1 + (number % u32::from(self.vlans)) as u16;
            SavedAddress {
                mac: MacAddr([0x52, 0x55, a, b, c, d]),
                port: TRUNK.to_owned(),
                vid: Vid::new(vid),
                inner: 0,
                age_ms: 0,
                mobility: 0,
            }
        };
        (0..count).map(address).collect()
    }
}

/// The links of ports that are added.
pub fn extra_links(ports: usize) -> Vec<String> {
    (0..ports).map(|number| format!("e{number}")).collect()
}

fn entry(kind: &str, name: &str, bridge: &str) -> String {
    format!("[[{kind}]]\nname = \"{name}\"\nbridge = \"{bridge}\"\nhost = \"gw1\"\nlink = \"{name}\"\n")
}

/// The address of the VM at a port.
fn vm(port: usize) -> Mac {
    let [a, b, c, d] = (port as u32).to_be_bytes();
    [0x52, 0x54, a, b, c, d]
}

/// The trunk and its link.
pub const TRUNK: &str = "leaf1";
/// VMs in each VLAN.
pub const PORTS_A_VLAN: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_right_and_differ_in_what_they_say() {
        let world = World { vlans: 4 };
        let read = |file: &str| l2gw::config::parse("gateway.toml", file).expect("a file that is right");
        let ports = |file: &str| read(file).topology.ports().len();
        assert_eq!(ports(&world.file()), world.links().len());
        assert_eq!(ports(&world.file_with_more(50)), world.links().len() + 50);
        assert_ne!(read(&world.file_with_a_change()).description, read(&world.file()).description);
    }
}
