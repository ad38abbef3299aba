//! Ports of the datapath: made under numbers of our choice, listened to, listed.

use std::collections::HashSet;

use super::family::refuse;
use super::transact::Denial;
use super::upcall::Ear;
use super::{Ovs, Refusal, Vport, VportNo, dp, first, vport};

impl Ovs {
    /// Makes a link a port, or finds that it is one.
    pub(super) async fn attach_link(&mut self, link: &str) -> Result<Vport, Refusal> {
        let what = || format!("attach {link}");
        loop {
            match self.create_vport(link).await {
                Ok(port) => return Ok(port),
                Err(denial) if denial.is(libc::EBUSY) || denial.is(libc::EEXIST) => {
                    // Is it the link that is a port already, or the number that another program gave out?
                    let ports = self.handle.vports(&what()).await?;
                    if let Some(known) = ports.iter().find(|port| port.port.link == link) {
                        return self.listen_to(known).await.map(|()| known.port.clone());
                    }
                    if !self.numbers.note(ports.iter().map(|port| port.port.no)) {
                        return Err(refuse(what(), denial));
                    }
                }
                Err(denial) => return Err(self.handle.refuse_vport(what(), denial).await),
            }
        }
    }

    /// Has a port's upcalls come here, if they do not yet.
    pub(super) async fn listen_to(&mut self, port: &vport::Description) -> Result<(), Refusal> {
        let (no, link) = (port.port.no, &port.port.link);
        if self.ears.hears(no) && (self.ears.is_shared() || self.ears.port_id_of(no) == port.upcalls_to) {
            return Ok(());
        }
        if let Err(denial) = self.redirect(no).await {
            return Err(self.handle.refuse_vport(format!("attach {link}"), denial).await);
        }
        self.numbers.note([no]);
        Ok(())
    }

    async fn redirect(&mut self, no: VportNo) -> Result<(), Denial> {
        match self.prepare_ear(no).await? {
            Some(ear) => {
                let redirect = vport::redirect(self.handle.families.vport, self.handle.dp, no, ear.port_id());
                self.handle.transactor.ask_written(redirect).await?;
                self.ears.add(no, ear);
            }
            None => self.ears.add_shared(no),
        }
        Ok(())
    }

    /// Makes a link a port under a number of our choice.
    async fn create_vport(&mut self, link: &str) -> Result<Vport, Denial> {
        let no = self.numbers.next()?;
        let ear = self.prepare_ear(no).await?;
        let port_id = ear.as_ref().map_or(0, Ear::port_id);
        let create = vport::create(self.handle.families.vport, self.handle.dp, no, link, port_id);
        self.handle.transactor.ask_written(create).await?;
        self.numbers.give(no);
        match ear {
            Some(ear) => self.ears.add(no, ear),
            None => self.ears.add_shared(no),
        }
        let describe = vport::describe(self.handle.families.vport, self.handle.dp, no);
        let replies = self.handle.transactor.ask_written(describe).await?;
        let read = first(&replies, vport::read).map(|description| description.port);
        read.map_err(|why| Denial::Errno { errno: libc::EBADMSG, message: Some(why.to_string()) })
    }

    /// A socket for a port's upcalls; none if the port is to share those of all.
    async fn prepare_ear(&mut self, no: VportNo) -> Result<Option<Ear>, Denial> {
        let is_new = self.ears.port_id_of(no).is_none();
        let has_room = self.ears.ports() < self.options.ports_with_own_socket || !is_new;
        if !self.ears.is_shared() && !has_room && self.handle.families.dispatches_by_cpu {
            self.share_ears().await?;
        }
        if self.ears.is_shared() { Ok(None) } else { Ok(Some(Ear::of_port(&self.handle.home, no)?)) }
    }

    async fn share_ears(&mut self) -> Result<(), Denial> {
        let ears = Ear::of_cpus(&self.handle.home)?;
        let port_ids: Vec<u32> = ears.iter().map(Ear::port_id).collect();
        let by_cpu = dp::dispatch_by_cpu(self.handle.families.datapath, self.handle.dp, &port_ids);
        self.handle.transactor.ask_written(by_cpu).await?;
        tracing::info!(
            datapath = self.handle.name,
            sockets = port_ids.len(),
            "many ports: upcalls come by cpu from now on"
        );
        self.ears.share(ears);
        Ok(())
    }

    /// Releases a port; one that is gone is no error.
    pub(super) async fn release(&mut self, no: VportNo, what: &str) -> Result<(), Refusal> {
        let delete = vport::delete(self.handle.families.vport, self.handle.dp, no);
        if let Err(denial) = self.handle.transactor.ask_written(delete).await {
            let refusal = self.handle.refuse_vport(what.to_owned(), denial).await;
            if !refusal.is_not_found() {
                return Err(refusal);
            }
        }
        self.forget(no);
        Ok(())
    }

    /// Forgets ports that are not among these.
    pub(super) fn keep_listed(&mut self, ports: &[vport::Description]) {
        let there: HashSet<VportNo> = ports.iter().map(|port| port.port.no).collect();
        for gone in self.ears.unlisted(&there) {
            self.forget(gone);
        }
    }

    /// Notes ports that a list under way has told; at its end, those that it has not told are forgotten if they are not there.
    pub(super) async fn note_listed(
        &mut self,
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
            let describe = vport::describe(self.handle.families.vport, self.handle.dp, no);
            if self.handle.transactor.ask_written(describe).await.is_err_and(|denial| denial.is(libc::ENODEV))
            {
                self.forget(no);
            }
        }
        Ok(())
    }

    pub(super) fn forget(&mut self, no: VportNo) {
        self.ears.remove(no);
        self.numbers.free(no);
        if self.handle.tunnel.is_some_and(|tunnel| tunnel.no == no) {
            self.set_tunnel(None);
        }
    }
}
