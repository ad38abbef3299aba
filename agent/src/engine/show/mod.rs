//! What an operator sees of the engine. Nothing that is shown takes longer where there is more of it: what may be long comes in pages
//! ([`crate::page`]), and what is put together from them is put together elsewhere ([`crate::list`]).

use vlan::addr::MacAddr;
use vlan::model::id::Location;
use vlan::model::port::Port;
use vlan::model::value::quote;
use vlan::time::Instant;
use vlan::vid::Vid;

use super::Engine;
use crate::input::Command;
use crate::page::Wanted;
use crate::view::StatusView;

mod bridges;
mod counters;
mod flows;
mod macs;
mod ports;
#[cfg(test)]
mod tests;
mod trace;

impl Engine {
    /// The whole at a glance.
    pub fn status(&self, _now: Instant) -> StatusView {
        let (mut ports, mut ports_up, mut down) = (0, 0, Vec::new());
        for port in self.own_ports() {
            ports += 1;
            if self.links.standing(port.id).why_not.is_none() {
                ports_up += 1;
            } else if down.len() < NAMED {
                down.push(port.name.clone());
            }
        }
        StatusView {
            host: self.settings.host.clone(),
            revision: self.revision,
            settled: self.revision > 0 && self.heritage.in_force.is_none() && self.book.is_fresh(),
            unread: self.unread.clone(),
            datapath: self.settings.datapath.clone(),
            ports_up,
            ports,
            down,
            addresses: self.switch.fdb.addresses.len(),
            flows: self.book.len(),
            outstanding: self.asked.len(),
        }
    }

    /// Where an address is, in words: a port, the trunks of a fabric, or another host.
    pub(super) fn place_name(&self, location: Location) -> String {
        let topology = self.switch.topology();
        match location {
            Location::Port { port, .. } => topology.port(port).name.clone(),
            Location::Fabric { fabric, .. } => match topology.fabric_name(fabric) {
                // Where trunks stand for themselves, the group of one is called after it.
                trunk if trunk.starts_with("trunk ") => trunk["trunk ".len()..].to_owned(),
                fabric => format!("trunks of {fabric}"),
            },
            Location::Host(host) => format!("host {}", topology.hosts()[host.0 as usize].name),
        }
    }

    /// The port of that name, or the port of this host on the link of that name.
    ///
    /// # Errors
    /// There is no such port; the text has the nearest name.
    pub fn find_port(&self, name: &str) -> Result<&Port, String> {
        let topology = self.switch.topology();
        let on_link = || self.own_ports().find(|port| port.link == name);
        topology.port_named(name).or_else(on_link).ok_or_else(|| {
            let names = topology.ports().iter().map(|port| port.name.as_str());
            let near = vlan::model::nearest::nearest(name, names);
            let hint = near.map(|near| format!(", did you mean {near:?}?")).unwrap_or_default();
            format!("{} is no port of the topology in force, nor a link of one{hint}", quote(name))
        })
    }

    /// A command with the port's own name, where that of its link was given.
    ///
    /// # Errors
    /// There is no such port, or nothing to be done.
    pub fn understand(&self, command: Command) -> Result<Command, NoCommand> {
        let find = |name: &str| self.find_port(name).map(|port| port.name.clone()).map_err(NoCommand::NoPort);
        Ok(match command {
            Command::FlushAddresses { port } => {
                Command::FlushAddresses { port: port.as_deref().map(find).transpose()? }
            }
            Command::Unblock { port } => {
                let port = find(&port)?;
                if !self.time.is_blocked(&port) {
                    return Err(NoCommand::Pointless(format!("{port} is not blocked")));
                }
                Command::Unblock { port }
            }
        })
    }

    fn choose<'a>(&'a self, wanted: &Wanted) -> Result<Chosen<'a>, String> {
        let port = wanted.port.as_deref().map(|name| self.find_port(name)).transpose()?;
        Ok(Chosen { port, vlan: wanted.vlan, mac: wanted.mac })
    }

    /// Whether a segment is, or leads to, a VLAN of any bridge.
    fn is_of_vlan(&self, segment: u32, vlan: Vid) -> bool {
        let segments = self.switch.topology().segments();
        let segment = segments.get(segment as usize);
        segment.is_some_and(|segment| segment.domains.iter().any(|domain| domain.vid == Some(vlan)))
    }

    fn own_ports(&self) -> impl Iterator<Item = &Port> {
        let host = self.switch.host();
        self.switch.topology().ports().iter().filter(move |port| port.host == host)
    }
}

/// Why a command is not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoCommand {
    /// It names a port that there is not.
    NoPort(String),
    /// It would change nothing.
    Pointless(String),
}

/// What is wanted, found.
struct Chosen<'a> {
    port: Option<&'a Port>,
    vlan: Option<Vid>,
    mac: Option<MacAddr>,
}

/// Ports that are named where more may be down.
const NAMED: usize = 8;
