//! How a journal is reached: what `[journal]` says, with the login from its file.

use nsdb::JournalPlace;
use nsdb::cassandra::CassandraSettings;

use super::ensemble;
use super::store::{Journal, JournalBackend};

/// Where the journal of `host` is.
///
/// # Errors
/// The file with the login cannot be read, is open to others, or has something else in it.
pub fn place(journal: &Journal, host: &str) -> Result<JournalPlace, String> {
    let JournalBackend::Cassandra(cluster) = &journal.backend else { return Ok(JournalPlace::State) };
    let contact_points = cluster.contact_points.iter().map(ToString::to_string).collect();
    let login = cluster.auth_file.as_deref().map(ensemble::login).transpose()?;
    let settings = CassandraSettings::new(contact_points, &cluster.keyspace, host);
    Ok(JournalPlace::Cluster(CassandraSettings {
        datacenter: cluster.datacenter.clone(),
        sureness: cluster.consistency,
        authority: cluster.ca_file.clone(),
        login,
        ..settings
    }))
}
