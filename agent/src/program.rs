//! `l2gw-agent`: one host on the store of a state directory, or on an ensemble that it shares with others. It reads no file of the topology:
//! what is in force is what the store has.
//!
//! It reads `agent.toml`, puts the command line over it, and hands over to [`crate::life`].

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Parser;
use tracing::info;
use vlan::model::shown::printable;
use vlan::model::value::quote;
use vlan::model::words::Worded;

use crate::budget::Rates;
use crate::config::defaults::DEFAULT_FILE;
use crate::config::store::Nsdb;
use crate::config::{self, Config, cluster, ensemble, host};
use crate::life::exit::{self, BAD_CONFIGURATION, DONE, FAILED, WRONG_USAGE};
use crate::life::{self, Life};
use crate::reader::finding::Problems;
use options::Arguments;
use report::Report;

pub mod options;
mod report;

/// Runs one command line and returns its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let options = match Arguments::try_parse_from(&arguments) {
        Ok(options) => options,
        Err(error) => return exit::refuse(&error, &arguments),
    };
    if options.check {
        return check(options);
    }
    match life::block_on(live(options)) {
        Ok(code) => code,
        Err(error) => fail(FAILED, &format!("cannot start: {error}")),
    }
}

/// Says what file and options come to, or what is wrong with them.
fn check(options: Arguments) -> u8 {
    let is_json = options.json;
    let planned = plan(options);
    let said = match &planned {
        Ok(plan) if !is_json => line_of(plan),
        Err(Refusal::File(problems)) if is_json => Report::refused(problems).to_string(),
        Ok(plan) => Report::of(plan).to_string(),
        Err(_) => String::new(),
    };
    if let Err(error) = io::stdout().write_all(said.as_bytes()) {
        return fail(FAILED, &format!("cannot write the answer: {error}"));
    }
    match planned {
        Ok(_) => DONE,
        Err(Refusal::File(_)) if is_json => BAD_CONFIGURATION,
        Err(refusal) => refusal.tell(),
    }
}

fn line_of(plan: &Plan) -> String {
    format!("{}: ok: {plan}\n", printable(&plan.file_name()))
}

async fn live(options: Arguments) -> u8 {
    let (planned, signals) = match life::begin(move || plan(options)).await {
        Ok(Some(begun)) => begun,
        Ok(None) => return DONE,
        Err(failure) => return fail(failure.code(), &failure),
    };
    let plan = match planned {
        Ok(planned) => planned,
        Err(refusal) => return refusal.tell(),
    };
    info!(host = plan.host, "the topology is that of the store; `l2gw apply` brings another");
    let life = match plan.life() {
        Ok(life) => life,
        Err(why) => return fail(BAD_CONFIGURATION, &why),
    };
    match life.live(signals).await {
        Ok(()) => DONE,
        Err(failure) => fail(failure.code(), &failure),
    }
}

/// What is to be run: the file with the command line over it.
#[derive(Debug)]
struct Plan {
    config: Config,
    host: String,
    teardown: bool,
    record: Option<PathBuf>,
}

/// Reads the file and puts the options over it.
fn plan(options: Arguments) -> Result<Plan, Refusal> {
    let mut config = config::load(options.config.as_deref()).map_err(Refusal::File)?;
    let host = match (options.host, config.host.take()) {
        (Some(given), _) => {
            host::host_of(&given).ok_or_else(|| no_host("--host", &given, "give another one"))?
        }
        (None, Some(host)) => host,
        (None, None) => {
            let name = host::hostname();
            host::host_of(&name).ok_or_else(|| no_host("the hostname", &name, "give one by --host"))?
        }
    };
    if let Some(place) = options.nsdb {
        config.stores.nsdb = place.over(config.stores.nsdb);
    }
    if let Some(given) = options.auth_file {
        let Nsdb::ZooKeeper { auth_file, .. } = &mut config.stores.nsdb else {
            let why = "--auth-file is for a store on ZooKeeper: name one by --nsdb zookeeper:HOST:PORT";
            return Err(Refusal::Usage(why.to_owned()));
        };
        *auth_file = Some(given);
    }
    let config = Config {
        socket: options.socket.unwrap_or(config.socket),
        datapath: options.datapath.unwrap_or(config.datapath),
        device: options.device.unwrap_or(config.device),
        upcall_rate: options.upcall_rate.unwrap_or(config.upcall_rate),
        ..config
    };
    Ok(Plan { config, host, teardown: options.teardown, record: options.record })
}

fn no_host(whose: &str, name: &str, advice: &str) -> Refusal {
    let allowed = "allowed are a-z, 0-9 and '-', not first, at most 63";
    Refusal::Usage(format!("{whose}: {} is no name of a host, {allowed}; {advice}", quote(name)))
}

impl Plan {
    /// The file's name, as messages call it.
    fn file_name(&self) -> String {
        self.config.file.clone().unwrap_or_else(|| format!("{DEFAULT_FILE} (not there, defaults hold)"))
    }

    /// # Errors
    /// How the ensemble or the journal is reached cannot be told.
    fn life(self) -> Result<Life, String> {
        let ensemble = ensemble::settings(&self.config.stores.nsdb)?;
        let journal = cluster::place(&self.config.stores.journal, &self.host)?;
        let Config { socket, datapath, device, upcall_rate, stores, .. } = self.config;
        Ok(Life {
            host: self.host,
            state: stores.nsdb.path().to_owned(),
            ensemble,
            journal: (journal, stores.journal.keep),
            socket,
            datapath,
            device,
            rates: Rates::of_port(upcall_rate),
            teardown: self.teardown,
            record: self.record,
            file: None,
        })
    }
}

impl fmt::Display for Plan {
    /// `host gw1, nsdb embedded:/var/lib/l2gw, socket /run/l2gw/l2gw.sock, datapath auto, device l2gw`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Config { socket, datapath, device, .. } = &self.config;
        let (nsdb, socket) =
            (printable(&self.config.stores.nsdb.to_string()), printable(&socket.display().to_string()));
        let datapath = datapath.word();
        write!(f, "host {}, nsdb {nsdb}, socket {socket}, datapath {datapath}, device {device}", self.host)
    }
}

/// Why nothing is run.
#[derive(Debug)]
enum Refusal {
    /// The command line, or what it leaves to the machine.
    Usage(String),
    /// The file: every mistake.
    File(Problems),
}

impl Refusal {
    /// Says it; returns the exit code.
    fn tell(self) -> u8 {
        match self {
            Refusal::Usage(why) => fail(WRONG_USAGE, &why),
            Refusal::File(problems) => {
                let _ = writeln!(io::stderr(), "{problems}");
                BAD_CONFIGURATION
            }
        }
    }
}

/// Says why on one line; what it names may be of any bytes.
fn fail(code: u8, why: &impl fmt::Display) -> u8 {
    let _ = writeln!(io::stderr(), "l2gw-agent: {}", printable(&why.to_string()));
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of `words` over a file of `text`.
    fn told(text: &str, words: &[&str]) -> Result<String, String> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("agent.toml");
        std::fs::write(&file, text).unwrap();
        let first = ["l2gw-agent", "--config", file.to_str().unwrap()];
        match plan(Arguments::try_parse_from(first.iter().chain(words)).unwrap()) {
            Ok(plan) => Ok(plan.to_string()),
            Err(Refusal::Usage(why)) => Err(why),
            Err(Refusal::File(problems)) => Err(problems.to_string()),
        }
    }

    #[test]
    fn options_win_over_the_file() {
        let text = "host = \"gw1\"\nsocket = \"/run/a\"\ndatapath = \"ovs\"\ndevice = \"a\"\n[nsdb]\npath = \"/a\"\n";
        let expected = "host gw1, nsdb embedded:/a, socket /run/a, datapath ovs, device a";
        assert_eq!(told(text, &[]), Ok(expected.to_owned()));
        let words = ["--host", "GW2.lab", "--nsdb", "embedded:b", "--socket", "/run/b", "--datapath", "fake"];
        let expected = "host gw2, nsdb embedded:b, socket /run/b, datapath fake, device b";
        assert_eq!(told(text, &[&words[..], &["--device", "b"]].concat()), Ok(expected.to_owned()));
    }

    #[test]
    fn the_command_line_may_name_another_store_than_the_file() {
        let text = "[nsdb]\nbackend = \"zookeeper\"\nservers = [\"10.0.0.1:2181\"]\nauth-file = \"/a\"\n";
        let expected = |nsdb: &str| {
            format!("host g, nsdb {nsdb}, socket /run/l2gw/l2gw.sock, datapath auto, device l2gw")
        };
        let told = |text, words: &[&str]| told(text, &[&["--host", "g"], words].concat());
        assert_eq!(told(text, &[]), Ok(expected("zookeeper:10.0.0.1:2181/l2gw")));
        assert_eq!(told(text, &["--nsdb", "embedded:/b"]), Ok(expected("embedded:/b")));
        let words = ["--nsdb", "zookeeper:zk1:2181,zk2:2181/own", "--auth-file", "/b"];
        assert_eq!(told("", &words), Ok(expected("zookeeper:zk1:2181,zk2:2181/own")));
        let why = "--auth-file is for a store on ZooKeeper: name one by --nsdb zookeeper:HOST:PORT";
        assert_eq!(told("", &["--auth-file", "/b"]), Err(why.to_owned()));
    }

    #[test]
    fn what_is_planned_or_wrong_is_told_as_json_too() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("agent.toml");
        let words = ["l2gw-agent", "--check", "--json", "--config", file.to_str().unwrap()];
        let planned = |text: &str| {
            std::fs::write(&file, text).unwrap();
            plan(Arguments::try_parse_from(words).unwrap())
        };
        let name = file.display().to_string();
        let right = planned("host = \"gw1\"\n[nsdb]\npath = \"/a\"\n").unwrap();
        let said: serde_json::Value = serde_json::from_str(&Report::of(&right).to_string()).unwrap();
        let summary = serde_json::json!({"host": "gw1", "nsdb": "embedded:/a", "socket": "/run/l2gw/l2gw.sock",
            "datapath": "auto", "device": "l2gw", "upcall-rate": 5_000});
        let expected =
            serde_json::json!({"file": name, "ok": true, "summary": summary, "mistakes": [], "warnings": []});
        assert_eq!(said, expected);
        let Err(Refusal::File(problems)) = planned("hots = 1\n") else { panic!("a key is wrong") };
        let said: serde_json::Value = serde_json::from_str(&Report::refused(&problems).to_string()).unwrap();
        assert_eq!((&said["ok"], &said["mistakes"][0]["key"]), (&false.into(), &"hots".into()));
        assert!(Arguments::try_parse_from(["l2gw-agent", "--json"]).is_err(), "only of a check");
    }

    #[test]
    fn a_name_that_no_host_has_is_refused() {
        let said = told("", &["--host", "a b"]).unwrap_err();
        let expected = "--host: \"a b\" is no name of a host, allowed are a-z, 0-9 and '-', not first, at most 63; give another one";
        assert_eq!(said, expected);
    }
}
