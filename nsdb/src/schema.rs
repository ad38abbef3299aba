//! How a document becomes bytes and back: one version byte, then postcard.
//!
//! The version byte says which Rust type follows. Who changes a type in a way that changes its bytes takes the next
//! number and keeps a reader of the old one; who meets a number it does not know says so instead of guessing. Bytes
//! left over after a document are an error as well: they mean that reader and writer disagree about the type.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// Bytes of `document`, marked as `version`.
///
/// # Errors
/// [`SchemaError::Unencodable`] if the type cannot be written as postcard (a sequence of unknown length).
pub fn encode<T: Serialize>(version: u8, document: &T) -> Result<Vec<u8>, SchemaError> {
    postcard::to_extend(document, vec![version])
        .map_err(|source| SchemaError::Unencodable { version, source })
}

/// The document in `bytes`, which must be of `version` and nothing else.
///
/// # Errors
/// Empty, of another version, damaged, or followed by bytes that do not belong to it.
pub fn decode<T: DeserializeOwned>(version: u8, bytes: &[u8]) -> Result<T, SchemaError> {
    let found = version_of(bytes)?;
    if found != version {
        return Err(SchemaError::UnknownVersion { found, known: version });
    }
    let (document, rest) = postcard::take_from_bytes(&bytes[1..]).map_err(|source| SchemaError::Damaged {
        version,
        length: bytes.len(),
        source,
    })?;
    if rest.is_empty() {
        Ok(document)
    } else {
        Err(SchemaError::Trailing { version, left: rest.len(), length: bytes.len() })
    }
}

/// The version that `bytes` say they have, for a reader that knows several.
///
/// # Errors
/// [`SchemaError::Empty`] if there is no byte.
pub fn version_of(bytes: &[u8]) -> Result<u8, SchemaError> {
    bytes.first().copied().ok_or(SchemaError::Empty)
}

/// Why a document could not be written or read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// There are no bytes.
    #[error("document is empty: at least its version byte was expected")]
    Empty,
    /// The version byte is not the one this reader knows.
    #[error("document has version {found}, this program reads version {known}")]
    UnknownVersion {
        /// The version in the bytes.
        found: u8,
        /// The version asked for.
        known: u8,
    },
    /// The bytes are not a document of that version.
    #[error("document of version {version} is damaged: its {length} bytes do not decode")]
    Damaged {
        /// The version asked for.
        version: u8,
        /// Length of all bytes.
        length: usize,
        /// What postcard met.
        #[source]
        source: postcard::Error,
    },
    /// The document ended before the bytes did.
    #[error("document of version {version} ends {left} bytes before the end of its {length} bytes")]
    Trailing {
        /// The version asked for.
        version: u8,
        /// Bytes left over.
        left: usize,
        /// Length of all bytes.
        length: usize,
    },
    /// The type cannot be written.
    #[error("document of version {version} cannot be encoded")]
    Unencodable {
        /// The version asked for.
        version: u8,
        /// What postcard met.
        #[source]
        source: postcard::Error,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Port {
        name: String,
        vids: Vec<u16>,
    }

    fn port() -> Port {
        Port { name: "eth2".to_owned(), vids: vec![5, 8, 4094] }
    }

    #[test]
    fn a_document_survives_the_round_trip() {
        let bytes = encode(3, &port()).unwrap();
        assert_eq!(bytes[0], 3);
        assert_eq!(decode::<Port>(3, &bytes), Ok(port()));
    }

    #[test]
    fn each_kind_of_damage_has_its_own_error() {
        let bytes = encode(3, &port()).unwrap();
        assert_eq!(decode::<Port>(3, &[]), Err(SchemaError::Empty));
        let error = decode::<Port>(4, &bytes).unwrap_err();
        assert_eq!(error.to_string(), "document has version 3, this program reads version 4");
        let error = decode::<Port>(3, &bytes[..bytes.len() - 1]).unwrap_err();
        assert_eq!(error.to_string(), "document of version 3 is damaged: its 10 bytes do not decode");
        let longer = [bytes.as_slice(), b"xy"].concat();
        let error = decode::<Port>(3, &longer).unwrap_err();
        assert_eq!(error.to_string(), "document of version 3 ends 2 bytes before the end of its 13 bytes");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic_and_never_lose_a_byte(bytes: Vec<u8>) {
            if let Ok(read) = decode::<Port>(1, &bytes) {
                // Postcard accepts non-canonical varints, so only the meaning must survive.
                prop_assert_eq!(decode::<Port>(1, &encode(1, &read).unwrap()), Ok(read));
            }
        }
    }
}
