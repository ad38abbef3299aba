//! A case as a few lines that a network engineer reads, for the report of a failure.

use std::fmt::{self, Display, Formatter};

use vlan::model::description::{
    BpduPolicy, Bridge, BridgeKind, Mode, NativeInner, Port, TagPolicy, TrunkMode,
};
use vlan::vid::VidSet;

use super::cases::Case;
use super::reference::Designated;

impl Display for Case {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for bridge in &self.description.bridges {
            writeln!(f, "bridge {}", Named(bridge))?;
        }
        for peering in &self.description.vlans {
            writeln!(f, "vlan   {} of {} to {}", peering.vid, peering.bridge, peering.to)?;
        }
        for (word, ports) in [("trunk", &self.description.trunks), ("port", &self.description.ports)] {
            for port in ports {
                let down = if self.down.contains(&port.name) { " DOWN" } else { "" };
                writeln!(f, "{word:<6} {}{down}", At(port))?;
            }
        }
        match &self.designation {
            Designated::Everyone => writeln!(f, "every trunk carries its VLANs"),
            Designated::Map(map) => {
                let each: Vec<String> =
                    map.iter().map(|((bridge, vid), trunk)| format!("{bridge}/{vid}={trunk}")).collect();
                writeln!(f, "carried by {}", each.join(" "))
            }
        }
    }
}

struct Named<'a>(&'a Bridge);

impl Display for Named<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Bridge { name, ageing, kind, .. } = self.0;
        write!(f, "{name} ageing {}", ageing.as_secs())?;
        let BridgeKind::VlanAware { fabric, redundancy, tpid, join_vids } = kind else {
            return f.write_str(" vlan-unaware");
        };
        write!(f, " vlan-aware fabric {fabric} {redundancy:?} tpid {tpid}")?;
        if *join_vids { f.write_str(" join-vids") } else { Ok(()) }
    }
}

struct At<'a>(&'a Port);

impl Display for At<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let port = self.0;
        write!(f, "{} of {}", port.name, port.bridge)?;
        match &port.mode {
            Mode::Plain => {}
            Mode::Access { vid } => write!(f, " access {vid:?}")?,
            Mode::Trunk(trunk) => write_trunk(f, trunk)?,
            Mode::Qinq { vid, customer_vlans, pcp } => {
                write!(f, " qinq {vid:?}")?;
                write_set(f, "customer-vlans", customer_vlans.as_ref())?;
                if let Some(pcp) = pcp {
                    write!(f, " pcp {pcp}")?;
                }
            }
        }
        if port.priority_tags {
            f.write_str(" priority-tags")?;
        }
        if port.isolated {
            f.write_str(" isolated")?;
        }
        if let Some(most) = port.sticky {
            write!(f, " sticky {most}")?;
        }
        if port.tags == Some(TagPolicy::Drop) {
            f.write_str(" tags=drop")?;
        }
        if port.flood.withholds_unknown {
            f.write_str(" flood-unknown=no")?;
        }
        if port.bpdu == BpduPolicy::Discard {
            f.write_str(" bpdu=discard")?;
        }
        if let Some(limit) = port.mac_limit {
            write!(f, " mac-limit {limit} {:?}", port.on_limit)?;
        }
        if port.macs.is_empty() { Ok(()) } else { write!(f, " macs {:?}", port.macs) }
    }
}

fn write_trunk(f: &mut Formatter<'_>, trunk: &TrunkMode) -> fmt::Result {
    f.write_str(" trunk")?;
    write_set(f, "vlans", trunk.vlans.as_ref())?;
    if let Some(native) = trunk.native {
        write!(f, " native {native}")?;
    }
    if trunk.native_tagged {
        f.write_str(" native-tagged")?;
    }
    if trunk.native_inner == NativeInner::Pass {
        f.write_str(" native-inner=pass")?;
    }
    for (wire, vid) in &trunk.translate {
        write!(f, " translate {wire}={vid}")?;
    }
    Ok(())
}

fn write_set(f: &mut Formatter<'_>, key: &str, set: Option<&VidSet>) -> fmt::Result {
    set.map_or(Ok(()), |set| write!(f, " {key} {set}"))
}
