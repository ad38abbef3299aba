//! Tables that a datapath switches by itself: written before any frame comes, and again whenever something changes.
//!
//! Plain data, each table a map with keys and values of bounded size but for the lists of exits, so that an eBPF
//! program can hold them. All names in them ([`AttachmentId`], [`PlaceId`], the segments' numbers) are chosen by whoever writes the
//! tables; the datapath only compares them.
//!
//! # What a datapath does with a frame
//! 1. **Port.** [`PortRule`] of the arrival vport. None: drop `port-down`. Closed: drop for its reason.
//! 2. **Control.** [`ControlClass::of`] the header. If it has one, the port's [`ControlRule`] for it is carried out; only with
//!    [`ControlRule::Classify`] the frame goes on.
//! 3. **Admission.** [`Arrives`] names the front tags; the most specific key with an entry decides: both tags, then the
//!    first tag, then its TPID alone. No entry: drop, see [`Arrives::absent`]. [`Ingress::Drop`]: drop. A control frame that is dropped here
//!    may be so for another reason and be reported, as its rule says.
//! 4. **Control on its VLAN.** A control frame whose [`AttachmentRule::control`] is [`ControlFlood::Drop`] ends here.
//! 5. **Closed.** [`Admission::closed`]: drop (a trunk that does not carry the VLAN).
//! 6. **Source.** A group address: drop `group-source`. Not among the port's `macs`, if it has any: drop `anti-spoof`. Still tagged behind the
//!    tags that were read, where the port drops tags: drop `tagged`.
//! 7. **Learning**, see below, unless it is a control frame or the source is all zeros. It may refuse the frame. So may, of a control frame,
//!    an address that is held elsewhere.
//! 8. **Destination.** A control frame goes to the exits of `control`. A group address: [`AttachmentRule::flood`], metered as broadcast
//!    or multicast. An address of the table that is not over its age: the [`Route`] from this attachment to its place; none
//!    there: drop `not-member`. Any other: [`AttachmentRule::unknown`], metered as unknown.
//! 9. **Exits.** Never by the arrival vport: an exit there is left out of a flood, and a route that has one drops the frame as
//!    `same-port`. An exit whose [`Guard`] refuses is left out; if a route has no other, it drops the frame for the last guard's reason.
//!    A flood without an exit left: drop `no-member`. Otherwise the meters are asked, once for all copies; then each is edited and sent.
//!
//! Every frame counts once in [`TableStats`]: as forwarded, as metered, or as dropped with its reason.
//!
//! # Who owns an address
//! The writer's entries are its own: [`AddressKind::Held`] is never touched by the datapath, but may take room under a limit. The
//! datapath inserts dynamic addresses by the [`LearnRule`] of the admission (none there: it does not learn), moves and refreshes them,
//! which may give them another rule, and lets them go when they are over its age, and reports each but the refreshing. One that would
//! be too many evicts the dynamic one heard longest ago under the same limit, or its frame is dropped, or it is not learned; then, if
//! it was elsewhere before, it is known nowhere. One that moves under the same limit is never too many. Every batch of changes has a
//! [`Generation`], higher than the one before, and every report has that of the last batch before it. Whoever changed an address in
//! generation *g* ignores reports about it that are older than *g*. When reports were lost, [`SwitchTables::read_tables`]
//! tells what there is.
//!
//! # Frames that come back
//! When a frame that came in by no trunk group and was not of a control class leaves by an exit of a group, that is noted: its segment,
//! its source, its destination, the type behind the tags that its admission has read, the group, when. For [`vlan::fdb::ECHO`] from then
//! on a frame with all of these which comes in by that group is no move of the address: it is dropped as `reflected`, and reported as
//! refused. When the address moves to a group, what was noted of it goes.
//!
//! # What is absent on purpose
//! Move damping and mobility counters: the writer judges those by the reports, and answers with held addresses.

mod address;
mod control;
mod entry;
mod exit;
mod ingress;

use std::future::Future;

use serde::{Deserialize, Serialize};
use vlan::verdict::DropReason;

pub use self::address::{
    Address, AddressKind, ForgetCause, Generation, LearnId, LearnRule, LimitId, PlaceId, TableEvent,
    TableReport,
};
pub use self::control::{ControlClass, Discard};
pub use self::entry::{Entry, EntryKey, TableChange, Tables};
pub use self::exit::{
    AttachmentId, AttachmentRule, ControlFlood, Exit, GroupId, Guard, PcpSource, PushTag, Route,
};
pub use self::ingress::{
    Admission, Arrives, ControlRule, Ingress, InnerKey, PortGate, PortRule, StormMeter, StormMeters, WireTag,
};
use crate::port::VportNo;
use crate::{Datapath, Refusal};

/// A datapath that switches by tables.
pub trait SwitchTables: Datapath {
    /// Writes and deletes entries, in order; an answer for each. A frame on its way meets each entry as it was before or
    /// as it is after, never half of it. Entries may name what is not there (yet): a frame that meets such a name is dropped.
    ///
    /// # Errors
    /// Table full, datapath gone, no permission.
    fn change_tables(
        &mut self,
        generation: Generation,
        batch: Vec<TableChange>,
    ) -> impl Future<Output = Vec<Result<(), Refusal>>> + Send;

    /// Every entry there is, the learned addresses among them.
    ///
    /// # Errors
    /// Datapath gone.
    fn read_tables(&mut self) -> impl Future<Output = Result<Tables, Refusal>> + Send;

    /// Waits for reports, at most `most`, in the order in which things happened. Cancel-safe.
    ///
    /// # Errors
    /// The channel to the kernel is gone for good.
    fn table_reports(&mut self, most: usize) -> impl Future<Output = Result<TableReports, Refusal>> + Send;

    /// What became of the frames that arrived at each port.
    ///
    /// # Errors
    /// Datapath gone.
    fn table_stats(&mut self) -> impl Future<Output = Result<Vec<(VportNo, TableStats)>, Refusal>> + Send;
}

/// Reports that were waiting.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TableReports {
    /// The reports, the oldest first.
    pub reports: Vec<TableReport>,
    /// How many older ones were lost since the last call. Not 0: read the tables.
    pub lost: u64,
}

/// What became of the frames that arrived at a port.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TableStats {
    /// Frames of which at least one copy was sent on its way.
    pub forwarded: u64,
    /// Frames over a storm meter's rate.
    pub metered: u64,
    /// Frames dropped, by reason, in ascending order.
    pub drops: Vec<(DropReason, u64)>,
}

impl TableStats {
    /// Counts a dropped frame.
    pub fn count_drop(&mut self, reason: DropReason) {
        match self.drops.binary_search_by_key(&reason, |(reason, _)| *reason) {
            Ok(at) => self.drops[at].1 += 1,
            Err(at) => self.drops.insert(at, (reason, 1)),
        }
    }

    /// Frames dropped for this reason.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops.iter().find(|(r, _)| *r == reason).map_or(0, |(_, count)| *count)
    }

    /// All frames that arrived.
    pub fn total(&self) -> u64 {
        self.forwarded + self.metered + self.drops.iter().map(|(_, count)| count).sum::<u64>()
    }
}
