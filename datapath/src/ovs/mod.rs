//! openvswitch.ko by generic netlink.
//!
//! neli gives the sockets; messages are our own (docs/design/dependencies.md): its router takes upcalls for answers gone astray.
//!
//! ```text
//!   attach, flows, meters, execute ──► Transactor ──► one socket ──► openvswitch.ko
//!                                                                       │ a frame without a flow
//!   upcalls ◄── Ears ◄── one socket a port ◄────────────────────────────┘
//! ```
//! Rooms: `nla` attributes, `transact` requests and answers, `family` numbers and refusals, `dp` `vport` `flow` `packet` `meter`
//! messages of one family each, `key` `action` what they are made of, `change` how flows are put, `upcall` the ears.
//!
//! The datapath, its ports and its flows outlive the process. A port's number is not used again as long as there are others (65 534
//! in all), so a flow that still names a port that is gone cannot send to another link.

mod action;
mod change;
mod dp;
mod family;
mod flow;
mod key;
mod meter;
mod nla;
mod packet;
mod socket;
mod transact;
mod upcall;
mod vport;

use std::collections::HashSet;
use std::future::{Future, poll_fn};

use vlan::verdict::Consulted;

use crate::flow::{Action, Flow, FlowChange, FlowId, FlowKey, FlowStats, MeterId, MeterRate, MeterStats};
use crate::port::{LinkIndex, Vport, VportNo, VportStats};
use crate::{Capabilities, Counters, Datapath, Execute, FlowTable, Malformed, Refusal, RefusalCause, Upcall};

use self::change::{Changes, exchange_each};
use self::family::{DpIndex, Families, Family, refuse, unreadable};
use self::flow::Dumped;
use self::socket::Home;
use self::transact::{Denial, Request, Transactor};
use self::upcall::{Ear, Ears};

/// A datapath of openvswitch.ko.
///
/// It belongs to the network namespace of the thread that called [`Ovs::open`] and goes on belonging to it, whatever thread drives
/// it later.
#[derive(Debug)]
pub struct Ovs {
    name: String,
    home: Home,
    families: Families,
    dp: DpIndex,
    transactor: Transactor,
    ears: Ears,
    /// Numbers that a port must not get: in use, or named by a flow when this value was opened.
    taken: HashSet<VportNo>,
    last_no: VportNo,
}

impl Ovs {
    /// Makes the datapath `name`, or adopts the one that there is with its ports and flows; flows of other programs that have no id
    /// or a foreign key are removed. `name` is also the name of its own link, 1 to 15 bytes.
    ///
    /// The namespace is that of the thread that calls this function (not of the one that first polls the future), and
    /// a tokio runtime is around there.
    ///
    /// # Errors
    /// No openvswitch.ko ([`RefusalCause::Unsupported`]), not permitted, the name is another link's.
    pub fn open(name: &str) -> impl Future<Output = Result<Ovs, Refusal>> + Send + use<> {
        let name = name.to_owned();
        let opened = Home::here().and_then(|home| Ok((Transactor::open(&home)?, home)));
        async move {
            let (transactor, home) = opened.map_err(|error| refuse(open_of(&name), error.into()))?;
            Ovs::set_up(name, transactor, home).await
        }
    }

    /// How often an upcall socket was found to have lost frames; how many is in [`Counters::lost`].
    pub fn overruns(&self) -> u64 {
        self.ears.overruns()
    }

    /// What a mask comes to in the kernel, and what [`FlowTable::flows`] reports of it: openvswitch.ko always matches whether there
    /// is a first and a second tag, and their TPIDs.
    pub fn effective_mask(consulted: &Consulted) -> Consulted {
        key::widen(consulted)
    }

    async fn set_up(name: String, mut transactor: Transactor, home: Home) -> Result<Ovs, Refusal> {
        let families = Families::resolve(&mut transactor).await?;
        let (dp, is_new) = find_or_create(&mut transactor, families.datapath, &name).await?;
        let ears = Ears::new(families.packet);
        let taken = HashSet::from([vport::LOCAL]);
        let mut ovs = Ovs { name, home, families, dp, transactor, ears, taken, last_no: vport::LOCAL };
        if !is_new {
            ovs.adopt().await?;
        }
        Ok(ovs)
    }

    async fn adopt(&mut self) -> Result<(), Refusal> {
        let what = || open_of(&self.name);
        let reset = dp::reset_features(self.families.datapath, self.dp);
        self.transactor.ask_written(reset).await.map_err(|denial| refuse(what(), denial))?;
        for port in Datapath::vports(self).await? {
            match self.listen(&port).await {
                // It may go away while we look.
                Err(refusal) if refusal.is_not_found() => {}
                other => other?,
            }
        }
        let (flows, aliens) = self.dump().await?;
        self.taken.extend(flows.iter().flat_map(flow::vports_of));
        let deletions =
            aliens.iter().map(|alien| flow::delete_alien(self.families.flow, self.dp, alien)).collect();
        if !aliens.is_empty() {
            tracing::warn!(datapath = self.name, flows = aliens.len(), "removing flows of another program");
        }
        exchange_each(&mut self.transactor, deletions, &mut |_, _: &[u8]| {}).await;
        self.last_no = self.taken.iter().copied().max().unwrap_or(vport::LOCAL);
        Ok(())
    }

    /// Has a port's upcalls sent to a new socket.
    async fn listen(&mut self, port: &Vport) -> Result<(), Refusal> {
        let what = || format!("attach {}", port.link);
        let (ear, pid) = Ear::open(&self.home, port.no).map_err(|error| refuse(what(), error.into()))?;
        let redirect = vport::redirect(self.families.vport, self.dp, port.no, pid);
        if let Err(denial) = self.transactor.ask_written(redirect).await {
            return Err(self.refuse_vport(what(), denial).await);
        }
        self.taken.insert(port.no);
        self.ears.add(ear);
        Ok(())
    }

    /// Makes a link a port under a number of our choice; none if the number is taken.
    async fn create_vport(&mut self, link: &str) -> Result<(), Denial> {
        let no = self.next_no()?;
        let (ear, pid) = Ear::open(&self.home, no)?;
        let create = vport::create(self.families.vport, self.dp, no, link, pid);
        self.transactor.ask_written(create).await?;
        self.taken.insert(no);
        self.last_no = no;
        self.ears.add(ear);
        Ok(())
    }

    /// The port of a link, if it is one of this datapath.
    async fn find_vport(&mut self, link: &str) -> Result<Vport, Denial> {
        let replies = self.transactor.ask_written(vport::find(self.families.vport, self.dp, link)).await?;
        let found = replies.iter().find_map(|reply| vport::read(reply).ok());
        found.map(|(port, _)| port).ok_or(Denial::Errno { errno: libc::ENODEV, message: None })
    }

    /// The number after the last one given, skipping those taken; after the highest it begins again at 1.
    fn next_no(&self) -> Result<VportNo, Denial> {
        let above = self.last_no.0 + 1..=vport::LAST.0;
        let free = above.chain(1..=self.last_no.0).map(VportNo).find(|no| !self.taken.contains(no));
        free.ok_or(Denial::Errno { errno: libc::EFBIG, message: None })
    }

    async fn list_vports(&mut self, what: &str) -> Result<Vec<(Vport, VportStats)>, Refusal> {
        let list = vport::list(self.families.vport, self.dp);
        let replies = self.transactor.ask_written(list).await.map_err(|denial| refuse(what, denial))?;
        if replies.is_empty() {
            // A dump of a datapath that is gone is empty, and each datapath has its own port.
            return Err(refuse(what, Denial::Errno { errno: libc::ENODEV, message: None }));
        }
        let ports = replies.iter().map(|reply| vport::read(reply)).collect::<Result<Vec<_>, _>>();
        let mut ports = ports.map_err(|why| unreadable(what, &why))?;
        ports.retain(|(port, _)| port.no != vport::LOCAL);
        Ok(ports)
    }

    /// Every flow, and those of other programs.
    async fn dump(&mut self) -> Result<(Vec<Flow>, Vec<flow::Alien>), Refusal> {
        let (mut flows, mut aliens, mut broken) = (Vec::new(), Vec::new(), None);
        let mut sort = |_: usize, reply: &[u8]| match flow::read(reply) {
            Ok(Dumped::Flow(flow)) => flows.push(flow),
            Ok(Dumped::Alien(alien)) => aliens.push(alien),
            Err(why) => broken = Some(why),
        };
        let list = flow::list(self.families.flow, self.dp);
        let outcomes = exchange_each(&mut self.transactor, vec![list], &mut sort).await;
        outcomes.into_iter().collect::<Result<(), _>>().map_err(|denial| refuse("list flows", denial))?;
        match broken {
            Some(why) => Err(unreadable("list flows", &why)),
            None => Ok((flows, aliens)),
        }
    }

    /// ENODEV about a port means that the port, or its link, or the datapath is not there: asks which.
    async fn refuse_vport(&mut self, what: String, denial: Denial) -> Refusal {
        if denial.is(libc::ENODEV) && self.is_there().await {
            return Refusal { what, cause: RefusalCause::NotFound };
        }
        refuse(what, denial)
    }

    async fn is_there(&mut self) -> bool {
        let describe = dp::describe(self.families.datapath, self.dp);
        self.transactor.ask_written(describe).await.is_ok()
    }

    fn meter_family(&self, what: &str) -> Result<Family, Refusal> {
        let none = || Refusal { what: what.to_owned(), cause: RefusalCause::Unsupported };
        self.families.meter.ok_or_else(none)
    }
}

impl Datapath for Ovs {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            keeps_dei: false,
            pads: false,
            flow_table: true,
            switch_tables: false,
            meters: self.families.meter.is_some(),
        }
    }

    async fn attach(&mut self, link: &str) -> Result<Vport, Refusal> {
        let what = || format!("attach {link}");
        let denial = loop {
            match self.create_vport(link).await {
                Ok(()) => break None,
                Err(denial) if denial.is(libc::EBUSY) || denial.is(libc::EEXIST) => {
                    // Is it the link that is a port already, or the number that another program gave out?
                    match self.find_vport(link).await {
                        Ok(port) => return self.listen(&port).await.map(|()| port),
                        Err(_) if self.learn_taken_numbers().await? => {}
                        Err(_) => break Some(denial),
                    }
                }
                Err(denial) => break Some(denial),
            }
        };
        if let Some(denial) = denial {
            return Err(self.refuse_vport(what(), denial).await);
        }
        match self.find_vport(link).await {
            Ok(port) => Ok(port),
            Err(denial) => Err(self.refuse_vport(what(), denial).await),
        }
    }

    async fn detach(&mut self, vport: VportNo) -> Result<(), Refusal> {
        let what = format!("detach {vport}");
        self.ears.remove(vport);
        let delete = vport::delete(self.families.vport, self.dp, vport);
        if let Err(denial) = self.transactor.ask_written(delete).await {
            let refusal = self.refuse_vport(what, denial).await;
            if !refusal.is_not_found() {
                return Err(refusal);
            }
        }
        self.taken.remove(&vport);
        Ok(())
    }

    async fn vports(&mut self) -> Result<Vec<Vport>, Refusal> {
        let ports: Vec<_> =
            self.list_vports("list vports").await?.into_iter().map(|(port, _)| port).collect();
        for gone in self.ears.keep(|vport| ports.iter().any(|port| port.no == vport)) {
            self.taken.remove(&gone);
        }
        Ok(ports)
    }

    async fn execute(&mut self, batch: Vec<Execute>) -> Vec<Result<(), Refusal>> {
        let write = |order| packet::execute(self.families.packet, self.dp, order);
        let requests = batch.iter().map(write).collect();
        let outcomes = exchange_each(&mut self.transactor, requests, &mut |_, _: &[u8]| {}).await;
        let what = |order: &Execute| match order.vport {
            Some(vport) => format!("execute frame of {} bytes of {vport}", order.frame.len()),
            None => format!("execute frame of {} bytes of our own", order.frame.len()),
        };
        let named = outcomes.into_iter().zip(&batch);
        named.map(|(outcome, order)| outcome.map_err(|denial| refuse(what(order), denial))).collect()
    }

    async fn upcalls(&mut self, most: usize) -> Result<Vec<Upcall>, Refusal> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let upcalls = poll_fn(|context| self.ears.poll(context, most)).await;
        upcalls.map_err(|error| refuse("wait for upcalls", error.into()))
    }

    async fn set_meter(&mut self, id: MeterId, rate: MeterRate) -> Result<(), Refusal> {
        let what = format!("set meter {}", id.0);
        let family = self.meter_family(&what)?;
        let set = meter::set(family, self.dp, id, rate);
        self.transactor.ask_written(set).await.map(drop).map_err(|denial| refuse(what, denial))
    }

    async fn delete_meter(&mut self, id: MeterId) -> Result<(), Refusal> {
        let what = format!("delete meter {}", id.0);
        let family = self.meter_family(&what)?;
        match self.transactor.ask_written(meter::delete(family, self.dp, id)).await {
            Err(denial) if !denial.is(libc::ENOENT) => Err(refuse(what, denial)),
            _ => Ok(()),
        }
    }

    async fn meter_stats(&mut self, id: MeterId) -> Result<MeterStats, Refusal> {
        let what = format!("read meter {}", id.0);
        let family = self.meter_family(&what)?;
        let describe = meter::describe(family, self.dp, id);
        let replies = self.transactor.ask_written(describe).await.map_err(|denial| refuse(&what, denial))?;
        first(&replies, meter::read).map_err(|why| unreadable(what, &why))
    }

    async fn counters(&mut self) -> Result<Counters, Refusal> {
        let what = "read counters";
        let describe = dp::describe(self.families.datapath, self.dp);
        let replies = self.transactor.ask_written(describe).await.map_err(|denial| refuse(what, denial))?;
        first(&replies, dp::read).map(|(_, counters)| counters).map_err(|why| unreadable(what, &why))
    }

    async fn vport_stats(&mut self) -> Result<Vec<(VportNo, VportStats)>, Refusal> {
        let ports = self.list_vports("read counters of vports").await?;
        Ok(ports.into_iter().map(|(port, stats)| (port.no, stats)).collect())
    }

    async fn teardown(mut self) -> Result<(), Refusal> {
        let delete = dp::delete(self.families.datapath, self.dp);
        let what = format!("remove datapath {}", self.name);
        self.transactor.ask_written(delete).await.map(drop).map_err(|denial| refuse(what, denial))
    }
}

impl FlowTable for Ovs {
    async fn change_flows(&mut self, batch: Vec<FlowChange>) -> Vec<Result<(), Refusal>> {
        let (family, dp) = (self.families.flow, self.dp);
        Changes { transactor: &mut self.transactor, family, dp }.carry_out(&batch).await
    }

    async fn flows(&mut self) -> Result<Vec<Flow>, Refusal> {
        let (flows, aliens) = self.dump().await?;
        if !aliens.is_empty() {
            tracing::warn!(datapath = self.name, flows = aliens.len(), "there are flows of another program");
        }
        Ok(flows)
    }

    async fn flow_stats(&mut self) -> Result<Vec<(FlowId, FlowStats)>, Refusal> {
        let mut stats = Vec::new();
        let mut collect = |_: usize, reply: &[u8]| stats.extend(flow::read_stats(reply).ok().flatten());
        let list = flow::list_stats(self.families.flow, self.dp);
        let outcomes = exchange_each(&mut self.transactor, vec![list], &mut collect).await;
        let outcome: Result<(), _> = outcomes.into_iter().collect();
        outcome.map_err(|denial| refuse("read counters of flows", denial))?;
        Ok(stats)
    }
}

impl Ovs {
    /// Notes the numbers of ports that other programs made; whether there was a new one.
    async fn learn_taken_numbers(&mut self) -> Result<bool, Refusal> {
        let ports = self.list_vports("list vports").await?;
        let before = self.taken.len();
        self.taken.extend(ports.iter().map(|(port, _)| port.no));
        Ok(self.taken.len() > before)
    }
}

impl Transactor {
    /// Asks, if the request could be written.
    async fn ask_written(&mut self, request: Result<Request, Denial>) -> Result<Vec<Vec<u8>>, Denial> {
        self.ask(request?).await
    }
}

async fn find_or_create(
    transactor: &mut Transactor,
    family: Family,
    name: &str,
) -> Result<(DpIndex, bool), Refusal> {
    let what = || open_of(name);
    let created = transactor.ask_written(dp::create(family, name)).await;
    let is_new = created.is_ok();
    if let Err(denial) = created
        && !denial.is(libc::EEXIST)
    {
        return Err(refuse(what(), denial));
    }
    let replies = transactor.ask_written(dp::find(family, name)).await.map_err(|denial| match is_new {
        true => refuse(what(), denial),
        // The name is taken, but not by a datapath.
        false => Refusal { what: what(), cause: RefusalCause::Busy },
    })?;
    first(&replies, dp::read).map(|(dp, _)| (dp, is_new)).map_err(|why| unreadable(what(), &why))
}

fn first<T>(replies: &[Vec<u8>], read: impl Fn(&[u8]) -> Result<T, Malformed>) -> Result<T, Malformed> {
    let reply = replies.first().ok_or_else(|| nla::malformed("acknowledged without an answer".into()))?;
    read(reply)
}

fn open_of(name: &str) -> String {
    format!("open datapath {name}")
}
