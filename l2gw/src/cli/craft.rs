//! A frame made of its fields: `l2gw trace --src … --dst … --vid … --arp`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use clap::Args;
use vlan::addr::MacAddr;
use vlan::tag::Tpid;

/// The fields of a frame that is made.
#[derive(Debug, Clone, Default, Args)]
#[group(id = "made", multiple = true)]
pub struct Fields {
    /// Make the frame, from this source [default: 00:00:5e:00:53:01]
    #[arg(long, value_name = "MAC")]
    pub src: Option<MacAddr>,
    /// … to this destination [default: broadcast]
    #[arg(long, value_name = "MAC")]
    pub dst: Option<MacAddr>,
    /// … with this tag, or with an outer and an inner one; untagged if not given
    #[arg(long, value_name = "VID[.VID]")]
    pub vid: Option<Vids>,
    /// … with this priority in its first tag; without --vid that tag has VID 0
    #[arg(long, value_name = "0-7", value_parser = clap::value_parser!(u8).range(0..=7))]
    pub pcp: Option<u8>,
    /// … with a first tag of this type [default: 0x8100; with a FILE, that of the port's bridge]
    #[arg(long, value_name = "0x8100|0x88a8", value_parser = tpid)]
    pub tpid: Option<Tpid>,
    /// … an ARP request, for this address [default: 192.0.2.2]; so are broadcasts if nothing else is said
    #[arg(long, value_name = "IPV4", num_args = 0..=1, require_equals = true, default_missing_value = "192.0.2.2")]
    pub arp: Option<Ipv4Addr>,
    /// … an IP packet, to this address [default: 192.0.2.2]
    #[arg(long, value_name = "IP", num_args = 0..=1, require_equals = true, default_missing_value = "192.0.2.2", conflicts_with = "arp")]
    pub ip: Option<IpAddr>,
}

/// The VIDs of one tag or two, the outermost first, each 0..=4095.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vids(Vec<u16>);

impl FromStr for Vids {
    type Err = String;

    fn from_str(text: &str) -> Result<Vids, String> {
        let vids: Option<Vec<u16>> =
            text.split('.').map(|vid| number(vid).filter(|vid| *vid <= 4095)).collect();
        match vids {
            Some(vids) if vids.len() <= 2 => Ok(Vids(vids)),
            _ => Err("allowed are VID and OUTER.INNER, each 0 to 4095".to_owned()),
        }
    }
}

/// Digits only, without a sign or a leading zero.
fn number(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    is_number.then(|| text.parse().ok()).flatten()
}

fn tpid(text: &str) -> Result<Tpid, String> {
    match text {
        "0x8100" => Ok(Tpid::Customer),
        "0x88a8" => Ok(Tpid::Service),
        _ => Err("allowed are 0x8100 and 0x88a8".to_owned()),
    }
}

impl Fields {
    /// The VIDs of its tags.
    pub fn vids(&self) -> &[u16] {
        self.vid.as_ref().map_or(&[], |vids| &vids.0)
    }

    /// The frame, without FCS and at least 60 bytes long. `tpids` are the types of its first and second tag where --tpid does not say.
    pub fn frame(&self, tpids: [Tpid; 2]) -> Vec<u8> {
        let src = self.src.unwrap_or(SOURCE);
        let dst = self.dst.unwrap_or(MacAddr::BROADCAST);
        let mut frame = [dst.0, src.0].concat();
        for (vid, tpid, pcp) in self.tags(tpids) {
            frame.extend(tpid.ether_type().to_be_bytes());
            frame.extend((u16::from(pcp) << 13 | vid).to_be_bytes());
        }
        match (self.arp, self.ip) {
            (Some(asked), _) => arp(src, asked, &mut frame),
            (None, Some(IpAddr::V6(to))) => ipv6(to, &mut frame),
            (None, Some(IpAddr::V4(to))) => ipv4(to, &mut frame),
            (None, None) if dst.is_broadcast() => arp(src, TARGET, &mut frame),
            (None, None) => ipv4(TARGET, &mut frame),
        }
        frame.resize(frame.len().max(SHORTEST), 0);
        frame
    }

    fn tags(&self, [first, second]: [Tpid; 2]) -> Vec<(u16, Tpid, u8)> {
        let vids = match (self.vids(), self.pcp) {
            ([], Some(_)) => &[0][..],
            (vids, _) => vids,
        };
        let tpids = [self.tpid.unwrap_or(first), second];
        let pcps = [self.pcp.unwrap_or(0), 0];
        vids.iter().zip(tpids).zip(pcps).map(|((vid, tpid), pcp)| (*vid, tpid, pcp)).collect()
    }
}

/// A request (RFC 826).
fn arp(src: MacAddr, asked: Ipv4Addr, frame: &mut Vec<u8>) {
    frame.extend([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1]);
    frame.extend(src.0);
    frame.extend(SENDER.octets());
    frame.extend([0; 6]);
    frame.extend(asked.octets());
}

/// An empty UDP datagram to the discard port, without a checksum of its own (RFC 768), in IPv4 (RFC 791).
fn ipv4(to: Ipv4Addr, frame: &mut Vec<u8>) {
    let mut header =
        [&[0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0][..], &SENDER.octets(), &to.octets()].concat();
    let sum: u32 = header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !(((folded & 0xffff) + (folded >> 16)) as u16);
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    frame.extend([0x08, 0x00]);
    frame.extend(header);
    frame.extend([0, 9, 0, 9, 0, 8, 0, 0]);
}

/// A header with nothing behind it (RFC 8200 4.7).
fn ipv6(to: Ipv6Addr, frame: &mut Vec<u8>) {
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, 59, 64]);
    frame.extend(SENDER6.octets());
    frame.extend(to.octets());
}

/// From the ranges for documentation: RFC 7042 2.1.2, RFC 5737, RFC 3849.
const SOURCE: MacAddr = MacAddr([0x00, 0x00, 0x5e, 0x00, 0x53, 0x01]);
const SENDER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const TARGET: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const SENDER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
/// Least bytes of a frame on a wire, without FCS (802.3 4A.4.2).
const SHORTEST: usize = 60;

#[cfg(test)]
mod tests {
    use vlan::frame::Header;

    use super::*;

    fn header(fields: &Fields) -> Header {
        let frame = fields.frame([Tpid::Customer, Tpid::Customer]);
        assert!(frame.len() >= 60, "{} bytes", frame.len());
        Header::parse(&frame).unwrap()
    }

    #[test]
    fn without_words_it_is_an_untagged_arp_broadcast() {
        let header = header(&Fields::default());
        assert!(header.dst.is_broadcast() && header.tags.is_empty());
        assert_eq!((header.src, header.ether_type), (SOURCE, 0x0806));
    }

    #[test]
    fn tags_are_as_told() {
        let vid = |text: &str| Some(text.parse().unwrap());
        let tags = |fields: Fields| {
            let header = header(&fields);
            let tags = header.tags.iter().map(|tag| (tag.tpid(), tag.raw_vid(), tag.pcp().get()));
            tags.collect::<Vec<_>>()
        };
        let (c, s) = (Tpid::Customer, Tpid::Service);
        assert_eq!(tags(Fields { vid: vid("8"), ..Fields::default() }), [(c, 8, 0)]);
        let both = Fields { vid: vid("100.8"), pcp: Some(5), tpid: Some(s), ..Fields::default() };
        assert_eq!(tags(both), [(s, 100, 5), (c, 8, 0)]);
        assert_eq!(tags(Fields { pcp: Some(7), ..Fields::default() }), [(c, 0, 7)]);
        assert_eq!(tags(Fields { vid: vid("4095"), ..Fields::default() }), [(c, 4095, 0)]);
        for wrong in ["4096", "1.2.3", "", "x", "-1", "8."] {
            assert!(wrong.parse::<Vids>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn packets_are_of_their_kind() {
        let dst = Some("02:00:00:00:00:09".parse().unwrap());
        let of = |arp: Option<&str>, ip: Option<&str>| {
            let (arp, ip) = (arp.map(|ip| ip.parse().unwrap()), ip.map(|ip| ip.parse().unwrap()));
            header(&Fields { dst, arp, ip, ..Fields::default() }).ether_type
        };
        assert_eq!(of(None, None), 0x0800);
        assert_eq!(of(Some("192.0.2.7"), None), 0x0806);
        assert_eq!(of(None, Some("192.0.2.7")), 0x0800);
        assert_eq!(of(None, Some("2001:db8::7")), 0x86dd);
    }

    #[test]
    fn an_ipv4_header_sums_up() {
        let frame = Fields { ip: Some("203.0.113.77".parse().unwrap()), ..Fields::default() };
        let frame = frame.frame([Tpid::Customer; 2]);
        let sum: u32 = frame[14..34].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
    }
}
