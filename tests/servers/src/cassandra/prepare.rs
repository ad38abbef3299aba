//! What a node finds when it starts: folders, its configuration, certificates, a disk if that is a small one.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::address::Block;
use crate::certificates::{Certificates, certificates};
use crate::disk::SmallDisk;
use crate::error::ServersError;

use super::options::{CassandraOptions, Tls};
use super::program::{CONFIGURATION, DATA, LOGGING};

/// What was made beside the files.
pub(super) struct Prepared {
    pub(super) disk: Option<SmallDisk>,
    pub(super) certificates: Option<Certificates>,
}

/// Makes all of it in a node's own folder, which is there.
pub(super) fn prepare(
    options: &CassandraOptions,
    block: &Block,
    own: &Path,
) -> Result<Prepared, ServersError> {
    let data = own.join(DATA);
    fs::create_dir_all(&data).map_err(ServersError::system(format!("make {}", data.display())))?;
    let (node, relay) = (block.server(0, 0), block.relay(0));
    let own_ones = || certificates(own, &[node.ip(), relay.ip()]);
    let (made, pem) = match &options.tls {
        Tls::None => (None, None),
        Tls::Own => own_ones().map(|made| (Some(made.clone()), Some(made.node)))?,
        Tls::Given(file) => {
            let file =
                fs::canonicalize(file).map_err(ServersError::system(format!("find {}", file.display())));
            (None, Some(file?))
        }
    };
    let yaml = configuration(options, block, pem);
    for (name, text) in [(CONFIGURATION, yaml.as_str()), (LOGGING, LOGBACK)] {
        fs::write(own.join(name), text).map_err(ServersError::system(format!("write a node's {name}")))?;
    }
    let disk = options.disk_bytes.map(|bytes| SmallDisk::make(&data, bytes)).transpose()?;
    Ok(Prepared { disk, certificates: made })
}

/// `cassandra.yaml`. Where data goes says `cassandra.storagedir`.
fn configuration(options: &CassandraOptions, block: &Block, pem: Option<PathBuf>) -> String {
    let (node, storage, relay) = (block.server(0, 0), block.server(0, 1), block.relay(0));
    let seed = SocketAddr::from((node.ip(), storage.port()));
    // A driver learns the node's address from it. It must be the relay's, or a driver that was given that would go around the relay.
    let told = relay.ip().to_string();
    // A small disk has no room for what Cassandra leaves free unless told (50 MiB), nor for much of a commit log.
    let [segment, log, free] = match options.disk_bytes {
        Some(_) => ["1MiB", "4MiB", "1MiB"],
        None => ["4MiB", "64MiB", "50MiB"],
    };
    let own = [
        ("cluster_name", "tests".to_owned()),
        ("listen_address", node.ip().to_string()),
        ("rpc_address", node.ip().to_string()),
        ("broadcast_rpc_address", told),
        ("native_transport_port", node.port().to_string()),
        ("storage_port", storage.port().to_string()),
        ("seed_provider", format!("[{{class_name: {SEEDS}, parameters: [{{seeds: \"{seed}\"}}]}}]")),
        ("num_tokens", "1".to_owned()),
        ("partitioner", "org.apache.cassandra.dht.Murmur3Partitioner".to_owned()),
        ("endpoint_snitch", "SimpleSnitch".to_owned()),
        ("commitlog_sync", "periodic".to_owned()),
        ("commitlog_sync_period", "1s".to_owned()),
        ("commitlog_segment_size", segment.to_owned()),
        ("commitlog_total_space", log.to_owned()),
        ("min_free_space_per_drive", free.to_owned()),
        ("memtable_heap_space", "64MiB".to_owned()),
        ("memtable_offheap_space", "64MiB".to_owned()),
    ];
    let mut lines: Vec<(String, String)> = own.map(|(name, value)| (name.to_owned(), value)).into();
    if options.has_login {
        let login = LOGIN.map(|(name, value)| (name.to_owned(), value.to_owned()));
        lines.extend(login);
    }
    if let Some(pem) = pem {
        let encryption = format!(
            "{{enabled: true, optional: false, keystore: \"{}\", ssl_context_factory: {{class_name: {PEM}}}}}",
            pem.display()
        );
        lines.push(("client_encryption_options".to_owned(), encryption));
    }
    lines.extend(options.lines.clone());
    lines.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
}

const LOGIN: [(&str, &str); 3] = [
    ("authenticator", "PasswordAuthenticator"),
    ("authorizer", "CassandraAuthorizer"),
    ("role_manager", "CassandraRoleManager"),
];

const SEEDS: &str = "org.apache.cassandra.locator.SimpleSeedProvider";

/// It takes a PEM file with a key and a chain of certificates as the keystore.
const PEM: &str = "org.apache.cassandra.security.PEMBasedSslContextFactory";

const LOGBACK: &str = r#"<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{HH:mm:ss.SSS} %-5level %logger{0}: %msg%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="OUT"/></root>
</configuration>
"#;
