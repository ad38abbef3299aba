//! Flow keys and masks (enum ovs_key_attr).
//!
//! A key is a list of attributes. A tag is three of them: ETHERTYPE (its TPID), VLAN (its TCI, where the DEI bit says that there
//! is a tag) and ENCAP, a nested list that goes on behind the tag; two tags at most. A missing ETHERTYPE stands for an 802.3
//! length field. A mask has the same attributes in the same places.
//!
//! What the kernel makes of a mask (`net/openvswitch/flow_netlink.c`):
//! - Whether there is a first and a second tag, and their TPIDs, are always matched ("always match on tci"), consulted or not.
//!   [`widen`] says what a mask comes to, so a dumped mask can be compared with one that was asked for.
//! - ETHERTYPE behind the tags is matched exactly as soon as the mask has the attribute, whatever its value, and not at all
//!   without it. A dump shows a wildcarded type as 0 in the key, which the kernel refuses to take back; [`resendable`] mends that.
//! - A mask attribute whose bytes are all zero counts as absent, and an ENCAP without content has no bytes but zeros; its VLAN would
//!   then be refused as unexpected. The kernel gathers attributes of all levels, so RECIRC_ID stands in the innermost one.
//! - DEI cannot be matched, and is lost in a dumped key.
//! - A frame that ends inside its second tag is to the kernel one with a single tag and that tag's TPID as its type; with less than two
//!   bytes behind the first tag, the kernel drops it before any datapath sees it.

use std::iter::zip;
use std::net::IpAddr;

use vlan::addr::MacAddr;
use vlan::frame::{Header, MAX_TAGS};
use vlan::tag::{Tag, Tpid};
use vlan::verdict::{Consulted, TagFields};

use super::action::VLAN_CFI_MASK;
use super::nla::{NlaIter, NlaWriter, malformed};
use super::tunnel::{self, OVS_KEY_ATTR_TUNNEL};
use super::{FlowKey, Malformed, VportNo};
use crate::tunnel::TunnelKey;

/// What a key or a mask says, its nesting undone.
#[derive(Debug, Clone, Default)]
pub(super) struct Layers<'a> {
    in_port: Option<u32>,
    recirc: Option<u32>,
    /// Source, then destination (struct ovs_key_ethernet).
    ethernet: Option<[u8; 12]>,
    /// TPID and TCI of each tag.
    tags: [Option<(u16, u16)>; MAX_TAGS],
    ether_type: Option<u16>,
    /// How it came from another host.
    tunnel: Option<NlaIter<'a>>,
    /// The list that it was read from.
    list: NlaIter<'a>,
}

impl<'a> Layers<'a> {
    /// Reads a list of key attributes.
    ///
    /// # Errors
    /// An attribute is broken, or there are more than two tags.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Layers<'a>, Malformed> {
        let list = NlaIter::new(bytes);
        let mut layers = Layers { list: list.clone(), ..Layers::default() };
        layers.read_level(list, 0)?;
        Ok(layers)
    }

    /// The arrival port.
    pub(super) fn vport(&self) -> Option<VportNo> {
        self.in_port.map(VportNo)
    }

    /// How many tags there are.
    pub(super) fn tags(&self) -> usize {
        self.tags.iter().flatten().count()
    }

    /// How a frame with this key came from another host, and the address that it was sent to; none if it came by a link.
    ///
    /// # Errors
    /// The kernel does not say it all.
    pub(super) fn tunnel(&self) -> Result<Option<(TunnelKey, IpAddr)>, Malformed> {
        self.tunnel.clone().map(tunnel::read_key).transpose()
    }

    /// Whether a list of actions gave the frame back to be looked up under this number; 0 for a frame from the wire.
    pub(super) fn recirc(&self) -> u32 {
        self.recirc.unwrap_or(0)
    }

    /// The key as a header; a field that the flow's mask leaves out reads as zero, and DEI always does.
    ///
    /// # Errors
    /// No arrival port or addresses; a tag with a TPID that we do not speak.
    pub(super) fn header(&self) -> Result<Header, Malformed> {
        let ethernet = self.ethernet.ok_or_else(|| malformed("key without addresses".into()))?;
        let [a, b, c, d, e, f, dst @ ..] = ethernet;
        let mut header = Header {
            dst: MacAddr(dst),
            src: MacAddr([a, b, c, d, e, f]),
            tags: Default::default(),
            ether_type: self.ether_type.unwrap_or(0),
        };
        for (tpid, tci) in self.tags.iter().flatten() {
            let tpid = Tpid::from_ether_type(*tpid)
                .ok_or_else(|| malformed(format!("tag with TPID {tpid:#06x} in a key")))?;
            // `tags` has as many places here as there.
            let _ = header.tags.try_push(Tag::from_wire(tpid, tci & !VLAN_CFI_MASK));
        }
        Ok(header)
    }

    fn read_level(&mut self, mut list: NlaIter<'a>, depth: usize) -> Result<(), Malformed> {
        let (mut ether_type, mut tci, mut encap) = (None, None, None);
        while let Some(nla) = list.split() {
            match nla.kind {
                OVS_KEY_ATTR_IN_PORT => self.in_port = Some(nla.u32()?),
                OVS_KEY_ATTR_RECIRC_ID => self.recirc = Some(nla.u32()?),
                OVS_KEY_ATTR_ETHERNET => self.ethernet = Some(nla.bytes()?),
                OVS_KEY_ATTR_TUNNEL => self.tunnel = Some(nla.nested()),
                OVS_KEY_ATTR_ETHERTYPE => ether_type = Some(nla.be16()?),
                OVS_KEY_ATTR_VLAN => tci = Some(nla.be16()?),
                OVS_KEY_ATTR_ENCAP => encap = Some(nla),
                _ => {}
            }
        }
        list.end()?;
        let Some((tci, encap)) = tci.zip(encap) else {
            self.ether_type = ether_type;
            return Ok(());
        };
        let place = self.tags.get_mut(depth);
        let place = place.ok_or_else(too_many_tags)?;
        *place = Some((ether_type.unwrap_or(0), tci));
        self.read_level(encap.nested(), depth + 1)
    }

    /// The mask as fields, if it is one that [`encode_mask`] makes for a key with these many tags, of a frame that came from another host
    /// or not.
    pub(super) fn consulted(&self, tags: usize, has_tunnel: bool) -> Option<Consulted> {
        let ethernet = self.ethernet?;
        let (src, dst) = ethernet.split_at(6);
        let is_ours = self.in_port == Some(u32::MAX)
            && self.recirc == Some(u32::MAX)
            && src.iter().all(|byte| *byte == 0xff)
            && self.tags() == tags
            && is_open_beside_layers(self.list.clone(), 0);
        if !is_ours {
            return None;
        }
        let mut consulted = widen(&Consulted::default(), tags, has_tunnel);
        consulted.class = self.class(has_tunnel)?;
        consulted.dst = all_or_none(dst, 0xff)?;
        consulted.ether_type = match self.ether_type {
            None | Some(0) => false,
            Some(0xffff) => true,
            Some(_) => return None,
        };
        for (fields, tag) in zip(&mut consulted.tags, &self.tags) {
            let Some((_, tci)) = tag else { continue };
            *fields = tag_fields(*tci)?;
        }
        Some(consulted)
    }

    /// Whether the class counts in a mask, if what it says of other hosts is ours. The kernel tells something of them even where the key
    /// has nothing.
    fn class(&self, has_tunnel: bool) -> Option<bool> {
        match &self.tunnel {
            Some(mask) if has_tunnel => tunnel::read_mask(mask.clone()),
            None if has_tunnel => None,
            None => Some(false),
            Some(mask) => mask.clone().all(|nla| nla.is_ok_and(|nla| is_zero(nla.payload))).then_some(false),
        }
    }
}

/// The key of a flow in a dump: the part of it that its mask lets through.
pub(super) fn read_masked(
    key: &[u8],
    mask: Option<&[u8]>,
) -> Result<(FlowKey, Option<Consulted>), Malformed> {
    let layers = Layers::read(key)?;
    let mask = mask.map(Layers::read).transpose()?;
    let is_type_open = mask.as_ref().is_some_and(|mask| mask.ether_type.is_none_or(|bits| bits == 0));
    let vport = layers.vport().ok_or_else(|| malformed("flow key without arrival port".into()))?;
    let tunnel = layers.tunnel()?.map(|(tunnel, _)| tunnel);
    let flow_key = FlowKey {
        vport,
        header: layers.header()?,
        tunnel,
        recirc: layers.recirc(),
        opaque: if is_type_open { resendable(key).into() } else { key.into() },
    };
    Ok((flow_key, mask.and_then(|mask| mask.consulted(layers.tags(), tunnel.is_some()))))
}

fn too_many_tags() -> Malformed {
    malformed(format!("key with more than {MAX_TAGS} tags"))
}

/// Appends the mask for a key. Arrival port, source address and recirculation id are always exact, and of a frame from another host both
/// ends and the VNI.
pub(super) fn encode_mask(message: &mut NlaWriter, kind: u16, key: &FlowKey, consulted: &Consulted) {
    // As many as the kernel's own form of the key has: who reads one makes sure of that.
    let tags = key.header.tags.len();
    message.nest(kind, |mask| {
        if let Some(tunnel) = key.tunnel {
            tunnel::put_mask(mask, tunnel.remote, consulted.class);
        }
        mask.put_u32(OVS_KEY_ATTR_IN_PORT, u32::MAX);
        let mut ethernet = [0xff; 12];
        ethernet[6..].fill(if consulted.dst { 0xff } else { 0 });
        mask.put(OVS_KEY_ATTR_ETHERNET, &ethernet);
        encode_level(mask, &consulted.tags[..tags.min(MAX_TAGS)], consulted.ether_type);
    });
}

/// What the kernel makes of a mask for a key with `tags` tags: it always matches how many there are and their TPIDs. Of a tag
/// that is not there, there is nothing else to know; of a frame that came from no other host there is no class.
pub(super) fn widen(consulted: &Consulted, tags: usize, has_tunnel: bool) -> Consulted {
    let mut wide = Consulted { class: consulted.class && has_tunnel, ..*consulted };
    for (depth, fields) in wide.tags.iter_mut().enumerate() {
        *fields = match depth < tags {
            true => TagFields { presence: true, ..*fields },
            false => TagFields { presence: true, vid: true, pcp: true },
        };
    }
    wide
}

/// Whether frames came alike as far as it counts: by a link both, or from one host with one VNI, and in one class if that counts.
pub(super) fn came_alike(one: Option<TunnelKey>, other: Option<TunnelKey>, has_class: bool) -> bool {
    let counted = |key: TunnelKey| (key.remote, key.vni, has_class.then_some(key.class));
    one.map(counted) == other.map(counted)
}

/// A dumped key whose EtherType is wildcarded, without the type 0 that the kernel shows and does not take back.
fn resendable(key: &[u8]) -> Vec<u8> {
    let mut writer = NlaWriter::default();
    copy_without_type(&mut writer, NlaIter::new(key));
    // Shorter than the key, so no attribute is too long.
    writer.finish().unwrap_or_default()
}

fn copy_without_type(writer: &mut NlaWriter, list: NlaIter<'_>) {
    let has_tag = list.clone().flatten().any(|nla| nla.kind == OVS_KEY_ATTR_VLAN);
    for nla in list.flatten() {
        match nla.kind {
            OVS_KEY_ATTR_ENCAP => writer.nest(nla.kind, |inner| copy_without_type(inner, nla.nested())),
            OVS_KEY_ATTR_ETHERTYPE if !has_tag => {}
            _ => writer.put(nla.kind, nla.payload),
        }
    }
}

/// Appends the key of frames with these tags that were given back under a number; the rest of it is for no mask to count.
pub(super) fn encode_recirculated(message: &mut NlaWriter, kind: u16, tags: &[Tpid], number: u32) {
    message.nest(kind, |key| {
        key.put(OVS_KEY_ATTR_ETHERNET, &[0; 12]);
        encode_recirculated_level(key, tags, number);
    });
}

fn encode_recirculated_level(key: &mut NlaWriter, tags: &[Tpid], number: u32) {
    let Some((tpid, inner)) = tags.split_first() else {
        return key.put_u32(OVS_KEY_ATTR_RECIRC_ID, number);
    };
    key.put_be16(OVS_KEY_ATTR_ETHERTYPE, tpid.ether_type());
    key.put_be16(OVS_KEY_ATTR_VLAN, VLAN_CFI_MASK);
    key.nest(OVS_KEY_ATTR_ENCAP, |key| encode_recirculated_level(key, inner, number));
}

/// Appends the mask for a key of [`encode_recirculated`] with `tags` tags: any port, any addresses, any type.
pub(super) fn encode_recirculated_mask(message: &mut NlaWriter, kind: u16, tags: usize) {
    let open = [TagFields::default(); MAX_TAGS];
    message.nest(kind, |mask| encode_level(mask, &open[..tags.min(MAX_TAGS)], false));
}

fn encode_level(mask: &mut NlaWriter, tags: &[TagFields], has_type: bool) {
    let Some((tag, inner)) = tags.split_first() else {
        mask.put_u32(OVS_KEY_ATTR_RECIRC_ID, u32::MAX);
        if has_type {
            mask.put_be16(OVS_KEY_ATTR_ETHERTYPE, 0xffff);
        }
        return;
    };
    mask.put_be16(OVS_KEY_ATTR_ETHERTYPE, 0xffff);
    mask.put_be16(OVS_KEY_ATTR_VLAN, tci_mask(*tag));
    mask.nest(OVS_KEY_ATTR_ENCAP, |mask| encode_level(mask, inner, has_type));
}

fn tci_mask(tag: TagFields) -> u16 {
    VLAN_CFI_MASK | if tag.vid { VID_MASK } else { 0 } | if tag.pcp { PCP_MASK } else { 0 }
}

fn tag_fields(tci: u16) -> Option<TagFields> {
    let all_or_none = |mask: u16| (tci & mask == mask || tci & mask == 0).then_some(tci & mask != 0);
    all_or_none(VLAN_CFI_MASK)?.then_some(())?;
    Some(TagFields { presence: true, vid: all_or_none(VID_MASK)?, pcp: all_or_none(PCP_MASK)? })
}

fn all_or_none(bytes: &[u8], all: u8) -> Option<bool> {
    let first = *bytes.first()?;
    (bytes.iter().all(|byte| *byte == first) && (first == all || first == 0)).then_some(first == all)
}

/// Whether a mask lets everything through in what is not in [`Layers`]. It does not where there are more levels than tags.
fn is_open_beside_layers(list: NlaIter<'_>, depth: usize) -> bool {
    list.flatten().all(|nla| match nla.kind {
        OVS_KEY_ATTR_IN_PORT
        | OVS_KEY_ATTR_RECIRC_ID
        | OVS_KEY_ATTR_ETHERNET
        | OVS_KEY_ATTR_ETHERTYPE
        | OVS_KEY_ATTR_VLAN
        | OVS_KEY_ATTR_TUNNEL => true,
        OVS_KEY_ATTR_ENCAP => depth < MAX_TAGS && is_open_beside_layers(nla.nested(), depth + 1),
        _ => is_zero(nla.payload),
    })
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// enum ovs_key_attr.
const OVS_KEY_ATTR_ENCAP: u16 = 1;
pub(super) const OVS_KEY_ATTR_IN_PORT: u16 = 3;
const OVS_KEY_ATTR_ETHERNET: u16 = 4;
const OVS_KEY_ATTR_VLAN: u16 = 5;
const OVS_KEY_ATTR_ETHERTYPE: u16 = 6;
const OVS_KEY_ATTR_RECIRC_ID: u16 = 20;

/// 802.1Q 9.6.
const VID_MASK: u16 = 0x0fff;
const PCP_MASK: u16 = 0xe000;
