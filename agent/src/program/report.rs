//! What `l2gw-agent --check --json` prints: one object on one line, with the keys of `l2gw check --json`.

use std::fmt;

use serde::Serialize;
use vlan::model::words::Worded;

use super::Plan;
use crate::reader::finding::{Finding, Problems, is_none};

/// What file and options come to, or what is wrong with the file.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    file: String,
    ok: bool,
    /// Only of a file without mistakes.
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<Summary<'a>>,
    mistakes: &'a [Finding],
    /// How many mistakes there are behind these.
    #[serde(skip_serializing_if = "is_none")]
    more: usize,
    warnings: &'a [Finding],
}

/// What would be run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Summary<'a> {
    host: &'a str,
    nsdb: String,
    socket: String,
    datapath: &'static str,
    device: &'a str,
    upcall_rate: u32,
}

impl<'a> Report<'a> {
    /// Of what would be run.
    pub(super) fn of(plan: &'a Plan) -> Report<'a> {
        let summary = Summary {
            host: &plan.host,
            nsdb: plan.config.stores.nsdb.to_string(),
            socket: plan.config.socket.display().to_string(),
            datapath: plan.config.datapath.word(),
            device: &plan.config.device,
            upcall_rate: plan.config.upcall_rate,
        };
        let file = plan.file_name();
        Report { file, ok: true, summary: Some(summary), mistakes: &[], more: 0, warnings: &[] }
    }

    /// Of a file with mistakes.
    pub(super) fn refused(Problems { file, mistakes, more }: &'a Problems) -> Report<'a> {
        Report { file: file.clone(), ok: false, summary: None, mistakes, more: *more, warnings: &[] }
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}
