//! Settings that are one of a few words, and these words as they stand in the file.

use crate::model::description::{
    BpduPolicy, DatapathKind, HostAddresses, HostKind, NativeInner, OnLimit, Redundancy, TagPolicy,
};
use crate::tag::Tpid;

/// A setting that is one of a few words.
pub trait Worded: Copy + PartialEq + 'static {
    /// Every word and what it means.
    const WORDS: &'static [(&'static str, Self)];

    /// The word for it.
    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, meant)| *meant == self).map_or("", |(word, _)| word)
    }

    /// What a word means; `None` of another one.
    fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, meant)| *meant)
    }
}

impl Worded for DatapathKind {
    const WORDS: &'static [(&'static str, Self)] =
        &[("auto", DatapathKind::Auto), ("ovs", DatapathKind::Ovs), ("ebpf", DatapathKind::Ebpf)];
}

impl Worded for HostKind {
    const WORDS: &'static [(&'static str, Self)] = &[("l2gw", HostKind::L2gw), ("vtep", HostKind::Vtep)];
}

impl Worded for Redundancy {
    const WORDS: &'static [(&'static str, Self)] =
        &[("designated", Redundancy::Designated), ("stp", Redundancy::Stp), ("none", Redundancy::None)];
}

impl Worded for Tpid {
    const WORDS: &'static [(&'static str, Self)] = &[("0x8100", Tpid::Customer), ("0x88a8", Tpid::Service)];
}

impl Worded for HostAddresses {
    const WORDS: &'static [(&'static str, Self)] =
        &[("refuse", HostAddresses::Refuse), ("keep", HostAddresses::Keep)];
}

impl Worded for TagPolicy {
    const WORDS: &'static [(&'static str, Self)] = &[("pass", TagPolicy::Pass), ("drop", TagPolicy::Drop)];
}

impl Worded for NativeInner {
    const WORDS: &'static [(&'static str, Self)] =
        &[("drop", NativeInner::Drop), ("pass", NativeInner::Pass)];
}

impl Worded for OnLimit {
    const WORDS: &'static [(&'static str, Self)] =
        &[("evict", OnLimit::Evict), ("drop", OnLimit::Drop), ("flood", OnLimit::Flood)];
}

impl Worded for BpduPolicy {
    const WORDS: &'static [(&'static str, Self)] =
        &[("block", BpduPolicy::Block), ("discard", BpduPolicy::Discard)];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_means_one_thing_and_back() {
        fn check<T: Worded + std::fmt::Debug>() {
            for (word, meant) in T::WORDS {
                assert_eq!((meant.word(), T::from_word(word)), (*word, Some(*meant)));
            }
            assert_eq!(T::from_word("Drop"), None);
        }
        check::<DatapathKind>();
        check::<HostKind>();
        check::<Redundancy>();
        check::<Tpid>();
        check::<HostAddresses>();
        check::<TagPolicy>();
        check::<NativeInner>();
        check::<OnLimit>();
        check::<BpduPolicy>();
    }
}
