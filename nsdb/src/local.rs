//! The trait [`Local`] and its errors.

use std::future::Future;

use thiserror::Error;

use crate::error::StoreError;
use crate::path::{NameError, check_name};

/// What one host keeps for its own restart: learned addresses, saved every few seconds; numbers it has given out.
///
/// Not shared with anyone, which is why it is apart from the other traits: a host on a shared store keeps this part in
/// its own embedded file. The bytes are the caller's ([`crate::schema`] gives them a version).
pub trait Local: Send + Sync {
    /// Keeps `value` under `key` (1 to 255 printable ASCII characters), in place of what was there. Durable when it
    /// returns. At most [`MAX_LOCAL_BYTES`].
    fn save(&self, key: &str, value: Vec<u8>) -> impl Future<Output = Result<(), LocalError>> + Send;

    /// What was saved under `key`.
    fn load(&self, key: &str) -> impl Future<Output = Result<Option<Vec<u8>>, LocalError>> + Send;

    /// Forgets `key`; says whether it was there.
    fn delete(&self, key: &str) -> impl Future<Output = Result<bool, LocalError>> + Send;

    /// The keys that begin with `prefix`, in order.
    fn keys(&self, prefix: &str) -> impl Future<Output = Result<Vec<String>, LocalError>> + Send;
}

/// Why local state could not be kept or read.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum LocalError {
    /// The value is too long.
    #[error("local value {key} has {length} bytes: at most {MAX_LOCAL_BYTES} are allowed")]
    TooLarge {
        /// The key.
        key: String,
        /// Length of the value in bytes.
        length: usize,
    },
    /// The key is not allowed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The backend failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LocalError {
    /// Whether the same call may succeed later. Saving twice does no harm.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_retryable())
    }

    /// Whether stored data is damaged.
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_corrupt())
    }
}

/// Checks what is to be saved.
pub(crate) fn check(key: &str, value: &[u8]) -> Result<(), LocalError> {
    check_name("local", key)?;
    if value.len() > MAX_LOCAL_BYTES {
        return Err(LocalError::TooLarge { key: key.to_owned(), length: value.len() });
    }
    Ok(())
}

/// Largest local value in bytes: the addresses of ten full FDBs of 200 000.
pub const MAX_LOCAL_BYTES: usize = 64 << 20;
