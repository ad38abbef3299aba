//! The network that most tests of the gateway are about: a trunk with VLANs 5, 7 and 8, a VM in VLAN 5 and two in VLAN 8.
//!
//! ```text
//!   leaf1 [ dc1 ]──VLAN 5──[ vub5 ]── vm5
//!         [     ]──VLAN 8──[ vub8 ]── vm8
//!         [     ]──VLAN 7       └──── vm8b
//! ```

use super::frames::{Frame, Mac, Tpid};
use super::testbed::{Side, Testbed};

/// Its file; VLAN 7 is allowed on the trunk and mapped to nothing.
pub fn file() -> String {
    let mut file = String::from(
        "[hosts.gw1]\n[bridges.dc1]\nkind = \"vlan-aware\"\n[bridges.vub5]\nkind = \"vlan-unaware\"\n[bridges.vub8]\nkind = \"vlan-unaware\"\n\
         [[vlans]]\nbridge = \"dc1\"\nvid = 5\nto = \"vub5\"\n[[vlans]]\nbridge = \"dc1\"\nvid = 8\nto = \"vub8\"\n\
         [[trunks]]\nname = \"leaf1\"\nbridge = \"dc1\"\nhost = \"gw1\"\nlink = \"leaf1\"\nvlans = [\"5\", \"7\", \"8\"]\n",
    );
    for (port, bridge) in [("vm5", "vub5"), ("vm8", "vub8"), ("vm8b", "vub8")] {
        file += &format!(
            "[[ports]]\nname = \"{port}\"\nbridge = \"{bridge}\"\nhost = \"gw1\"\nlink = \"{port}\"\n"
        );
    }
    file
}

/// Its file with the VM port `port` on another bridge: `vm5` on `vub8`, say.
///
/// # Panics
/// It has no such VM port.
pub fn file_with_port_on(port: &str, bridge: &str) -> String {
    let file = file();
    let head = format!("name = \"{port}\"\nbridge = \"");
    let at = file.find(&head).unwrap_or_else(|| panic!("no port {port}")) + head.len();
    format!("{}{bridge}{}", &file[..at], &file[at + "vub5".len()..])
}

/// Its file with a second trunk into the same fabric, on link `leaf2`.
pub fn file_with_second_trunk() -> String {
    file()
        + "\n[[trunks]]\nname = \"leaf2\"\nbridge = \"dc1\"\nhost = \"gw1\"\nlink = \"leaf2\"\nvlans = [\"5\", \"7\", \"8\"]\n"
}

/// A conversation between `phys`, in VLAN 8 of the trunk, and `vm` on vm8, known both ways and in flows; its frames there and back.
///
/// # Panics
/// A frame does not go where it must, or elsewhere too.
pub fn establish(testbed: &Testbed, phys: Mac, vm: Mac) -> (Vec<u8>, Vec<u8>) {
    let there = Frame::new(phys, vm).tag(8, 0).payload(0x0800, &[5; 46]);
    let back = Frame::new(vm, phys).payload(0x0800, &[5; 46]);
    testbed.deliver("leaf1", &there);
    testbed.deliver("vm8", &back);
    for _ in 0..2 {
        assert_eq!(testbed.deliver("leaf1", &there).len(), 1, "to vm8 alone");
        assert_eq!(testbed.deliver("vm8", &back).len(), 1, "to leaf1 alone");
    }
    (there, back)
}

/// Its ports: markers of `leaf1` come out at `vm8`, those of the VMs at `leaf1`.
pub const SIDES: [(&str, Side); 4] =
    [("leaf1", tagged(8, "vm8")), ("vm5", plain("leaf1")), ("vm8", plain("leaf1")), ("vm8b", plain("leaf1"))];

/// A port whose markers have an 802.1Q tag.
pub const fn tagged(vid: u16, witness: &'static str) -> Side {
    Side { tag: Some((Tpid::Customer, vid)), witness }
}

/// A port whose markers are untagged.
pub const fn plain(witness: &'static str) -> Side {
    Side { tag: None, witness }
}
