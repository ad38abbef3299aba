//! Whose the datapath is: opened, adopted, watched, lost.
//!
//! ```text
//!   open ──► new ───────────────────────────────────────────► in force
//!     └────► there is one: does a live program hear its upcalls? ──no──► ports and flows read back ──► in force
//!                     └─yes─► refused: busy
//!
//!   in force ── a notice says that it is gone, or that upcalls go elsewhere ──► asked ──► yes: lost for good
//!                                                                                └──► no: in force
//! ```
//! One program at a time has a datapath. The kernel does not enforce that: whoever says last where upcalls go, gets them. So opening
//! asks whether somebody listens, and an owner whose upcalls are taken all the same (by a program that does not ask, or
//! in the moment between asking and taking) is told by the call that waits for them. It does not take them back: two programs would do so in
//! turn for ever. It closes its sockets, so that it can be opened again when the other program is gone.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::dp::Description;
use super::families::Families;
use super::family::{Family, refuse, unreadable};
use super::handle::Handle;
use super::hold::{Hold, is_dispatched_to, is_stolen};
use super::lister::Lister;
use super::ports::Ports;
use super::removal::hearer;
use super::socket::Home;
use super::transact::Transactor;
use super::upcall::Ears;
use super::uplink::Uplink;
use super::watch::Watch;
use super::{Ovs, Refusal, RefusalCause, Upcall, UpcallSockets, dp, first, flow, vport};

impl Ovs {
    pub(super) async fn set_up(
        name: String,
        options: UpcallSockets,
        mut transactor: Transactor,
        home: Home,
    ) -> Result<Ovs, Refusal> {
        let what = open_of(&name);
        let families = Families::resolve(&mut transactor).await?;
        // Before anything is looked at, so that no change after the look is missed.
        let ears = Ears::new(families.packet);
        let watch =
            Watch::open(&home, &families, ears.watcher()).map_err(|error| refuse(&*what, error.into()))?;
        let (found, is_new) = find_or_create(&mut transactor, families.datapath, &name).await?;
        let uplink = Uplink::of(&home, &name).await;
        let handle = Handle { name, home, families, dp: found.dp, tunnel: None, transactor };
        let mut ovs = Ovs {
            handle,
            ports: Ports::new(options, ears),
            uplink,
            hold: Hold::new(watch),
            flow_lister: Lister::new(),
            aliens: 0,
        };
        if !is_new {
            ovs.adopt(&found).await?;
        }
        Ok(ovs)
    }

    async fn adopt(&mut self, found: &Description) -> Result<(), Refusal> {
        let what = open_of(&self.handle.name);
        let ports = self.handle.vports(&what).await?;
        self.check_unheard(found, &ports)?;
        self.ports.numbers.note(ports.iter().map(|port| port.port.no));
        let adopted = self.uplink.adopt(&mut self.handle, &mut self.ports, &ports).await;
        adopted.map_err(|denial| refuse(&*what, denial))?;
        for port in ports {
            match self.ports.listen_to(&mut self.handle, &port).await {
                // It may go away while we look.
                Err(refusal) if refusal.is_not_found() => {}
                other => other?,
            }
        }
        if !self.ports.ears.is_shared() {
            let by_port = dp::dispatch_by_port(self.handle.families.datapath, self.handle.dp);
            self.handle.transactor.ask_written(by_port).await.map_err(|denial| refuse(what, denial))?;
        }
        self.adopt_flows().await
    }

    /// Refuses a datapath whose upcalls somebody hears.
    fn check_unheard(&self, found: &Description, ports: &[vport::Description]) -> Result<(), Refusal> {
        let what = open_of(&self.handle.name);
        let taken = hearer(&self.handle.home, found, ports).map_err(|error| refuse(&*what, error.into()))?;
        match taken {
            None => Ok(()),
            Some(port_id) => {
                let what = format!("{what}, whose upcalls the socket with netlink port id {port_id} hears");
                Err(Refusal { what, cause: RefusalCause::Busy })
            }
        }
    }

    async fn adopt_flows(&mut self) -> Result<(), Refusal> {
        let flows = self.handle.dump("list flows").await?;
        self.ports.numbers.note(flows.iter().flat_map(flow::vports_of));
        self.aliens += self.handle.remove_aliens(&flow::aliens(flows)).await;
        self.ports.numbers.begin_behind();
        Ok(())
    }

    /// Upcalls, or none if a notice gives reason to ask whether they still come here.
    pub(super) fn poll_upcalls(
        &mut self,
        context: &mut Context<'_>,
        most: usize,
    ) -> Poll<std::io::Result<Vec<Upcall>>> {
        self.hold.listen(self.handle.dp, &self.ports.ears)?;
        if self.hold.is_in_doubt() {
            return Poll::Ready(Ok(Vec::new()));
        }
        let upcalls = ready!(self.ports.ears.poll(context, most));
        Poll::Ready(upcalls)
    }

    /// Asks whether the datapath is there and its upcalls come here, until there is an answer; notes the loss if not.
    pub(super) async fn settle_doubt(&mut self) {
        while self.hold.is_in_doubt() {
            let loss = match self.find_loss().await {
                Ok(loss) => loss,
                Err(refusal) if refusal.cause == RefusalCause::DatapathGone => Some(refusal.cause),
                Err(refusal) => {
                    tracing::warn!(datapath = self.handle.name, %refusal, "cannot tell whether upcalls come here, asking again");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            self.hold.settle(loss);
        }
        if self.hold.loss().is_some() {
            // Sockets that some ports still name would keep whoever opens it next out, also this program.
            self.ports.ears.close();
        }
    }

    async fn find_loss(&mut self) -> Result<Option<RefusalCause>, Refusal> {
        let found = self.handle.describe().await?;
        if !is_dispatched_to(&self.ports.ears, found.by_cpu.as_deref()) {
            return Ok(Some(RefusalCause::TakenOver));
        }
        let ports = self.handle.vports("list vports").await?;
        self.ports.keep_listed(&mut self.handle, &ports);
        let is_lost =
            |port: &vport::Description| is_stolen(self.ports.ears.port_id_of(port.port.no), port.upcalls_to);
        Ok(ports.iter().any(is_lost).then_some(RefusalCause::TakenOver))
    }
}

async fn find_or_create(
    transactor: &mut Transactor,
    family: Family,
    name: &str,
) -> Result<(Description, bool), Refusal> {
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
    first(&replies, dp::read).map(|found| (found, is_new)).map_err(|why| unreadable(what(), &why))
}

/// Before the kernel is asked again what it did not answer.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) fn open_of(name: &str) -> String {
    format!("open datapath {name}")
}
