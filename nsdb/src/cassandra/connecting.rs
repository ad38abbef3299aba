//! A connection to the cluster, which is also who finds its other nodes, and lives through what becomes of them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use scylla::client::PoolSize;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::policies::speculative_execution::SimpleSpeculativeExecutionPolicy;
use tokio::time::timeout;

use super::making;
use super::refusal::Refusal;
use super::rows::{Connected, Statements};
use super::settings::CassandraSettings;

/// Connects, and makes the tables if they are not there.
pub(super) async fn connect(settings: &CassandraSettings) -> Result<Connected, Refusal> {
    let connecting = async {
        let session = session(settings).await?;
        making::make(&session, settings).await?;
        let statements = Statements::prepare(&session, &settings.quoted()).await?;
        Ok(Connected { session, statements })
    };
    let most = settings.patience * CONNECT_PATIENCES;
    let in_time = timeout(most, connecting).await;
    in_time.unwrap_or_else(|_| Err(Refusal::new(format!("no answer within {} s", most.as_secs()))))
}

async fn session(settings: &CassandraSettings) -> Result<Session, Refusal> {
    let mut nodes = DefaultPolicy::builder();
    if let Some(datacenter) = &settings.datacenter {
        nodes = nodes.prefer_datacenter(datacenter.clone());
    }
    let profile = ExecutionProfile::builder()
        .consistency(settings.sureness.level())
        .request_timeout(Some(settings.patience))
        // A node that hangs is not waited for where another has what is asked.
        .speculative_execution_policy(Some(Arc::new(SimpleSpeculativeExecutionPolicy {
            max_retry_count: 1,
            retry_interval: settings.patience / 5,
        })))
        .load_balancing_policy(nodes.build());
    let mut builder = SessionBuilder::new()
        .known_nodes(&settings.contact_points)
        .connection_timeout(settings.patience)
        .hostname_resolution_timeout(Some(settings.patience))
        .pool_size(PoolSize::PerHost(ONE))
        .keepalive_interval(settings.patience)
        .keepalive_timeout(settings.patience)
        .schema_agreement_timeout(settings.patience)
        // What it would fetch is for queries of types that are made at run time; we have none.
        .fetch_schema_metadata(false)
        .default_execution_profile_handle(profile.build().into_handle());
    if let Some(login) = &settings.login {
        builder = builder.user(&login.user, &login.password);
    }
    if let Some(authority) = &settings.authority {
        builder = builder.tls_context(Some(tls(authority)?));
    }
    let session = builder.build().await?;
    check_datacenter(&session, settings)?;
    Ok(session)
}

/// Whether the data centre that was named is one.
fn check_datacenter(session: &Session, settings: &CassandraSettings) -> Result<(), Refusal> {
    let Some(wanted) = &settings.datacenter else { return Ok(()) };
    let state = session.get_cluster_state();
    let mut known: Vec<&str> =
        state.get_nodes_info().iter().filter_map(|node| node.datacenter.as_deref()).collect();
    known.sort_unstable();
    known.dedup();
    if known.contains(&wanted.as_str()) {
        return Ok(());
    }
    Err(Refusal::new(format!("no data centre is called {wanted:?}, there are: {}", known.join(", "))))
}

/// TLS 1.2 or 1.3 with nodes that one of these certificates vouches for. A node's certificate has to name its address.
fn tls(authority: &Path) -> Result<Arc<ClientConfig>, Refusal> {
    let wrong = |why: String| Refusal::new(format!("{}: {why}", authority.display()));
    let pem = fs::read(authority).map_err(|error| wrong(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate =
            certificate.map_err(|error| wrong(format!("is no PEM file of certificates: {error}")))?;
        roots
            .add(certificate)
            .map_err(|error| wrong(format!("has a certificate that cannot be read: {error}")))?;
    }
    if roots.is_empty() {
        return Err(wrong("has no certificate".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| wrong(error.to_string()))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

/// To connect is to ask several times: who is there, what is there, to make it.
const CONNECT_PATIENCES: u32 = 4;
/// Connections to each node: what one host says goes by one.
const ONE: std::num::NonZeroUsize = std::num::NonZeroUsize::MIN;
