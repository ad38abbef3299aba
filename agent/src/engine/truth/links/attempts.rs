//! Links that are being made vports, and those that could not be made one and are tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vlan::time::Instant;

/// What is under way and what was refused, by the names of links.
#[derive(Debug, Default)]
pub(in crate::engine) struct Attempts {
    attaching: BTreeSet<String>,
    refused: BTreeMap<String, Refused>,
    retries: BTreeSet<(Instant, String)>,
}

/// A link that could not be made a vport.
#[derive(Debug)]
struct Refused {
    why: String,
    times: u32,
    retry_at: Instant,
}

impl Attempts {
    /// A link is being made a vport.
    pub(in crate::engine) fn begin(&mut self, link: String) {
        self.attaching.insert(link);
    }

    /// A link was made a vport.
    pub(super) fn succeed(&mut self, link: &str) {
        self.attaching.remove(link);
        self.forget_refusal(link);
    }

    /// A link could not be made a vport. Whether this is the first refusal, or another than the last.
    pub(super) fn fail(&mut self, now: Instant, link: &str, why: String) -> bool {
        self.attaching.remove(link);
        let before = self.forget_refusal(link);
        let times = before.as_ref().map_or(0, |refused| refused.times) + 1;
        let is_news = before.is_none_or(|refused| refused.why != why);
        let retry_at = now + RETRY_AFTER * 2_u32.pow(times.min(RETRY_DOUBLINGS));
        self.retries.insert((retry_at, link.to_owned()));
        self.refused.insert(link.to_owned(), Refused { why, times, retry_at });
        is_news
    }

    fn forget_refusal(&mut self, link: &str) -> Option<Refused> {
        let refused = self.refused.remove(link)?;
        self.retries.remove(&(refused.retry_at, link.to_owned()));
        Some(refused)
    }

    /// Links that are wanted no more are not tried again.
    pub(super) fn keep_only(&mut self, is_wanted: impl Fn(&str) -> bool) {
        let unwanted = |link: &&String| !is_wanted(link);
        let refused: Vec<String> = self.refused.keys().filter(unwanted).cloned().collect();
        refused.iter().for_each(|link| drop(self.forget_refusal(link)));
    }

    /// A link that is to be tried again by now.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<String> {
        if self.next_due()? > now {
            return None;
        }
        self.retries.pop_first().map(|(_, link)| link)
    }

    /// When a link is to be tried again.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.retries.first().map(|(at, _)| *at)
    }

    /// Whether a link may be tried now.
    pub(super) fn may_begin(&self, now: Instant, link: &str) -> bool {
        let is_early = self.refused.get(link).is_some_and(|refused| now < refused.retry_at);
        !is_early && !self.attaching.contains(link)
    }

    /// Whether a vport on this link may be one whose making was not answered.
    pub(super) fn may_have_made(&self, link: &str) -> bool {
        self.attaching.contains(link) || self.refused.contains_key(link)
    }

    /// Why a link could not be made a vport.
    pub(super) fn why_refused(&self, link: &str) -> Option<String> {
        self.refused.get(link).map(|refused| refused.why.clone())
    }

    /// Whether one is not answered yet.
    pub(super) fn is_one_under_way(&self) -> bool {
        !self.attaching.is_empty()
    }
}

/// The first retry of an attachment comes after twice this.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// The longest pause is 2^5 times as long: 16 s.
const RETRY_DOUBLINGS: u32 = 5;
