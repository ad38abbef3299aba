//! How a type that holds one that has a trait of this crate, or one of several, has it too: each call is passed on.

/// Makes a type have [`Documents`](crate::Documents) by what it holds: `$to` in each of its forms.
macro_rules! pass_documents_on {
    ($type:ty, $to:ident: $($held:pat),+) => {
        impl $crate::Documents for $type {
            async fn root(&self) -> Result<Option<$crate::Root>, $crate::DocumentsError> {
                match self { $($held => $to.root().await),+ }
            }

            async fn revisions(&self) -> Result<Vec<$crate::RevisionInfo>, $crate::DocumentsError> {
                match self { $($held => $to.revisions().await),+ }
            }

            async fn root_of(
                &self,
                revision: $crate::Revision,
            ) -> Result<Option<$crate::Root>, $crate::DocumentsError> {
                match self { $($held => $to.root_of(revision).await),+ }
            }

            async fn read(&self, document: $crate::ShardId) -> Result<Vec<u8>, $crate::DocumentsError> {
                match self { $($held => $to.read(document).await),+ }
            }

            async fn publish(
                &self,
                expected: Option<$crate::Revision>,
                shards: std::collections::BTreeMap<$crate::ShardName, Vec<u8>>,
                change: $crate::Change,
            ) -> Result<$crate::Revision, $crate::DocumentsError> {
                match self { $($held => $to.publish(expected, shards, change).await),+ }
            }

            async fn collect(&self, unused_for: std::time::Duration) -> Result<usize, $crate::DocumentsError> {
                match self { $($held => $to.collect(unused_for).await),+ }
            }

            fn watch_root(&self) -> tokio::sync::watch::Receiver<Option<$crate::Revision>> {
                match self { $($held => $to.watch_root()),+ }
            }

            async fn names(
                &self,
                root: &$crate::Root,
                within: &[&str],
            ) -> Result<std::collections::BTreeMap<$crate::ShardName, $crate::ShardId>, $crate::DocumentsError> {
                match self { $($held => $to.names(root, within).await),+ }
            }

            async fn read_shards(
                &self,
                root: &$crate::Root,
                within: &[&str],
            ) -> Result<std::collections::BTreeMap<$crate::ShardName, Vec<u8>>, $crate::DocumentsError> {
                match self { $($held => $to.read_shards(root, within).await),+ }
            }
        }
    };
}

/// The same for [`Sessions`](crate::Sessions).
macro_rules! pass_sessions_on {
    ($type:ty, $to:ident: $($held:pat),+) => {
        impl $crate::Sessions for $type {
            async fn open_session(
                &self,
                name: &str,
                ttl: std::time::Duration,
            ) -> Result<$crate::SessionId, $crate::SessionsError> {
                match self { $($held => $to.open_session(name, ttl).await),+ }
            }

            async fn keep_alive(&self, session: $crate::SessionId) -> Result<(), $crate::SessionsError> {
                match self { $($held => $to.keep_alive(session).await),+ }
            }

            async fn say(&self, session: $crate::SessionId, word: String) -> Result<(), $crate::SessionsError> {
                match self { $($held => $to.say(session, word).await),+ }
            }

            async fn close_session(&self, session: $crate::SessionId) -> Result<(), $crate::SessionsError> {
                match self { $($held => $to.close_session(session).await),+ }
            }

            async fn sessions(&self) -> Result<Vec<$crate::SessionInfo>, $crate::SessionsError> {
                match self { $($held => $to.sessions().await),+ }
            }

            async fn session_named(
                &self,
                name: &str,
            ) -> Result<Option<$crate::SessionInfo>, $crate::SessionsError> {
                match self { $($held => $to.session_named(name).await),+ }
            }

            async fn acquire(
                &self,
                session: $crate::SessionId,
                name: &str,
            ) -> Result<$crate::Lease, $crate::SessionsError> {
                match self { $($held => $to.acquire(session, name).await),+ }
            }

            async fn release(
                &self,
                session: $crate::SessionId,
                name: &str,
            ) -> Result<(), $crate::SessionsError> {
                match self { $($held => $to.release(session, name).await),+ }
            }

            async fn holder(&self, name: &str) -> Result<Option<$crate::Lease>, $crate::SessionsError> {
                match self { $($held => $to.holder(name).await),+ }
            }

            async fn expire(&self) -> Result<Option<std::time::Duration>, $crate::SessionsError> {
                match self { $($held => $to.expire().await),+ }
            }

            fn watch_sessions(&self) -> tokio::sync::watch::Receiver<u64> {
                match self { $($held => $to.watch_sessions()),+ }
            }
        }
    };
}

/// The same for [`AddressFeed`](crate::AddressFeed).
macro_rules! pass_addresses_on {
    ($type:ty, $to:ident: $($held:pat),+) => {
        impl $crate::AddressFeed for $type {
            async fn announce(
                &self,
                owner: $crate::HostId,
                records: Vec<$crate::AddressRecord>,
            ) -> Result<(), $crate::FeedError> {
                match self { $($held => $to.announce(owner, records).await),+ }
            }

            async fn withdraw(
                &self,
                owners: ::std::collections::BTreeSet<$crate::HostId>,
            ) -> Result<::std::collections::BTreeMap<$crate::HostId, usize>, $crate::FeedError> {
                match self { $($held => $to.withdraw(owners).await),+ }
            }

            async fn follow(&self, segment: $crate::SegmentId) -> Result<$crate::Following, $crate::FeedError> {
                match self { $($held => $to.follow(segment).await),+ }
            }
        }
    };
}

/// The same for [`Journal`](crate::Journal).
macro_rules! pass_journal_on {
    ($type:ty, $to:ident: $($held:pat),+) => {
        impl $crate::Journal for $type {
            async fn append(
                &self,
                entries: Vec<$crate::NewEntry>,
            ) -> Result<Vec<$crate::EntryId>, $crate::JournalError> {
                match self { $($held => $to.append(entries).await),+ }
            }

            async fn query(
                &self,
                query: $crate::Query,
            ) -> Result<Vec<$crate::JournalEntry>, $crate::JournalError> {
                match self { $($held => $to.query(query).await),+ }
            }

            async fn trim(&self, now: $crate::WallTime) -> Result<usize, $crate::JournalError> {
                match self { $($held => $to.trim(now).await),+ }
            }
        }
    };
}

/// The same for [`Local`](crate::Local).
macro_rules! pass_local_on {
    ($type:ty, $to:ident: $($held:pat),+) => {
        impl $crate::Local for $type {
            async fn save(&self, key: &str, value: Vec<u8>) -> Result<(), $crate::LocalError> {
                match self { $($held => $to.save(key, value).await),+ }
            }

            async fn load(&self, key: &str) -> Result<Option<Vec<u8>>, $crate::LocalError> {
                match self { $($held => $to.load(key).await),+ }
            }

            async fn delete(&self, key: &str) -> Result<bool, $crate::LocalError> {
                match self { $($held => $to.delete(key).await),+ }
            }

            async fn keys(&self, prefix: &str) -> Result<Vec<String>, $crate::LocalError> {
                match self { $($held => $to.keys(prefix).await),+ }
            }
        }
    };
}

pub(crate) use {pass_addresses_on, pass_documents_on, pass_journal_on, pass_local_on, pass_sessions_on};
