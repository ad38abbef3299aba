//! `l2gw check FILE`: whether a configuration is right; nothing but the file is opened.

use std::io::{self, Write};
use std::path::Path;

use agent::reader::finding::{Finding, Problems, is_none};
use serde::Serialize;
use vlan::model::shown::printable;

use crate::cli::{BAD_CONFIGURATION, DONE};
use crate::config::{self, Config};

/// Checks the file at `path`. Without mistakes: its warnings, then one line of summary, to `out`. With mistakes: every one, a line each,
/// to `err`. With `is_json` one JSON object to `out` in either case. Returns the exit code.
///
/// # Errors
/// What writing to `out` or `err` returns.
pub fn check(path: &Path, is_json: bool, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    let checked = config::load(path);
    let code = if checked.is_ok() { DONE } else { BAD_CONFIGURATION };
    if is_json {
        let report = Report::new(path.display().to_string(), &checked);
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
        return Ok(code);
    }
    match checked {
        Ok(config) => tell(&config, out)?,
        Err(problems) => writeln!(err, "{problems}")?,
    }
    Ok(code)
}

fn tell(config: &Config, out: &mut impl Write) -> io::Result<()> {
    for warning in &config.warnings {
        writeln!(out, "warning: {}", warning.line_for(&config.file))?;
    }
    writeln!(out, "{}: ok: {}", printable(&config.file), Summary::new(config))
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    file: String,
    ok: bool,
    /// Only of a configuration without mistakes.
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<Summary>,
    mistakes: &'a [Finding],
    /// How many mistakes there are behind these.
    #[serde(skip_serializing_if = "is_none")]
    more: usize,
    warnings: &'a [Finding],
}

impl<'a> Report<'a> {
    fn new(file: String, checked: &'a Result<Config, Problems>) -> Report<'a> {
        match checked {
            Ok(config) => {
                let summary = Some(Summary::new(config));
                Report { file, ok: true, summary, mistakes: &[], more: 0, warnings: &config.warnings }
            }
            Err(problems) => Report {
                file,
                ok: false,
                summary: None,
                mistakes: &problems.mistakes,
                more: problems.more,
                warnings: &[],
            },
        }
    }
}

/// How much a configuration declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Summary {
    hosts: usize,
    bridges: usize,
    vlans: usize,
    trunks: usize,
    ports: usize,
}

impl Summary {
    fn new(config: &Config) -> Summary {
        let description = &config.description;
        Summary {
            hosts: description.hosts.len(),
            bridges: description.bridges.len(),
            vlans: description.vlans.len(),
            trunks: description.trunks.len(),
            ports: description.ports.len(),
        }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counted =
            |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let parts = [
            counted(self.hosts, "host"),
            counted(self.bridges, "bridge"),
            counted(self.vlans, "VLAN"),
            counted(self.trunks, "trunk"),
            counted(self.ports, "port"),
        ];
        f.write_str(&parts.join(", "))
    }
}
