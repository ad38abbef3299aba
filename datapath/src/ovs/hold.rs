//! Whether upcalls come here: what gives reason to doubt it, and what is known.

use std::io;
use std::task::Poll;

use super::RefusalCause;
use super::family::DpIndex;
use super::upcall::Ears;
use super::watch::{Notice, Watch};

/// The hold that somebody has of a datapath's upcalls.
#[derive(Debug)]
pub(super) struct Hold {
    watch: Watch,
    /// Something was heard that may mean that upcalls no longer come here.
    is_in_doubt: bool,
    /// Why upcalls no longer come here, for good.
    loss: Option<RefusalCause>,
}

impl Hold {
    /// Of somebody who has just taken it.
    pub(super) fn new(watch: Watch) -> Hold {
        Hold { watch, is_in_doubt: false, loss: None }
    }

    /// Takes in what the kernel has told of the datapath and its ports, which these ears hear.
    ///
    /// # Errors
    /// The socket fails.
    pub(super) fn listen(&mut self, dp: DpIndex, ears: &Ears) -> io::Result<()> {
        while let Poll::Ready(notices) = self.watch.poll(dp) {
            // A notice may be older than what we did since, so whatever looks wrong is only a reason to ask.
            self.is_in_doubt |= notices?.iter().any(|notice| is_wrong(notice, ears));
        }
        Ok(())
    }

    /// Whether it is to be asked if upcalls still come here.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.is_in_doubt
    }

    /// Why upcalls no longer come here.
    pub(super) fn loss(&self) -> Option<&RefusalCause> {
        self.loss.as_ref()
    }

    /// The kernel was asked: nothing is in doubt.
    pub(super) fn settle(&mut self, loss: Option<RefusalCause>) {
        (self.is_in_doubt, self.loss) = (false, loss);
    }
}

fn is_wrong(notice: &Notice, ears: &Ears) -> bool {
    match notice {
        Notice::Vport(port, upcalls_to) => is_stolen(ears.port_id_of(*port), *upcalls_to),
        Notice::VportGone(port) => ears.hears(*port),
        Notice::Datapath(by_cpu) => !is_dispatched_to(ears, by_cpu.as_deref()),
        Notice::DatapathGone | Notice::Lost => true,
    }
}

/// Whether a port has a socket of ours, and its upcalls go elsewhere.
pub(super) fn is_stolen(ours: Option<u32>, upcalls_to: Option<u32>) -> bool {
    ours.is_some() && ours != upcalls_to
}

/// Whether upcalls go by port or by CPU as these ears want it. A kernel that does not tell where they go by CPU is believed.
pub(super) fn is_dispatched_to(ears: &Ears, by_cpu: Option<&[u32]>) -> bool {
    match by_cpu {
        None => !ears.is_shared(),
        Some(port_ids) => ears.is_shared() && (port_ids.is_empty() || ears.port_ids().starts_with(port_ids)),
    }
}
