//! What a Cassandra node is started with.

use std::path::PathBuf;

use crate::ServersError;

/// What a node is started with. The defaults are for quick tests: a small heap, small files, the disk written to once a second.
#[derive(Debug, Clone)]
pub struct CassandraOptions {
    pub(crate) has_login: bool,
    pub(crate) tls: Tls,
    pub(crate) heap_mib: u32,
    pub(crate) disk_bytes: Option<u64>,
    pub(crate) lines: Vec<(String, String)>,
}

/// Whether clients' connections are encrypted, and by which certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tls {
    None,
    Own,
    Given(PathBuf),
}

impl CassandraOptions {
    /// Anybody may do anything, over connections that are not encrypted.
    pub fn plain() -> CassandraOptions {
        CassandraOptions {
            has_login: false,
            tls: Tls::None,
            heap_mib: 384,
            disk_bytes: None,
            lines: Vec::new(),
        }
    }

    /// Clients log in: `PasswordAuthenticator`, `CassandraAuthorizer`, and at first the role [`CASSANDRA_ROLE`] alone, which may do anything.
    pub fn login(self) -> CassandraOptions {
        CassandraOptions { has_login: true, ..self }
    }

    /// Clients' connections are encrypted, others refused. The node gets a certificate for its addresses: [`crate::Cassandra::certificates()`].
    pub fn tls(self) -> CassandraOptions {
        CassandraOptions { tls: Tls::Own, ..self }
    }

    /// As [`CassandraOptions::tls()`], but by a key (PKCS#8) and a certificate that are in a PEM file already: a wrong one, say.
    pub fn tls_by(self, key_and_certificate: impl Into<PathBuf>) -> CassandraOptions {
        CassandraOptions { tls: Tls::Given(key_and_certificate.into()), ..self }
    }

    /// The most that Java's heap takes, 384 MiB unless told. A node that has just started takes 400 MB in all.
    pub fn heap_mib(self, heap_mib: u32) -> CassandraOptions {
        CassandraOptions { heap_mib, ..self }
    }

    /// The node's data is on a disk of its own of this many bytes, 4 MiB at least: [`crate::SmallDisk`].
    pub fn small_disk(self, bytes: u64) -> CassandraOptions {
        CassandraOptions { disk_bytes: Some(bytes), ..self }
    }

    /// One more line of `cassandra.yaml`: `tombstone_warn_threshold`, say.
    pub fn line(mut self, name: impl Into<String>, value: impl Into<String>) -> CassandraOptions {
        self.lines.push((name.into(), value.into()));
        self
    }

    /// Whether there is such a node.
    pub(crate) fn check(&self) -> Result<(), ServersError> {
        let wrong = |what, value: String, allowed| Err(ServersError::Options { what, value, allowed });
        match (self.disk_bytes, &self.tls) {
            (Some(bytes), _) if bytes < MIN_DISK => {
                wrong("small disk", bytes.to_string(), "4194304 bytes or more")
            }
            (_, Tls::Given(file)) if !file.is_file() => {
                wrong("certificate", file.display().to_string(), "a PEM file that is there")
            }
            _ => Ok(()),
        }
    }
}

/// The role that a node with [`CassandraOptions::login()`] has at first; its password is the same word.
pub const CASSANDRA_ROLE: &str = "cassandra";

/// The least that was tried with which a node starts; it then has 0.7 MiB on it.
pub(crate) const MIN_DISK: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_not_is_refused_with_what_there_is() {
        let told = |options: CassandraOptions| options.check().unwrap_err().to_string();
        let disk = CassandraOptions::plain().small_disk(1);
        assert_eq!(told(disk), "small disk is 1: allowed are 4194304 bytes or more");
        let tls = CassandraOptions::plain().tls_by("/nowhere.pem");
        assert_eq!(told(tls), "certificate is /nowhere.pem: allowed are a PEM file that is there");
        CassandraOptions::plain().login().tls().small_disk(MIN_DISK).check().unwrap();
    }
}
