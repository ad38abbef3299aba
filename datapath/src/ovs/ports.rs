//! Ports of the datapath: made under numbers of our choice, listened to, listed, and forgotten when they are gone.

use std::collections::HashSet;

use super::family::{refuse, unreadable};
use super::handle::Handle;
use super::lister::Lister;
use super::numbers::Numbers;
use super::transact::Denial;
use super::tunnel::Tunnel;
use super::upcall::{Ear, Ears};
use super::{Refusal, Slice, UpcallSockets, Vport, VportNo, dp, first, vport};

/// The ports of one datapath: who hears each, and which numbers they have. Every call is given the handle of that datapath.
#[derive(Debug)]
pub(super) struct Ports {
    options: UpcallSockets,
    pub(super) ears: Ears,
    pub(super) numbers: Numbers,
    lister: Lister,
    /// Those that the list under way has told so far.
    listed: HashSet<VportNo>,
}

impl Ports {
    /// None yet, to be heard by these ears.
    pub(super) fn new(options: UpcallSockets, ears: Ears) -> Ports {
        Ports { options, ears, numbers: Numbers::new(), lister: Lister::new(), listed: HashSet::new() }
    }

    /// Makes a link a port, or finds that it is one.
    pub(super) async fn attach(&mut self, handle: &mut Handle, link: &str) -> Result<Vport, Refusal> {
        let what = || format!("attach {link}");
        loop {
            match self.create(handle, link).await {
                Ok(port) => return Ok(port),
                Err(denial) if denial.is(libc::EBUSY) || denial.is(libc::EEXIST) => {
                    // Is it the link that is a port already, or the number that another program gave out?
                    let ports = handle.vports(&what()).await?;
                    if let Some(known) = ports.iter().find(|port| port.port.link == link) {
                        return self.listen_to(handle, known).await.map(|()| known.port.clone());
                    }
                    if !self.numbers.note(ports.iter().map(|port| port.port.no)) {
                        return Err(refuse(what(), denial));
                    }
                }
                Err(denial) => return Err(handle.refuse_vport(what(), denial).await),
            }
        }
    }

    /// Has a port's upcalls come here, if they do not yet.
    pub(super) async fn listen_to(
        &mut self,
        handle: &mut Handle,
        port: &vport::Description,
    ) -> Result<(), Refusal> {
        let (no, link) = (port.port.no, &port.port.link);
        if self.ears.hears(no) && (self.ears.is_shared() || self.ears.port_id_of(no) == port.upcalls_to) {
            return Ok(());
        }
        if let Err(denial) = self.redirect(handle, no).await {
            return Err(handle.refuse_vport(format!("attach {link}"), denial).await);
        }
        self.numbers.note([no]);
        Ok(())
    }

    async fn redirect(&mut self, handle: &mut Handle, no: VportNo) -> Result<(), Denial> {
        match self.prepare_ear(handle, no).await? {
            Some(ear) => {
                let redirect = vport::redirect(handle.families.vport, handle.dp, no, ear.port_id());
                handle.transactor.ask_written(redirect).await?;
                self.ears.add(no, ear);
            }
            None => self.ears.add_shared(no),
        }
        Ok(())
    }

    /// Makes a link a port under a number of our choice.
    async fn create(&mut self, handle: &mut Handle, link: &str) -> Result<Vport, Denial> {
        let no = self.numbers.next()?;
        let ear = self.prepare_ear(handle, no).await?;
        let port_id = ear.as_ref().map_or(0, Ear::port_id);
        let create = vport::create(handle.families.vport, handle.dp, no, link, port_id);
        handle.transactor.ask_written(create).await?;
        self.numbers.give(no);
        match ear {
            Some(ear) => self.ears.add(no, ear),
            None => self.ears.add_shared(no),
        }
        let describe = vport::describe(handle.families.vport, handle.dp, no);
        let replies = handle.transactor.ask_written(describe).await?;
        let read = first(&replies, vport::read).map(|description| description.port);
        read.map_err(|why| Denial::Errno { errno: libc::EBADMSG, message: Some(why.to_string()) })
    }

    /// A socket for a port's upcalls; none if the port is to share those of all.
    async fn prepare_ear(&mut self, handle: &mut Handle, no: VportNo) -> Result<Option<Ear>, Denial> {
        let is_new = self.ears.port_id_of(no).is_none();
        let has_room = self.ears.ports() < self.options.ports_with_own_socket || !is_new;
        if !self.ears.is_shared() && !has_room && handle.families.dispatches_by_cpu {
            self.share_ears(handle).await?;
        }
        if self.ears.is_shared() { Ok(None) } else { Ok(Some(Ear::of_port(&handle.home, no)?)) }
    }

    async fn share_ears(&mut self, handle: &mut Handle) -> Result<(), Denial> {
        let ears = Ear::of_cpus(&handle.home)?;
        let port_ids: Vec<u32> = ears.iter().map(Ear::port_id).collect();
        let by_cpu = dp::dispatch_by_cpu(handle.families.datapath, handle.dp, &port_ids);
        handle.transactor.ask_written(by_cpu).await?;
        tracing::info!(
            datapath = handle.name,
            sockets = port_ids.len(),
            "many ports: upcalls come by cpu from now on"
        );
        self.ears.share(ears);
        Ok(())
    }

    /// Releases a port; one that is gone is no error.
    pub(super) async fn release(
        &mut self,
        handle: &mut Handle,
        no: VportNo,
        what: &str,
    ) -> Result<(), Refusal> {
        let delete = vport::delete(handle.families.vport, handle.dp, no);
        if let Err(denial) = handle.transactor.ask_written(delete).await {
            let refusal = handle.refuse_vport(what.to_owned(), denial).await;
            if !refusal.is_not_found() {
                return Err(refusal);
            }
        }
        self.forget(handle, no);
        Ok(())
    }

    /// Forgets ports that are not among these.
    pub(super) fn keep_listed(&mut self, handle: &mut Handle, ports: &[vport::Description]) {
        let there: HashSet<VportNo> = ports.iter().map(|port| port.port.no).collect();
        for gone in self.ears.unlisted(&there) {
            self.forget(handle, gone);
        }
    }

    /// The next slice of a list of all ports, the datapath's own among them.
    pub(super) async fn next_listed(
        &mut self,
        handle: &mut Handle,
        what: &str,
    ) -> Result<Slice<vport::Description>, Refusal> {
        let list = || vport::list(handle.families.vport, handle.dp);
        let mut read = Vec::new();
        let mut collect = |reply: &[u8]| read.push(vport::read(reply));
        let next = self.lister.next(&handle.home, list, &mut collect).await;
        if next.is_err() {
            self.listed.clear();
        }
        let is_last = next.map_err(|denial| refuse(what, denial))?;
        let entries =
            read.into_iter().collect::<Result<Vec<_>, _>>().map_err(|why| unreadable(what, &why))?;
        self.note_listed(handle, &entries, is_last).await.map_err(|denial| refuse(what, denial))?;
        Ok(Slice { entries, is_last })
    }

    /// Notes ports that a list under way has told; at its end, those that it has not told are forgotten if they are not there.
    async fn note_listed(
        &mut self,
        handle: &mut Handle,
        ports: &[vport::Description],
        is_last: bool,
    ) -> Result<(), Denial> {
        self.listed.extend(ports.iter().map(|port| port.port.no));
        if !is_last {
            return Ok(());
        }
        let listed = std::mem::take(&mut self.listed);
        if listed.is_empty() {
            // A dump of a datapath that is gone is empty, and each datapath has its own port.
            return Err(Denial::Errno { errno: libc::ENODEV, message: None });
        }
        for no in self.ears.unlisted(&listed) {
            // The kernel skips a port where another goes while it lists.
            let describe = vport::describe(handle.families.vport, handle.dp, no);
            if handle.transactor.ask_written(describe).await.is_err_and(|denial| denial.is(libc::ENODEV)) {
                self.forget(handle, no);
            }
        }
        Ok(())
    }

    fn forget(&mut self, handle: &mut Handle, no: VportNo) {
        self.ears.remove(no);
        self.numbers.free(no);
        if handle.tunnel.is_some_and(|tunnel| tunnel.no == no) {
            self.set_tunnel(handle, None);
        }
    }

    /// Has the port to other hosts be this one, for flows and for frames that come.
    pub(super) fn set_tunnel(&mut self, handle: &mut Handle, tunnel: Option<Tunnel>) {
        handle.tunnel = tunnel;
        self.ears.set_tunnel(tunnel);
    }
}
