//! The one hash of this crate: SHA-256 (FIPS 180-4). Whole for the name of a shard, its first 16 bytes as the checksum
//! of a record. One well-kept hash for both, so that a checksum can never be the weaker part.

use sha2::{Digest, Sha256};

/// SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Checksum over `parts`, each preceded by its length: moving a byte from one part to the next changes it.
pub(crate) fn checksum(parts: &[&[u8]]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let full: [u8; 32] = hasher.finalize().into();
    let mut short = [0; CHECKSUM_BYTES];
    short.copy_from_slice(&full[..CHECKSUM_BYTES]);
    short
}

/// Length of a record's checksum in bytes.
pub(crate) const CHECKSUM_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_of_abc_is_that_of_fips_180_4() {
        let hex: String = sha256(b"abc").iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(checksum(&[b"ab", b"c"]), checksum(&[b"a", b"bc"]));
    }
}
