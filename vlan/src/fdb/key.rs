//! The key of an address, and how it is hashed.
//!
//! Source addresses come from whoever is on the network. With a hash that is known, such as Fx, a sender could choose a
//! million addresses that fall into one chain and make each look-up walk it. Starting Fx from a secret seed does not help: it only
//! adds and multiplies by a known constant, so keys that collide under one seed collide under all. Here each word
//! is multiplied by a *secret* factor to 128 bits and both halves are folded, as foldhash and wyhash do; without the seed
//! no set of colliding addresses can be computed.

use std::hash::{BuildHasher, Hash, Hasher};

use crate::addr::MacAddr;
use crate::model::id::SegmentId;

/// A segment and an address in 12 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    number: u32,
    inner: u16,
    mac: MacAddr,
}

impl Key {
    pub(super) fn new(segment: SegmentId, mac: MacAddr) -> Key {
        Key { number: segment.number, inner: segment.inner, mac }
    }

    pub(super) fn segment(self) -> SegmentId {
        SegmentId { number: self.number, inner: self.inner }
    }

    pub(super) fn mac(self) -> MacAddr {
        self.mac
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.mac.to_u64() | u64::from(self.inner) << 48);
        hasher.write_u32(self.number);
    }
}

/// The secret start and factor of the hash.
#[derive(Debug, Clone, Copy)]
pub struct Seed {
    start: u64,
    factor: u64,
}

impl Seed {
    /// A start and a factor from a number, which is to be random and secret where keys come from a network.
    pub fn new(seed: u64) -> Seed {
        // An even factor would lose bits at each multiplication.
        Seed { start: spread(seed), factor: spread(seed.wrapping_add(GOLDEN)) | 1 }
    }
}

impl BuildHasher for Seed {
    type Hasher = Folding;

    fn build_hasher(&self) -> Folding {
        Folding { state: self.start, factor: self.factor }
    }
}

/// A hash under way.
pub struct Folding {
    state: u64,
    factor: u64,
}

impl Hasher for Folding {
    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.factor);
        self.state = (product as u64) ^ ((product >> 64) as u64);
    }

    fn write_u8(&mut self, word: u8) {
        self.write_u64(u64::from(word));
    }

    fn write_u16(&mut self, word: u16) {
        self.write_u64(u64::from(word));
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u128(&mut self, word: u128) {
        self.write_u64(word as u64);
        self.write_u64((word >> 64) as u64);
    }

    // A derived hash begins with this: which variant an enum is.
    fn write_isize(&mut self, word: isize) {
        self.write_u64(word as u64);
    }

    // And before bytes: how many.
    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn finish(&self) -> u64 {
        self.state
    }
}

/// The output function of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014): any two
/// seeds, even neighbours, give unrelated words.
fn spread(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(GOLDEN);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// 2^64 divided by the golden ratio: SplitMix64's step.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    fn low_bits(seed: u64, bits: u32) -> Vec<u64> {
        let seed = Seed::new(seed);
        (0..1u32 << bits)
            .map(|i| {
                let [a, b, c, d] = i.to_be_bytes();
                let key = Key::new(SegmentId { number: 3, inner: 0 }, MacAddr([0x52, 0x54, a, b, c, d]));
                seed.hash_one(key) & ((1 << bits) - 1)
            })
            .collect()
    }

    #[test]
    fn consecutive_addresses_spread_as_random_ones_would() {
        for seed in [0, 1, u64::MAX, 0x1234_5678_9abc_def0] {
            let mut filled = low_bits(seed, 12);
            filled.sort_unstable();
            filled.dedup();
            // 4096 random balls fill 1 - 1/e of 4096 bins, 2589 ± 30.
            assert!(filled.len() > 2_400, "seed {seed}: {} of 4096 bins", filled.len());
        }
    }

    #[test]
    fn a_collision_under_one_seed_is_none_under_another() {
        let (one, two) = (low_bits(1, 12), low_bits(2, 12));
        let collide = |hashes: &[u64]| -> Vec<(usize, usize)> {
            (1..hashes.len()).map(|i| (i - 1, i)).filter(|(a, b)| hashes[*a] == hashes[*b]).collect()
        };
        let in_both = collide(&one).iter().filter(|pair| collide(&two).contains(pair)).count();
        assert!(in_both <= 2, "{in_both} neighbours collide under both seeds");
    }

    #[test]
    fn each_part_of_the_key_counts() {
        let seed = Seed::new(7);
        let mac = MacAddr([2, 0, 0, 0, 0, 1]);
        let keys = [
            Key::new(SegmentId { number: 1, inner: 0 }, mac),
            Key::new(SegmentId { number: 2, inner: 0 }, mac),
            Key::new(SegmentId { number: 1, inner: 9 }, mac),
            Key::new(SegmentId { number: 1, inner: 0 }, MacAddr([2, 0, 0, 0, 0, 2])),
        ];
        let mut hashes: Vec<u64> = keys.iter().map(|key| seed.hash_one(key)).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), keys.len());
        assert_eq!(keys[2].segment(), SegmentId { number: 1, inner: 9 });
        assert_eq!(keys[2].mac(), mac);
    }
}
