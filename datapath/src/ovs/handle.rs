//! One datapath of the kernel: which it is, and how it is asked.

use super::change::{Changes, exchange_each};
use super::dp::Description;
use super::families::Families;
use super::family::{DpIndex, Family, refuse, unreadable};
use super::flow::{self, Dumped, Table};
use super::socket::Home;
use super::transact::{Denial, Outbox, Transactor};
use super::tunnel::Tunnel;
use super::{Execute, Malformed, Refusal, RefusalCause, dp, first, packet, vport};

/// A datapath's name and number, and the socket for requests about it.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) name: String,
    pub(super) home: Home,
    pub(super) families: Families,
    pub(super) dp: DpIndex,
    /// The port to other hosts, if there is one.
    pub(super) tunnel: Option<Tunnel>,
    pub(super) transactor: Transactor,
}

impl Handle {
    /// The datapath as the kernel has it.
    pub(super) async fn describe(&mut self) -> Result<Description, Refusal> {
        let what = format!("describe datapath {}", self.name);
        let describe = dp::describe(self.families.datapath, self.dp);
        let replies = self.transactor.ask_written(describe).await.map_err(|denial| refuse(&*what, denial))?;
        first(&replies, dp::read).map_err(|why| unreadable(what, &why))
    }

    /// Every port but the datapath's own.
    pub(super) async fn vports(&mut self, what: &str) -> Result<Vec<vport::Description>, Refusal> {
        let list = vport::list(self.families.vport, self.dp);
        let replies = self.transactor.ask_written(list).await.map_err(|denial| refuse(what, denial))?;
        if replies.is_empty() {
            // A dump of a datapath that is gone is empty, and each datapath has its own port.
            return Err(refuse(what, Denial::Errno { errno: libc::ENODEV, message: None }));
        }
        let ports = replies.iter().map(|reply| vport::read(reply)).collect::<Result<Vec<_>, _>>();
        let mut ports = ports.map_err(|why| unreadable(what, &why))?;
        ports.retain(|port| port.port.no != vport::LOCAL);
        Ok(ports)
    }

    /// ENODEV about a port means that the port, or its link, or the datapath is not there: asks which.
    pub(super) async fn refuse_vport(&mut self, what: String, denial: Denial) -> Refusal {
        if denial.is(libc::ENODEV) && self.describe().await.is_ok() {
            return Refusal { what, cause: RefusalCause::NotFound };
        }
        refuse(what, denial)
    }

    /// Every flow: ours, those of groups, and those of other programs.
    pub(super) async fn dump(&mut self, what: &str) -> Result<Vec<Dumped>, Refusal> {
        let Table { family, dp, tunnel } = self.table();
        let mut found = Found::default();
        let mut take = |_: usize, reply: &[u8]| found.take(reply, tunnel.as_ref());
        let outcomes = exchange_each(&mut self.transactor, vec![flow::list(family, dp)], &mut take).await;
        outcomes.into_iter().collect::<Result<(), _>>().map_err(|denial| refuse(what, denial))?;
        for (place, ufid) in found.long {
            let whole = flow::describe_whole(family, dp, &ufid);
            // One that is gone meanwhile stays as it was listed, and the next list has it no more.
            let replies = self.transactor.ask_written(whole).await.unwrap_or_default();
            if let Some(Ok(whole)) = replies.first().map(|reply| flow::read(reply, tunnel.as_ref())) {
                found.flows[place] = whole;
            }
        }
        match found.broken {
            Some(why) => Err(unreadable(what, &why)),
            None => Ok(found.flows),
        }
    }

    /// Removes flows that another program put; how many of them were still there.
    pub(super) async fn remove_aliens(&mut self, aliens: &[flow::Alien]) -> u64 {
        let deletions = aliens.iter().map(|alien| flow::delete_alien(self.families.flow, self.dp, alien));
        let outcomes = exchange_each(&mut self.transactor, deletions.collect(), &mut |_, _: &[u8]| {}).await;
        outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64
    }

    /// Where its flows are.
    pub(super) fn table(&self) -> Table {
        Table { family: self.families.flow, dp: self.dp, tunnel: self.tunnel }
    }

    /// For changes of flows.
    pub(super) fn flow_changes(&mut self) -> Changes<'_> {
        let table = self.table();
        Changes { transactor: &mut self.transactor, table }
    }

    /// Orders to send frames, written.
    pub(super) fn write_frames(&mut self, frames: &[Execute]) -> Outbox {
        let mut out = self.transactor.outbox();
        let (family, tunnel) = (self.families.packet, self.tunnel.as_ref());
        frames.iter().for_each(|order| packet::execute(&mut out, family, self.dp, (order, tunnel)));
        out
    }

    /// The family of meters, if this kernel has them.
    pub(super) fn meter_family(&self, what: &str) -> Result<Family, Refusal> {
        let none = || Refusal { what: what.to_owned(), cause: RefusalCause::Unsupported };
        self.families.meter.ok_or_else(none)
    }
}

/// What a list of flows has.
#[derive(Default)]
struct Found {
    flows: Vec<Dumped>,
    /// The places of those whose actions were too long for the list, and their ids.
    long: Vec<(usize, Vec<u8>)>,
    broken: Option<Malformed>,
}

impl Found {
    fn take(&mut self, reply: &[u8], tunnel: Option<&Tunnel>) {
        match flow::read(reply, tunnel) {
            Ok(dumped) => {
                self.long.extend(flow::lacks_actions(reply).map(|ufid| (self.flows.len(), ufid)));
                self.flows.push(dumped);
            }
            Err(why) => self.broken = Some(why),
        }
    }
}
