//! What an operator sees of the engine. Nothing that is shown takes longer where there is more of it: what may be long comes in pages
//! ([`crate::page`]), and what is put together from them is put together elsewhere ([`crate::list`]).

use vlan::addr::MacAddr;
use vlan::model::port::Port;
use vlan::model::value::quote;
use vlan::time::Instant;
use vlan::vid::Vid;

use super::Engine;
use super::flows::Flows;
use super::truth::Truth;
use crate::input::Command;
use crate::page::Selection;
use crate::view::{StatusView, StoreAway};

mod bridges;
mod counters;
mod flows;
mod macs;
mod ports;
#[cfg(test)]
mod tests;
mod trace;

/// What an operator sees of an engine at a moment.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    engine: &'a Engine,
    truth: &'a Truth,
    flows: &'a Flows,
}

impl<'a> View<'a> {
    pub(super) fn of(engine: &'a Engine) -> View<'a> {
        View { engine, truth: &engine.truth, flows: &engine.flows }
    }

    /// The whole at a glance.
    pub fn status(&self, now: Instant) -> StatusView {
        let (mut ports, mut ports_up, mut down) = (0, 0, Vec::new());
        for port in self.own_ports() {
            ports += 1;
            if self.truth.links.standings.of(port.id).why_not.is_none() {
                ports_up += 1;
            } else if down.len() < NAMED {
                down.push(port.name.clone());
            }
        }
        let (revision, book) = (self.engine.revision, &self.flows.cache.book);
        let Progress { settled, .. } = self.progress();
        StatusView {
            host: self.engine.settings.host.clone(),
            revision,
            settled,
            unread: self.engine.unread.clone(),
            unconfirmed: None,
            store_away: self
                .engine
                .store_away
                .as_ref()
                .map(|(since, why)| StoreAway { seconds: now.since(*since).as_secs(), why: why.clone() }),
            namesake: self.engine.namesake.clone(),
            no_such_host: self.truth.other_hosts().filter(|_| revision > 0),
            others: self.truth.others.view(self.truth.switch.topology(), &self.truth.overlay),
            feed: self.truth.feed.view(),
            datapath: self.engine.settings.datapath.clone(),
            ports_up,
            ports,
            down,
            addresses: self.truth.switch.fdb.addresses.len(),
            flows: book.len(),
            outstanding: self.engine.outbox.unanswered(),
        }
    }

    /// How far the host is with the newest revision: what costs little to ask.
    pub fn progress(&self) -> Progress {
        let revision = self.engine.revision;
        let is_fresh = self.flows.heritage.in_force.is_none() && self.flows.cache.book.is_fresh();
        let unread = self.engine.unread.as_ref().map(|unread| unread.revision);
        let heard = self.truth.others.heard(&self.truth.overlay);
        Progress { revision, settled: revision > 0 && is_fresh, unread, heard }
    }

    /// The numbers of the other hosts that are heard, rising.
    pub fn hears(&self) -> Vec<u32> {
        self.truth.others.hears(self.truth.switch.topology(), &self.truth.overlay)
    }

    /// The port of that name, or the port of this host on the link of that name.
    ///
    /// # Errors
    /// There is no such port; the text has the nearest name.
    pub fn find_port(&self, name: &str) -> Result<&'a Port, String> {
        let topology = self.truth.switch.topology();
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
                if self.truth.blocks.why(&port).is_none() {
                    return Err(NoCommand::Pointless(format!("{port} is not blocked")));
                }
                Command::Unblock { port }
            }
        })
    }

    fn choose(&self, selection: &Selection) -> Result<Chosen<'a>, String> {
        let port = selection.port.as_deref().map(|name| self.find_port(name)).transpose()?;
        Ok(Chosen { port, vlan: selection.vlan, mac: selection.mac })
    }

    /// Whether a segment is, or leads to, a VLAN of any bridge.
    fn is_of_vlan(&self, segment: u32, vlan: Vid) -> bool {
        let segments = self.truth.switch.topology().segments();
        let segment = segments.get(segment as usize);
        segment.is_some_and(|segment| segment.domains.iter().any(|domain| domain.vid == Some(vlan)))
    }

    fn own_ports(&self) -> impl Iterator<Item = &'a Port> + use<'a> {
        let host = self.truth.switch.host();
        self.truth.switch.topology().ports().iter().filter(move |port| port.host == host)
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

/// How far a host is with the newest revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The revision in force; 0 before the first.
    pub revision: u64,
    /// Whether every flow is as that revision has it.
    pub settled: bool,
    /// A newer one that is not in force and will not be.
    pub unread: Option<u64>,
    /// How many other hosts are heard.
    pub heard: usize,
}

/// What is wanted, found.
struct Chosen<'a> {
    port: Option<&'a Port>,
    vlan: Option<Vid>,
    mac: Option<MacAddr>,
}

/// Ports that are named where more may be down.
const NAMED: usize = 8;
