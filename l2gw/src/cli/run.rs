//! `l2gw run`: the daemon in the foreground.
//!
//! The order of its start: signals are listened to, so that none ends it out of order; the file is checked; the state directory is locked;
//! the socket is opened; the record is made; the file becomes the newest revision if it has changed; the datapath is opened. A second
//! daemon thus fails before it has touched anything of the first.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agent::budget::Rates;
use agent::daemon::DaemonError;
use agent::door::{Accepted, AtStart, Door};
use agent::record::RecordFile;
use agent::serving::Serving;
use agent::socket::Socket;
use agent::start::{self, Choice, Start};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nsdb::Store;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;
use vlan::model::description::DatapathKind;
use vlan::model::shown::printable;

use crate::cli::args::{Datapath, RunRequest};
use crate::cli::failure::{Shown, say};
use crate::cli::host::{host_for, unknown};
use crate::cli::offline::is_refused;
use crate::cli::{BAD_CONFIGURATION, DONE, FAILED, WRONG_USAGE, reload};
use crate::config::store::Nsdb;
use crate::config::{self, Config};

/// Runs until SIGTERM or SIGINT. Everything in the file is checked before anything is opened.
///
/// # Errors
/// A message cannot be written.
pub fn run(request: &RunRequest, err: &mut impl Write) -> io::Result<u8> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("cannot start: {error}"), err)?;
            return Ok(FAILED);
        }
    };
    let code = runtime.block_on(run_on(request, err));
    runtime.shutdown_timeout(PATIENCE);
    code
}

async fn run_on(request: &RunRequest, err: &mut impl Write) -> io::Result<u8> {
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            say(&format!("cannot listen for signals: {error}"), err)?;
            return Ok(FAILED);
        }
    };
    start_logging();
    let file = request.file.clone();
    let loaded = tokio::task::spawn_blocking(move || config::load(&file));
    let loaded = tokio::select! {
        loaded = loaded => loaded.map_err(io::Error::other)?,
        () = signals.ended() => {
            tell_stopping();
            return Ok(DONE);
        }
    };
    let config = match loaded {
        Ok(config) => config,
        Err(problems) => {
            writeln!(err, "{problems}")?;
            return Ok(BAD_CONFIGURATION);
        }
    };
    let host = match this_host(request, &config) {
        Ok(host) => host,
        Err(refusal) => {
            say(&refusal, err)?;
            return Ok(WRONG_USAGE);
        }
    };
    // The command line may name another datapath than the file.
    let whose = request.datapath.is_none().then_some(host.as_str());
    if is_refused(&config, whose, err)? {
        return Ok(BAD_CONFIGURATION);
    }
    let Some(plan) = plan(request, host, &config) else { return Ok(BAD_CONFIGURATION) };
    for warning in &config.warnings {
        writeln!(err, "warning: {}", warning.line_for(&config.file))?;
    }
    match serve(request, plan, config, signals).await {
        Ok(()) => Ok(DONE),
        Err(failure) => {
            say(&failure.message, err)?;
            Ok(failure.code)
        }
    }
}

/// Why the daemon did not start or go on, and how it ends.
struct Failure {
    code: u8,
    message: String,
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure { code: FAILED, message: error.to_string() }
}

/// The host that is run: the one that is named, else the one that this machine is.
fn this_host(request: &RunRequest, config: &Config) -> Result<String, String> {
    let (given, name) = match &request.host {
        Some(host) => ("--host", host.clone()),
        None => {
            let name = nix::unistd::gethostname().unwrap_or_default();
            ("the hostname", name.to_string_lossy().into_owned())
        }
    };
    let takes_only_host = request.host.is_none() && matches!(config.nsdb, Nsdb::Embedded { .. });
    host_for(&name, &config.topology, takes_only_host)
        .map_err(|tried| unknown(given, &tried, &request.file.display().to_string(), &config.topology))
}

/// What is to be run, by command line and file.
struct Plan {
    host: String,
    state: PathBuf,
    datapath: Choice,
}

/// `None` if the file has what this version does not run.
fn plan(request: &RunRequest, host: String, config: &Config) -> Option<Plan> {
    let Nsdb::Embedded { path } = &config.nsdb else { return None };
    let state = request.state.clone().unwrap_or_else(|| path.clone());
    let datapath = datapath(request, &host, config)?;
    Some(Plan { host, state, datapath })
}

fn datapath(request: &RunRequest, host: &str, config: &Config) -> Option<Choice> {
    let declared = config.description.hosts.iter().find(|declared| declared.name == host);
    match (request.datapath, declared.map(|host| host.datapath).unwrap_or_default()) {
        (Some(Datapath::Ovs), _) | (None, DatapathKind::Ovs) => Some(Choice::Ovs),
        (Some(Datapath::Fake), _) => Some(Choice::Fake),
        (Some(Datapath::Auto), _) | (None, DatapathKind::Auto) => Some(Choice::Auto),
        (None, DatapathKind::Ebpf) => None,
    }
}

async fn serve(
    request: &RunRequest,
    plan: Plan,
    config: Config,
    mut signals: Signals,
) -> Result<(), Failure> {
    allow_many_ports();
    let mut opening = std::pin::pin!(open(request, &plan, config));
    let opened = tokio::select! {
        opened = &mut opening => opened?,
        () = signals.ended() => {
            tell_stopping();
            // What is being published is told of.
            let _ = tokio::time::timeout(PATIENCE, opening).await;
            return Ok(());
        }
    };
    let start = Start {
        host: plan.host.clone(),
        datapath: plan.datapath,
        device: request.device.clone(),
        serving: opened.serving,
        teardown: request.teardown,
        rates: Rates::of_port(request.upcall_rate),
        record: opened.record,
    };
    let (stop, stopped) = watch::channel(false);
    let obeying = tokio::spawn(obey(signals, request.file.clone(), opened.door, stop));
    let ended = start::run(start, opened.store, stopped, tell_ready).await.map_err(failed);
    // A file that is being published is told of.
    if ended.is_ok() {
        let _ = tokio::time::timeout(PATIENCE, obeying).await;
    }
    ended
}

/// What is there before the datapath is opened.
struct Opened {
    store: Arc<Store>,
    serving: Serving,
    record: Option<RecordFile>,
    door: Arc<Door>,
}

async fn open(request: &RunRequest, plan: &Plan, config: Config) -> Result<Opened, Failure> {
    let (state, keep) = (plan.state.clone(), config.journal.keep);
    // It reads the whole file, and SIGTERM is obeyed meanwhile.
    let store = tokio::task::spawn_blocking(move || start::open_store(&state, keep)).await;
    let store = store.map_err(failed)?.map_err(failed)?;
    let socket = Socket::open(&request.socket).await.map_err(failed)?;
    let door = Arc::new(Door::new(Arc::clone(&store), &plan.host, Some(request.file.clone())));
    let serving =
        Serving::begin(socket, Arc::clone(&store), Arc::clone(&door), "the file is being published");
    let record = request.record.as_deref().map(RecordFile::create).transpose();
    let record = record.map_err(|error| failed(DaemonError::from(error)))?;
    let file = printable(&request.file.display().to_string());
    let proposal = reload::proposal(&request.file, config, "run", request.without_host.clone());
    match door.publish_at_start(proposal).await {
        Ok(AtStart::InForce(Accepted { revision, is_new: true })) => {
            info!(revision, file, "the file is a new revision");
        }
        Ok(AtStart::InForce(Accepted { revision, is_new: false })) => {
            info!(revision, file, "the file says what the newest revision says");
        }
        Ok(AtStart::Kept { .. }) => {}
        Err(error) => {
            let code = if error.is_wrong() { BAD_CONFIGURATION } else { FAILED };
            return Err(Failure { code, message: format!("{file}: {error}") });
        }
    }
    Ok(Opened { store, serving, record, door })
}

fn start_logging() {
    let given = std::env::var_os("L2GW_LOG");
    let given = given.map(|given| EnvFilter::try_new(given.to_string_lossy()));
    let (filter, mistake) = match given {
        None => (LOG.into(), None),
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (LOG.into(), Some(error)),
    };
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(log).with_ansi(false).try_init();
    if let Some(error) = mistake {
        warn!(%error, "the log is as without L2GW_LOG, which cannot be understood");
    }
}

fn log() -> Shown<io::Stderr> {
    Shown(io::stderr())
}

/// Every port has an upcall socket, and the usual limit of 1 024 open files is not many ports. The kernel's own limit stays.
fn allow_many_ports() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        warn!(%error, "the limit of open files stays as it is");
    }
}

fn tell_ready() {
    info!("ready");
    tell_systemd(sd_notify::NotifyState::Ready);
}

fn tell_systemd(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        warn!(%error, "systemd cannot be told");
    }
}

struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    fn listen() -> io::Result<Signals> {
        Ok(Signals {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGTERM or SIGINT.
    async fn ended(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}

/// SIGTERM and SIGINT end the daemon; SIGHUP has the file read again, and published if it is right.
async fn obey(signals: Signals, file: PathBuf, door: Arc<Door>, stop: watch::Sender<bool>) {
    let Signals { mut term, mut int, mut hup } = signals;
    let (asked, asking) = mpsc::channel(1);
    let reloading = tokio::spawn(reload::keep(file, door, asking));
    loop {
        tokio::select! {
            _ = term.recv() => break,
            _ = int.recv() => break,
            // Where one waits already, the file is going to be read after this one as well.
            _ = hup.recv() => drop(asked.try_send(())),
        }
    }
    tell_stopping();
    let _ = stop.send(true);
    drop(asked);
    let _ = reloading.await;
}

fn tell_stopping() {
    info!("stopping");
    tell_systemd(sd_notify::NotifyState::Stopping);
}

/// How long what goes on in other threads may take at the end: a check of a large proposal is of no use to anyone then.
const PATIENCE: Duration = Duration::from_millis(500);
/// What is logged unless told otherwise. At the end netlink's own tasks complain that nobody listens any more.
const LOG: &str = "info,netlink_proto=error";
