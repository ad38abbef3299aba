//! How much of a revision is read: all of it, or a host's share.

use nsdb::{Documents, RevisionInfo, Root, Store};

use super::kept::Shards;
use super::{Newest, TopologyError};
use crate::documents::{self, ShareReading, Stored};

/// How much of a revision is read.
#[derive(Debug)]
pub(super) enum Scope {
    /// For whoever publishes, and for what operators ask.
    Whole,
    /// For a host that follows.
    Share {
        /// The host.
        host: String,
        /// The shards of the revision that was read last, until they are kept.
        last: Option<Shards>,
    },
}

impl Scope {
    /// What a host that follows this store reads of it: where it is alone in it, operators ask it of all that there is.
    pub(super) fn of_follower(store: &Store, host: &str) -> Scope {
        match store.is_of_one_host() {
            true => Scope::Whole,
            false => Scope::Share { host: host.to_owned(), last: None },
        }
    }

    /// Reads the revision of a root.
    ///
    /// # Errors
    /// The store cannot be read now. What is damaged or newer is a value.
    pub(super) async fn read(&mut self, store: &Store, root: &Root) -> Result<Newest, TopologyError> {
        let stored = match self.try_read(store, root).await {
            Ok(stored) => Ok(stored),
            Err(TopologyError::Store(error)) if error.is_retryable() => return Err(error.into()),
            Err(error) => Err(error.to_string()),
        };
        let (revision, author) = (root.revision, root.author.clone());
        Ok(Newest { revision, author, confirm_within: root.confirm_within, stored })
    }

    /// The newest revision that can be read, of those that the store keeps. One that has to be confirmed, or had to be, is none: what came of
    /// it is another.
    ///
    /// # Errors
    /// The store cannot be read now.
    pub(super) async fn last_readable(&mut self, store: &Store) -> Result<Option<Newest>, TopologyError> {
        let known = store.revisions().await?;
        let is_one = |known: &RevisionInfo| known.unreadable.is_none() && known.confirm_within.is_none();
        for known in known.into_iter().filter(is_one) {
            let Some(root) = store.root_of(known.revision).await? else { continue };
            let there = self.read(store, &root).await?;
            if there.stored.is_ok() {
                return Ok(Some(there));
            }
        }
        Ok(None)
    }

    /// What was read last and not taken yet, where it is a host's share: to be kept for a start without the store.
    pub(super) fn take_last_read(&mut self) -> Option<Shards> {
        match self {
            Scope::Whole => None,
            Scope::Share { last, .. } => last.take(),
        }
    }

    async fn try_read(&mut self, store: &Store, root: &Root) -> Result<Stored, TopologyError> {
        let (host, last) = match self {
            Scope::Whole => {
                let shards = store.read_shards(root, &[""]).await?;
                let shards = shards.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
                return Ok(documents::from_shards(shards)?);
            }
            Scope::Share { host, last } => (host.as_str(), last),
        };
        let (mut share, mut read) = (ShareReading::new(host), Shards::new());
        loop {
            let next = share.next();
            if next.is_empty() {
                break;
            }
            let next: Vec<&str> = next.iter().map(String::as_str).collect();
            for (name, bytes) in store.read_shards(root, &next).await? {
                share.take(name.as_str(), &bytes)?;
                read.insert(name.into(), bytes);
            }
        }
        *last = Some(read);
        Ok(share.finish()?)
    }
}

#[cfg(test)]
mod tests;
