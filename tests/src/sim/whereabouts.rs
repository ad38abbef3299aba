//! Where each address of one segment may be: behaviour.md 4 once more, address by address, in plain lists.
//!
//! A *place* is a port's name, or what all trunks of the fabric are called together. Nothing ages here: the bridges have to forget nobody.

use std::collections::BTreeMap;
use std::time::Duration;

use vlan::time::Instant;

/// An address in bytes.
pub type Mac = [u8; 6];

/// What addresses are known and what was sent.
#[derive(Debug, Clone, Default)]
pub struct Whereabouts {
    known: BTreeMap<Mac, Known>,
    /// Source, destination and EtherType of what went into the fabric, and when last.
    sent: BTreeMap<(Mac, Mac, u16), Instant>,
    /// The place of each declared address.
    pub declared: BTreeMap<Mac, String>,
    /// The places of each shared address.
    pub shared: BTreeMap<Mac, Vec<String>>,
    /// Places where only declared and shared addresses may speak.
    pub strict: Vec<String>,
    /// Places where the first so many addresses stick.
    pub sticky: BTreeMap<String, usize>,
}

/// What becomes of a frame, as far as its source decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It goes on.
    Welcome,
    /// It is dropped.
    Dropped,
    /// It is dropped: we sent it ourselves.
    Reflected,
    /// The address is frozen here from now on, and the frame is dropped unless this is where it came in.
    Frozen(String),
}

#[derive(Debug, Clone)]
struct Known {
    place: String,
    since: Instant,
    used: Instant,
    stays: Vec<(String, Instant, Instant)>,
    counted: Vec<Instant>,
    claimed: Option<Instant>,
    frozen: Option<Instant>,
}

impl Known {
    fn new(place: &str, now: Instant) -> Known {
        Known {
            place: place.to_owned(),
            since: now,
            used: now,
            stays: Vec::new(),
            counted: Vec::new(),
            claimed: None,
            frozen: None,
        }
    }

    fn is_frozen(&self, now: Instant) -> bool {
        self.frozen.is_some_and(|until| now < until)
    }

    /// Counts a move or claim. Whether it is the fifth in 180 s.
    fn count(&mut self, now: Instant) -> bool {
        self.counted.retain(|at| now.since(*at) <= Duration::from_secs(180));
        self.counted.push(now);
        self.counted.len() >= 5
    }

    /// Where it was longest, each stay of a second or more; else where it was first.
    fn home(&self, now: Instant) -> String {
        let mut stays = self.stays.clone();
        stays.push((self.place.clone(), self.since, now));
        let mut best = (stays[0].0.clone(), Duration::ZERO);
        for (place, ..) in &stays {
            let its = stays.iter().filter(|stay| stay.0 == *place).map(|stay| stay.2.since(stay.1));
            let total: Duration = its.filter(|lasted| *lasted >= Duration::from_secs(1)).sum();
            if total > best.1 {
                best = (place.clone(), total);
            }
        }
        best.0
    }

    fn go(&mut self, now: Instant, place: &str) {
        let before = std::mem::replace(&mut self.place, place.to_owned());
        self.stays.push((before, self.since, now));
        self.since = now;
    }

    fn freeze(&mut self, now: Instant, seen: &str) -> Heard {
        let home = self.home(now);
        if home != self.place {
            self.go(now, &home);
        }
        if home == seen {
            self.used = now;
        }
        self.counted.clear();
        self.frozen = Some(now + Duration::from_secs(300));
        Heard::Frozen(home)
    }
}

impl Whereabouts {
    /// A frame comes in at a place.
    pub fn hear(&mut self, now: Instant, (src, dst, ether_type): (Mac, Mac, u16), at: &str) -> Heard {
        let is_declared_here = self.declared.get(&src).is_some_and(|place| place == at);
        let is_shared_here = self.shared.get(&src).is_some_and(|places| places.iter().any(|one| one == at));
        if self.strict.iter().any(|place| place == at) && !is_declared_here && !is_shared_here {
            return Heard::Dropped;
        }
        let is_echo = at == FABRIC
            && self.find(src).is_some_and(|place| place != FABRIC)
            && self.sent.get(&(src, dst, ether_type)).is_some_and(|sent| now.since(*sent) <= SECOND);
        if is_echo {
            return self.claim(now, src, at);
        }
        match (self.declared.get(&src), self.shared.contains_key(&src)) {
            (Some(place), _) => {
                if place == at {
                    Heard::Welcome
                } else {
                    Heard::Dropped
                }
            }
            (None, true) if !is_shared_here => Heard::Dropped,
            (None, is_shared) => self.learn(now, src, at, is_shared),
        }
    }

    /// Whether an address sticks elsewhere, or may not stick here: it is known elsewhere, or as many stick here as may.
    fn is_stuck_out(&self, src: Mac, at: &str) -> bool {
        let here = self.sticky.get(at);
        match self.known.get(&src) {
            Some(known) => known.place != at && (here.is_some() || self.sticky.contains_key(&known.place)),
            None => {
                let stuck = self.known.values().filter(|known| known.place == at).count();
                here.is_some_and(|most| stuck >= *most)
            }
        }
    }

    fn learn(&mut self, now: Instant, src: Mac, at: &str, is_shared: bool) -> Heard {
        if self.is_stuck_out(src, at) {
            return Heard::Dropped;
        }
        let known = self.known.entry(src).or_insert_with(|| Known::new(at, now));
        if known.place == at {
            known.used = now;
            return Heard::Welcome;
        }
        if is_shared {
            known.go(now, at);
            known.used = now;
            return Heard::Welcome;
        }
        if known.is_frozen(now) {
            return Heard::Dropped;
        }
        if known.count(now) {
            return known.freeze(now, at);
        }
        known.go(now, at);
        known.used = now;
        Heard::Welcome
    }

    /// Claims within a second of one that counts are part of it.
    fn claim(&mut self, now: Instant, src: Mac, at: &str) -> Heard {
        let is_stuck = self.known.get(&src).is_some_and(|known| self.sticky.contains_key(&known.place));
        let is_fixed = is_stuck || self.declared.contains_key(&src) || self.shared.contains_key(&src);
        let Some(known) = self.known.get_mut(&src).filter(|_| !is_fixed) else { return Heard::Reflected };
        if known.is_frozen(now) || known.claimed.is_some_and(|claimed| now.since(claimed) < SECOND) {
            return Heard::Reflected;
        }
        if known.count(now) {
            return known.freeze(now, at);
        }
        known.claimed = Some(now);
        Heard::Reflected
    }

    /// Says that a frame went out into the fabric.
    pub fn note_sent(&mut self, now: Instant, frame: (Mac, Mac, u16)) {
        self.sent.insert(frame, now);
    }

    /// Where an address is.
    pub fn find(&self, mac: Mac) -> Option<&str> {
        let declared = self.declared.get(&mac);
        declared.or_else(|| self.known.get(&mac).map(|known| &known.place)).map(String::as_str)
    }
}

/// All trunks of the fabric, as `show macs` calls them where the fabric has the default name.
pub const FABRIC: &str = "trunks of fabric";
const SECOND: Duration = Duration::from_secs(1);
