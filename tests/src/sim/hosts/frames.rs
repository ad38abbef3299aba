//! Frames of stations, and what may become of a copy of one.

use std::collections::BTreeMap;

use crate::lab::frames::{Frame, Mac};

/// A port of a host.
pub(super) type Site = (String, String);

/// A frame that a station sent.
#[derive(Debug, Clone)]
pub(super) struct Shot {
    /// Its VLAN.
    pub vlan: u16,
    /// From whom.
    pub src: Mac,
    /// To whom.
    pub dst: Mac,
    /// Its EtherType.
    pub kind: u16,
    /// The ports that it went into: several trunks, where the fabric floods it.
    pub into: Vec<Site>,
}

/// What was sent, by number, and where copies came out.
#[derive(Debug, Default)]
pub(super) struct Shots {
    of: BTreeMap<u32, Shot>,
    copies: BTreeMap<(u32, Site), usize>,
    last: u32,
}

impl Shots {
    /// The frame's number.
    pub(super) fn add(&mut self, shot: Shot) -> u32 {
        self.last += 1;
        self.of.insert(self.last, shot);
        self.last
    }

    /// The bytes of a frame as it goes into a trunk, or a port of the VLAN.
    pub(super) fn bytes(&self, number: u32, is_trunk: bool) -> Vec<u8> {
        let shot = &self.of[&number];
        let frame = Frame::new(shot.src, shot.dst);
        let frame = if is_trunk { frame.tag(shot.vlan, 0) } else { frame };
        frame.payload(shot.kind, &payload(number))
    }

    /// The bytes of the frame that was sent last.
    pub(super) fn last_bytes(&self, is_trunk: bool) -> Vec<u8> {
        self.bytes(self.last, is_trunk)
    }

    /// Which frame this is or was; `None` if none of a station.
    pub(super) fn number_of(frame: &[u8]) -> Option<u32> {
        let at = frame.len().checked_sub(PAYLOAD)?;
        let number = frame[at..at + 4].try_into().ok().map(u32::from_be_bytes)?;
        (frame[at..] == payload(number)).then_some(number)
    }

    /// A copy left by a port, which is a trunk or on this VLAN there: whether it may.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn note(
        &mut self,
        site: &Site,
        vlan: Option<u16>,
        frame: &[u8],
    ) -> Result<Option<u32>, String> {
        let is_trunk = site.1.starts_with("leaf");
        let Some(number) = Shots::number_of(frame) else {
            // Trunks get announcements of ours.
            return if is_trunk {
                Ok(None)
            } else {
                Err(format!("{site:?} got what nobody sent: {frame:02x?}"))
            };
        };
        let shot = self.of.get(&number).ok_or_else(|| format!("{site:?} got {number}, which nobody sent"))?;
        if !is_trunk && vlan != Some(shot.vlan) {
            return Err(format!("a frame of VLAN {} came to {site:?}, which is on {vlan:?}", shot.vlan));
        }
        if frame != self.bytes(number, is_trunk) {
            return Err(format!("{site:?} got frame {number} as {frame:02x?}"));
        }
        let from_trunk = shot.into.iter().any(|(_, port)| port.starts_with("leaf"));
        if shot.into.contains(site) || (from_trunk && is_trunk) {
            return Err(format!("frame {number} came back by {site:?}"));
        }
        let copies = self.copies.entry((number, site.clone())).or_default();
        *copies += 1;
        if *copies > shot.into.len() {
            return Err(format!("{site:?} got frame {number} {copies} times"));
        }
        Ok(Some(number))
    }
}

fn payload(number: u32) -> [u8; PAYLOAD] {
    let mut payload = [0xa5; PAYLOAD];
    payload[..4].copy_from_slice(&number.to_be_bytes());
    payload
}

/// Bytes behind the EtherType.
const PAYLOAD: usize = 46;
