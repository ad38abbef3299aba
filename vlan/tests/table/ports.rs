//! Bridges and ports as the table writes them: a kind, then settings in any order.

use std::collections::BTreeMap;
use std::time::Duration;

use vlan::addr::MacAddr;
use vlan::model::defaults::{DEFAULT_AGEING, DEFAULT_BRIDGE_MAC_LIMIT, DEFAULT_FABRIC};
use vlan::model::description::{
    BpduPolicy, Bridge, BridgeKind, Mode, NativeInner, OnLimit, Port, Redundancy, Storm, TagPolicy, TrunkMode,
};
use vlan::tag::{Pcp, Tpid};
use vlan::vid::Vid;

use super::words;

/// The words of a line, taken one after another.
pub type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

/// `NAME [unaware] [vni N] [fabric F] [redundancy R] [tpid 88a8] [join-vids] [ageing S] [limit N]`.
pub fn bridge(text: &str) -> Result<Bridge, String> {
    let mut words = text.split_whitespace().peekable();
    let name = next(&mut words, "a name")?.to_owned();
    let (mut fabric, mut redundancy) = (DEFAULT_FABRIC.to_owned(), Redundancy::Designated);
    let (mut tpid, mut join_vids, mut is_aware) = (Tpid::Customer, false, true);
    let mut vni = None;
    let (mut ageing, mut mac_limit) = (DEFAULT_AGEING, DEFAULT_BRIDGE_MAC_LIMIT);
    while let Some(word) = words.next() {
        match word {
            "unaware" => is_aware = false,
            "join-vids" => join_vids = true,
            "fabric" => fabric = next(&mut words, "a fabric")?.to_owned(),
            "tpid" => tpid = tpid_named(next(&mut words, "a TPID")?)?,
            "ageing" => ageing = Duration::from_secs(number(&mut words)?),
            "limit" => mac_limit = number(&mut words)?,
            "vni" => vni = Some(number(&mut words)?),
            "redundancy" => {
                redundancy = match next(&mut words, "stp or none")? {
                    "stp" => Redundancy::Stp,
                    "none" => Redundancy::None,
                    other => return Err(format!("{other:?} is no redundancy")),
                }
            }
            other => return Err(format!("a bridge has no {other:?}")),
        }
    }
    let kind = if is_aware {
        BridgeKind::VlanAware { fabric, redundancy, tpid, join_vids }
    } else {
        BridgeKind::VlanUnaware { vni }
    };
    Ok(Bridge { name, ageing, mac_limit, renamed_from: None, mtu: None, kind })
}

fn tpid_named(word: &str) -> Result<Tpid, String> {
    match word {
        "8100" => Ok(Tpid::Customer),
        "88a8" => Ok(Tpid::Service),
        other => Err(format!("{other:?} is no TPID")),
    }
}

/// A port `name` of `bridge` on `host`: `trunk`, `access`, `qinq` or nothing (a VUB's), then its settings.
pub fn port(name: &str, bridge: &str, host: &str, text: &str) -> Result<Port, String> {
    let mut words = text.split_whitespace().peekable();
    let mut port = Port::plain(name, bridge, host, name);
    port.mode = mode(&mut words)?;
    while let Some(word) = words.next() {
        match (word, &mut port.mode) {
            ("native", Mode::Trunk(trunk)) => trunk.native = Some(vid(&mut words)?),
            ("native-tagged", Mode::Trunk(trunk)) => trunk.native_tagged = true,
            ("native-inner=pass", Mode::Trunk(trunk)) => trunk.native_inner = NativeInner::Pass,
            ("translate", Mode::Trunk(trunk)) => trunk.translate = translation(&mut words)?,
            ("customer-vlans", Mode::Qinq { customer_vlans, .. }) => {
                *customer_vlans = Some(words::vids(next(&mut words, "VIDs")?)?);
            }
            ("pcp", Mode::Qinq { pcp, .. }) => *pcp = Pcp::new(number(&mut words)?),
            ("priority-tags", _) => port.priority_tags = true,
            ("isolated", _) => port.isolated = true,
            ("tags=drop", Mode::Plain) => port.tags = Some(TagPolicy::Drop),
            ("sticky", _) => port.sticky = Some(number(&mut words)?),
            ("flood-unknown=no", _) => port.flood.withholds_unknown = true,
            ("bpdu=discard", _) => port.bpdu = BpduPolicy::Discard,
            ("macs", _) => port.macs = addresses(next(&mut words, "addresses")?)?,
            ("shared-macs", _) => port.shared_macs = addresses(next(&mut words, "addresses")?)?,
            ("limit", _) => port.mac_limit = Some(number(&mut words)?),
            ("on-limit=drop", _) => port.on_limit = OnLimit::Drop,
            ("on-limit=flood", _) => port.on_limit = OnLimit::Flood,
            ("no-link", _) => port.link.clear(),
            ("host", _) => port.host = next(&mut words, "a host")?.to_owned(),
            ("storm", _) => port.storm = Some(storm(next(&mut words, "B/M/U")?)?),
            (other, _) => return Err(format!("this port has no {other:?}")),
        }
    }
    Ok(port)
}

fn mode(words: &mut Words<'_>) -> Result<Mode, String> {
    Ok(match words.next_if(|word| matches!(*word, "plain" | "access" | "qinq" | "trunk")) {
        Some("access") => Mode::Access { vid: Some(vid(words)?) },
        Some("qinq") => Mode::Qinq { vid: Some(vid(words)?), customer_vlans: None, pcp: None },
        Some("trunk") => {
            let listed = words.next_if(|word| word.starts_with(|c: char| c.is_ascii_digit()));
            Mode::Trunk(TrunkMode {
                vlans: listed.map(words::vids).transpose()?,
                weight: 1,
                ..TrunkMode::default()
            })
        }
        _ => Mode::Plain,
    })
}

fn next<'a>(words: &mut Words<'a>, what: &str) -> Result<&'a str, String> {
    words.next().ok_or_else(|| format!("the line ends where {what} should be"))
}

fn number<T: std::str::FromStr>(words: &mut Words<'_>) -> Result<T, String> {
    let word = next(words, "a number")?;
    word.parse().map_err(|_| format!("{word:?} is no number"))
}

fn vid(words: &mut Words<'_>) -> Result<Vid, String> {
    let number = number(words)?;
    Vid::new(number).ok_or_else(|| format!("{number} is no usable VID"))
}

/// `108=9,109=10`: wire VID, bridge VID.
fn translation(words: &mut Words<'_>) -> Result<BTreeMap<Vid, Vid>, String> {
    let text = next(words, "WIRE=VID")?;
    let pair = |pair: &str| {
        let (wire, vid) = pair.split_once('=')?;
        Some((Vid::new(wire.parse().ok()?)?, Vid::new(vid.parse().ok()?)?))
    };
    text.split(',').map(|each| pair(each).ok_or_else(|| format!("{each:?} is not WIRE=VID"))).collect()
}

fn addresses(text: &str) -> Result<Vec<MacAddr>, String> {
    text.split(',').map(words::address).collect()
}

/// Packets a second of broadcast, multicast and unknown unicast.
fn storm(text: &str) -> Result<Storm, String> {
    let rates: Vec<u32> = text.split('/').filter_map(|rate| rate.parse().ok()).collect();
    match rates[..] {
        [broadcast, multicast, unknown] => Ok(Storm { broadcast, multicast, unknown }),
        _ => Err(format!("{text:?} is not BROADCAST/MULTICAST/UNKNOWN")),
    }
}
