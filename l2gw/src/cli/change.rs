//! `l2gw plan` and `l2gw apply`: the difference to the revision in force, and making it the next one.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::admin::Published;
use agent::door::{Accepted, Proposal};
use agent::life::file::proposal;
use agent::view::{StatusView, Unread};
use serde::Serialize;
use vlan::model::shown::{beginning, printable};

use crate::cli::args::{ApplyRequest, At};
use crate::cli::client::{Client, ClientError};
use crate::cli::difference::Difference;
use crate::cli::failure::say;
use crate::cli::offline::{is_refused, load};
use crate::cli::run::declared;
use crate::cli::{BAD_CONFIGURATION, DONE, FAILED};
use crate::config::Config;
use crate::config::text::kept;

#[derive(Serialize)]
struct Plan<'a> {
    /// The revision it was planned against.
    revision: u64,
    #[serde(flatten)]
    difference: &'a Difference,
    /// Whether the file's text is another than the one that is kept with the revision: comments, order.
    is_text_other: bool,
}

/// What became of a proposal.
#[derive(Serialize)]
pub(super) struct Applied {
    revision: u64,
    is_new: bool,
    in_force: bool,
    /// Why it is not in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// `l2gw plan FILE`.
///
/// # Errors
/// The answer cannot be written.
pub fn plan(file: &Path, at: &At, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    let Some(config) = load_to_run(file, err)? else { return Ok(BAD_CONFIGURATION) };
    match Client::new(&at.socket).read::<Published>("/v1/topology") {
        Ok(Published { revision, topology, numbers, text }) => match topology.description() {
            Ok(before) => {
                if let Err(mistakes) = numbers.unwrap_or_default().after(&config.topology) {
                    for mistake in &mistakes {
                        writeln!(err, "{}", config.places.finding(mistake).line_for(&config.file))?;
                    }
                    return Ok(BAD_CONFIGURATION);
                }
                let is_text_other = kept(&config).is_some_and(|kept| !kept.is_kept(text.as_ref()));
                let difference = &Difference::new(&before, &Arc::new(config.topology));
                print_plan(&Plan { revision, difference, is_text_other }, at.json, out)?;
                Ok(DONE)
            }
            Err(mistakes) => {
                let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                let mistakes = mistakes.join("; ");
                writeln!(
                    err,
                    "l2gw: revision {revision}, as the daemon tells it, has what this version does not know: {mistakes}"
                )?;
                Ok(FAILED)
            }
        },
        Err(error) => fail(&error, err),
    }
}

/// Reads a file that a daemon is to run. What the file asks of a host and this version does not do is only a warning, for the file does
/// not say which host the daemon is, nor with which datapath it was started.
fn load_to_run(file: &Path, err: &mut impl Write) -> io::Result<Option<Config>> {
    let Some(config) = load(file, err)? else { return Ok(None) };
    if is_refused(&config, None, err)? {
        return Ok(None);
    }
    for unrun in &config.unrun {
        writeln!(err, "warning: {}", unrun.finding.line_for(&config.file))?;
    }
    Ok(Some(config))
}

fn print_plan(plan: &Plan<'_>, json: bool, out: &mut impl Write) -> io::Result<()> {
    if json {
        serde_json::to_writer_pretty(&mut *out, plan)?;
        return writeln!(out);
    }
    let Plan { revision, difference, is_text_other } = plan;
    if difference.is_empty() && *is_text_other {
        return writeln!(
            out,
            "revision {revision} declares what the file does; its text is another (comments, order), which `l2gw apply` keeps as a revision"
        );
    }
    if difference.is_empty() {
        return writeln!(out, "nothing to do: revision {revision} is as the file says");
    }
    writeln!(out, "against revision {revision}:")?;
    for line in difference.lines() {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// `l2gw apply FILE`: publishes, then waits until the daemon has it in force.
///
/// # Errors
/// The answer cannot be written.
pub fn apply(request: &ApplyRequest, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    let at = &request.publishing.at;
    let Some(config) = load_to_run(&request.file, err)? else { return Ok(BAD_CONFIGURATION) };
    match try_apply(request, &Client::new(&at.socket), config) {
        Ok(applied) => tell(&applied, "the file says", at.json, (out, err)),
        Err(error) => fail(&error, err),
    }
}

/// Prints what became of it; `like` is what the revision is as.
pub(super) fn tell(
    applied: &Applied,
    like: &str,
    json: bool,
    (out, err): (&mut impl Write, &mut impl Write),
) -> io::Result<u8> {
    print_applied(applied, like, json, out)?;
    match &applied.error {
        None => return Ok(DONE),
        Some(error) if !json => say(error, err)?,
        Some(_) => {}
    }
    Ok(FAILED)
}

fn print_applied(applied: &Applied, like: &str, json: bool, out: &mut impl Write) -> io::Result<()> {
    if json {
        serde_json::to_writer(&mut *out, applied)?;
        return writeln!(out);
    }
    let revision = applied.revision;
    match (applied.is_new, applied.in_force) {
        (false, true) => writeln!(out, "nothing to do: revision {revision} is as {like}"),
        (true, true) => writeln!(out, "revision {revision} is in force"),
        (_, false) => Ok(()),
    }
}

fn try_apply(request: &ApplyRequest, client: &Client, config: Config) -> Result<Applied, ClientError> {
    let mut proposal =
        proposal(&request.file, declared(config), "apply", request.publishing.without_host.clone());
    proposal.expected = request.publishing.against;
    publish(client, proposal)
}

/// Publishes a proposal, and waits until it is in force.
pub(super) fn publish(client: &Client, mut proposal: Proposal) -> Result<Applied, ClientError> {
    // The daemon sees by itself who connects; sudo alone knows for whom.
    if let Ok(user) = std::env::var("SUDO_USER") {
        proposal.note += &format!(", for {}", beginning(&printable(&user), LONGEST_USER));
    }
    let accepted: Accepted = client.send("/v1/topology", &proposal)?;
    let Accepted { revision, is_new } = accepted;
    let error = wait_for(client, revision)?;
    Ok(Applied { revision, is_new, in_force: error.is_none(), error })
}

/// Characters of a user's name that are told.
const LONGEST_USER: usize = 100;

/// Waits until a revision is in force; why it is not.
fn wait_for(client: &Client, revision: u64) -> Result<Option<String>, ClientError> {
    let until = Instant::now() + PATIENCE;
    loop {
        let status: StatusView = client.read("/v1/status")?;
        if status.revision >= revision && status.settled {
            return Ok(None);
        }
        if let Some(Unread { revision, why }) = status.unread.filter(|unread| unread.revision >= revision) {
            return Ok(Some(format!("revision {revision} is stored, but not taken: {why}")));
        }
        if Instant::now() > until {
            let seconds = PATIENCE.as_secs();
            return Ok(Some(format!(
                "revision {revision} is stored, but not in force after {seconds} s; see `l2gw show status` and the log"
            )));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(super) fn fail(error: &ClientError, err: &mut impl Write) -> io::Result<u8> {
    say(error, err)?;
    Ok(error.exit_code())
}

const PATIENCE: Duration = Duration::from_secs(10);
