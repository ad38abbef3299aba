//! What has happened to addresses.

use serde::{Deserialize, Serialize};

use super::Learned;
use super::refusal::{NotLearned, Refused};

/// What came of frames and words of other hosts since the database was made. Frames of known addresses are not counted here: most never come this way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Addresses that became known.
    pub learned: u64,
    /// Moves that were followed.
    pub moved: u64,
    /// Addresses frozen after too many moves.
    pub frozen: u64,
    /// Frames that went on though their source was not learned, their slot being full.
    pub not_learned_at_limit: u64,
    /// Frames that went on though their source was not learned: it had left the host that they came from a moment before.
    pub not_learned_just_left: u64,
    /// Frames that went on though their source was not learned: the host that they came from had sent too many sources within a second.
    #[serde(default)]
    pub not_learned_hints: u64,
    /// Frames whose source was no station's address.
    pub not_a_station: u64,
    /// Frames and words refused: the address is declared elsewhere, or sticks there.
    pub refused_pinned: u64,
    /// Frames and words refused: the address is frozen elsewhere.
    pub refused_frozen: u64,
    /// Frames refused: our own came back.
    pub refused_reflected: u64,
    /// Frames refused: they came by a sticky port, and the address is known elsewhere.
    pub refused_elsewhere: u64,
    /// Frames refused: their slot is full.
    pub refused_at_limit: u64,
}

impl Counters {
    pub(super) fn note(&mut self, learned: &Learned) {
        let counter = match learned {
            Learned::Refreshed | Learned::Undecided { .. } => return,
            Learned::New { .. } => &mut self.learned,
            Learned::Moved { .. } => &mut self.moved,
            Learned::Frozen { .. } => &mut self.frozen,
            Learned::NotLearned(NotLearned::AtLimit { .. }) => &mut self.not_learned_at_limit,
            Learned::NotLearned(NotLearned::JustLeft) => &mut self.not_learned_just_left,
            Learned::NotLearned(NotLearned::TooManyHints) => &mut self.not_learned_hints,
            Learned::NotLearned(NotLearned::Zero | NotLearned::Group) => &mut self.not_a_station,
            Learned::Refused(Refused::Pinned { .. }) => &mut self.refused_pinned,
            Learned::Refused(Refused::Frozen { .. }) => &mut self.refused_frozen,
            Learned::Refused(Refused::Reflected { .. }) => &mut self.refused_reflected,
            Learned::Refused(Refused::Elsewhere { .. }) => &mut self.refused_elsewhere,
            Learned::Refused(Refused::AtLimitDrop) => &mut self.refused_at_limit,
        };
        *counter += 1;
    }
}

/// How often an address or a freeze has come to an end since the database was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ends {
    /// Freezes that ended, by time or by an operator, before the address was gone.
    pub thawed: u64,
    /// Addresses removed because their age had passed.
    pub expired: u64,
    /// Addresses that made room in a full slot, or went with a lowered limit.
    pub evicted: u64,
}
