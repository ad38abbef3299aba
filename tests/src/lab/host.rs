//! The stations at both ends: physical hosts with 802.1Q interfaces, and VMs.

use std::net::IpAddr;

use super::frames::{Mac, Tpid};
use super::netns::Netns;
use super::tap::Tap;
use super::veth;

/// A machine with one network card, `eth0`, in a namespace of its own. Plug it in with [`Station::card`] as the far end of a
/// switch port, or make it with its cable by [`Station::vm`].
#[derive(Debug)]
pub struct Station {
    netns: Netns,
}

impl Station {
    /// A physical host without a cable.
    ///
    /// # Panics
    /// The process may not make namespaces.
    pub fn physical(name: &str) -> Self {
        Self { netns: Netns::new(name) }
    }

    /// A VM whose card is the far end of `link`, new in the namespace of its hypervisor.
    ///
    /// # Panics
    /// The name of the link is taken or too long.
    pub fn vm(name: &str, hypervisor: &Netns, link: &str) -> Self {
        let vm = Self::physical(name);
        veth::connect((hypervisor, link), vm.card());
        vm
    }

    /// Its card, as the end of a cable.
    pub fn card(&self) -> veth::End<'_> {
        (&self.netns, CARD)
    }

    /// Gives the card an address in untagged frames.
    ///
    /// # Panics
    /// There is no cable, or the kernel refuses the address.
    pub fn with_address(self, address: IpAddr, prefix: u8) -> Self {
        self.netns.links().add_address(CARD, address, prefix);
        self
    }

    /// Gives the card an address in one VLAN, by a sub-interface `vlanVID`, made when it is first needed.
    ///
    /// # Panics
    /// There is no cable, or the kernel refuses the address.
    pub fn with_vlan_address(self, vid: u16, address: IpAddr, prefix: u8) -> Self {
        let link = self.vlan(vid);
        self.netns.links().add_address(&link, address, prefix);
        self
    }

    /// The name of the card's 802.1Q sub-interface for one VLAN, made if there is none.
    ///
    /// # Panics
    /// There is no cable, or the kernel has no 802.1Q.
    pub fn vlan(&self, vid: u16) -> String {
        let link = format!("vlan{vid}");
        if !self.netns.links().has(&link) {
            self.netns.links().add_vlan(CARD, &link, Tpid::Customer, vid);
        }
        link
    }

    /// The hardware address of the card.
    ///
    /// # Panics
    /// There is no cable.
    pub fn mac(&self) -> Mac {
        self.netns.links().mac(CARD)
    }

    /// Frames in and out of the card, tags included.
    ///
    /// # Panics
    /// There is no cable.
    pub fn tap(&self) -> Tap {
        self.netns.tap(CARD)
    }

    /// The namespace that it is in, to ping from or to change its links.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }
}

const CARD: &str = "eth0";
