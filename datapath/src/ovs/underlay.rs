//! The VXLAN device by which a datapath reaches all other hosts.
//!
//! The kernel keeps the device when the datapath goes, and when this program does. So it has a name that follows from the datapath's: the
//! one that an earlier run left is found again, kept if it is as it would be made, and made anew if not.

use std::net::IpAddr;

use super::family::refuse;
use super::socket::Home;
use super::transact::Denial;
use super::{Refusal, RefusalCause};
use crate::link::holder::Holder;
use crate::link::vxlan::{Vxlan, Vxlans};
use crate::tunnel::{DEVICE_PREFIX, TunnelEnd};

/// The VXLAN devices around a datapath, and the name of its own.
#[derive(Debug)]
pub(super) struct Underlay<'a> {
    home: &'a Home,
    device: String,
}

impl<'a> Underlay<'a> {
    /// That of the datapath of this name.
    pub(super) fn of(home: &'a Home, datapath: &str) -> Underlay<'a> {
        Underlay { home, device: device_of(datapath) }
    }

    /// Whether this kernel has VXLAN devices.
    pub(super) async fn are_tunnels_known(&self) -> bool {
        match Vxlans::open(self.home) {
            Ok(mut vxlans) => vxlans.are_known().await,
            Err(_) => false,
        }
    }

    /// Removes the device; whether there was one.
    ///
    /// # Errors
    /// No permission, or the kernel does not answer.
    pub(super) async fn remove(&self) -> Result<bool, Denial> {
        let mut vxlans = Vxlans::open(self.home)?;
        let own = own(vxlans.all().await?, &self.device);
        match own {
            Some(own) => vxlans.remove(own.index).await.map(|()| true),
            None => Ok(false),
        }
    }

    /// The address that the device was made for, if there is one.
    pub(super) async fn local(&self) -> Result<Option<IpAddr>, Denial> {
        let all = Vxlans::open(self.home)?.all().await?;
        Ok(own(all, &self.device).and_then(|own| own.local()))
    }

    /// Refuses an end that cannot be one of this host's, and one whose port another device has for all tunnels: two of them would share
    /// what comes in. Whether the device is there as it would be made.
    pub(super) async fn look(&self, end: TunnelEnd) -> Result<bool, Refusal> {
        let told = |denial| refuse(opening(end), denial);
        let mut vxlans = Vxlans::open(self.home).map_err(|error| told(error.into()))?;
        let no_end = |errno, message: &str| told(Denial::Errno { errno, message: Some(message.to_owned()) });
        if end.port == 0 {
            return Err(no_end(libc::EINVAL, "allowed are UDP ports 1 to 65535"));
        }
        if !vxlans.is_own_address(end.local).await.map_err(told)? {
            return Err(no_end(libc::EADDRNOTAVAIL, "it is no address of this host"));
        }
        let all = vxlans.all().await.map_err(told)?;
        if let Some(other) = holder(&all, &self.device, end).filter(|other| other.has_metadata) {
            return Err(held(end, other));
        }
        Ok(own(all, &self.device).is_some_and(|own| own.is_for(end)))
    }

    /// Makes the device.
    pub(super) async fn make(&self, end: TunnelEnd) -> Result<(), Refusal> {
        let told = |denial| refuse(opening(end), denial);
        let mut vxlans = Vxlans::open(self.home).map_err(|error| told(error.into()))?;
        let Err(denial) = vxlans.make(&self.device, end).await else { return Ok(()) };
        let is_held = denial.is(libc::EADDRINUSE) || denial.is(libc::EEXIST);
        if !is_held {
            return Err(told(denial));
        }
        let all = vxlans.all().await.map_err(told)?;
        Err(match holder(&all, &self.device, end) {
            Some(other) => held(end, other),
            None if denial.is(libc::EEXIST) => {
                busy(format!("{}, for which another link has the name {}", opening(end), self.device))
            }
            None => busy(match Holder::of_udp_port(self.home, end.port) {
                Some(process) => format!("{}, whose UDP port {process} has", opening(end)),
                None => format!("{}, whose UDP port something else has", opening(end)),
            }),
        })
    }
}

/// The datapath's device, unless another link has its name.
fn own(all: Vec<Vxlan>, device: &str) -> Option<Vxlan> {
    all.into_iter().find(|vxlan| vxlan.name == device && vxlan.has_metadata)
}

/// The device that has an end's port and is not the datapath's.
fn holder<'a>(all: &'a [Vxlan], device: &str, end: TunnelEnd) -> Option<&'a Vxlan> {
    all.iter().find(|other| other.name != device && other.port == end.port)
}

fn held(end: TunnelEnd, holder: &Vxlan) -> Refusal {
    busy(format!("{}, whose UDP port the VXLAN device {} has", opening(end), holder.name))
}

fn busy(what: String) -> Refusal {
    Refusal { what, cause: RefusalCause::Busy }
}

/// What is refused where an end cannot be opened.
pub(super) fn opening(end: TunnelEnd) -> String {
    format!("open {end}")
}

/// The name of a datapath's device, at most 15 bytes (IFNAMSIZ of `linux/if.h`). A long name is cut, and told from others by a number.
pub(super) fn device_of(datapath: &str) -> String {
    let whole = format!("{DEVICE_PREFIX}{datapath}");
    if whole.len() <= LONGEST_NAME {
        return whole;
    }
    let fits = |end: &usize| datapath.is_char_boundary(*end);
    let begin = (0..=CUT).rev().find(fits).and_then(|end| datapath.get(..end)).unwrap_or_default();
    format!("{DEVICE_PREFIX}{begin}{:08x}", number_of(datapath))
}

/// FNV-1a of 32 bits (draft-eastlake-fnv).
fn number_of(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |number, byte| (number ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

const LONGEST_NAME: usize = 15;

/// So many bytes are left of a long name: the prefix and eight digits go with it.
const CUT: usize = LONGEST_NAME - DEVICE_PREFIX.len() - 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_a_name_that_follows_from_the_datapaths() {
        assert_eq!(device_of("gw"), "vx-gw");
        assert_eq!(device_of("a-name-of-12"), "vx-a-name-of-12");
        let long = ["a-name-of-15-by", "a-name-of-15-bz", "drei-größe-l2gw", "abcéabcdefghij"].map(device_of);
        assert!(long.iter().all(|name| name.len() <= LONGEST_NAME && name.starts_with("vx-")), "{long:?}");
        assert_eq!(long[0], format!("vx-a-na{:08x}", number_of("a-name-of-15-by")));
        assert_ne!(long[0], long[1]);
    }

    #[test]
    fn a_number_is_as_in_a_test_vector_of_the_draft() {
        assert_eq!(number_of("a"), 0xe40c_292c);
    }
}
