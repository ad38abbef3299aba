//! `l2gw run`: the daemon in the foreground, with a file of its own.
//!
//! It parses and checks the file, says which host of it this is, and hands over to [`agent::life`], which tells the order of a start.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::budget::Rates;
use agent::config::host::hostname;
use agent::config::{cluster, ensemble};
use agent::life::file::{FileContents, FileSource};
use agent::life::{self, Life};
use agent::start::Choice;
use nsdb::JournalPlace;
use nsdb::zookeeper::ZooKeeperSettings;
use vlan::model::description::DatapathKind;

use crate::cli::args::RunRequest;
use crate::cli::failure::say;
use crate::cli::host::{host_for, unknown};
use crate::cli::offline::is_refused;
use crate::cli::{BAD_CONFIGURATION, DONE, FAILED, WRONG_USAGE};
use crate::config::{self, Config};

/// Runs until SIGTERM or SIGINT. Everything in the file is checked before anything is opened.
///
/// # Errors
/// A message cannot be written.
pub fn run(request: &RunRequest, err: &mut impl Write) -> io::Result<u8> {
    match life::block_on(run_on(request, err)) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("cannot start: {error}"), err)?;
            Ok(FAILED)
        }
    }
}

async fn run_on(request: &RunRequest, err: &mut impl Write) -> io::Result<u8> {
    let file = request.file.clone();
    let (loaded, signals) = match life::begin(move || config::load(&file)).await {
        Ok(Some(begun)) => begun,
        Ok(None) => return Ok(DONE),
        Err(failure) => {
            say(&failure, err)?;
            return Ok(failure.code());
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
    let ensemble = match ensemble::settings(&config.nsdb) {
        Ok(ensemble) => ensemble,
        Err(why) => {
            say(&why, err)?;
            return Ok(BAD_CONFIGURATION);
        }
    };
    let journal = match cluster::place(&config.journal, &plan.host) {
        Ok(place) => (place, config.journal.keep),
        Err(why) => {
            say(&why, err)?;
            return Ok(BAD_CONFIGURATION);
        }
    };
    for warning in &config.warnings {
        writeln!(err, "warning: {}", warning.line_for(&config.file))?;
    }
    match life(request, plan, (ensemble, journal), config).live(signals).await {
        Ok(()) => Ok(DONE),
        Err(failure) => {
            say(&failure, err)?;
            Ok(failure.code())
        }
    }
}

/// The host that is run: the one that is named, else the one that this machine is.
fn this_host(request: &RunRequest, config: &Config) -> Result<String, String> {
    let (given, name) = match &request.host {
        Some(host) => ("--host", host.clone()),
        None => ("the hostname", hostname()),
    };
    let takes_only_host = request.host.is_none() && !config.nsdb.is_shared();
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
    let state = request.state.clone().unwrap_or_else(|| config.nsdb.path().to_owned());
    let datapath = datapath(request, &host, config)?;
    Some(Plan { host, state, datapath })
}

fn datapath(request: &RunRequest, host: &str, config: &Config) -> Option<Choice> {
    let declared = config.description.hosts.iter().find(|declared| declared.name == host);
    match (request.datapath, declared.map(|host| host.datapath).unwrap_or_default()) {
        (Some(choice), _) => Some(choice),
        (None, DatapathKind::Ovs) => Some(Choice::Ovs),
        (None, DatapathKind::Auto) => Some(Choice::Auto),
        (None, DatapathKind::Ebpf) => None,
    }
}

/// The file of a host that shares its store says where that is; the topology in it comes in by `l2gw apply` alone.
fn life(
    request: &RunRequest,
    plan: Plan,
    (ensemble, journal): (Option<ZooKeeperSettings>, (JournalPlace, Duration)),
    config: Config,
) -> Life {
    let is_shared = ensemble.is_some();
    let file = FileSource {
        path: request.file.clone(),
        first: Some(declared(config)),
        without_hosts: request.without_host.clone(),
        read: read_again,
    };
    Life {
        host: plan.host,
        state: plan.state,
        ensemble,
        journal,
        socket: request.socket.clone(),
        datapath: plan.datapath,
        device: request.device.clone(),
        rates: Rates::of_port(request.upcall_rate),
        teardown: request.teardown,
        record: request.record.clone(),
        file: (!is_shared).then_some(file),
    }
}

/// What a file says, to be proposed.
pub(super) fn declared(config: Config) -> FileContents {
    let text = config::text::kept(&config);
    FileContents { description: config.description, digest: config.digest, text }
}

/// The file, unless it has mistakes, or this version does not run it, so that the next start would fail.
fn read_again(file: &Path) -> Result<FileContents, String> {
    let config = config::load(file).map_err(|problems| problems.to_string())?;
    let refusals: Vec<String> =
        config.refusals(None).iter().map(|refusal| refusal.line_for(&config.file)).collect();
    if refusals.is_empty() { Ok(declared(config)) } else { Err(refusals.join("\n")) }
}
