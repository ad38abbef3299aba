//! `l2gw plan` and `l2gw apply`: the difference to the revision in force, and making it the next one.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use agent::clock::wall_ms;
use agent::config::store::Nsdb;
use agent::door::{Accepted, Proposal};
use agent::life::file::proposal;
use agent::revisions::Published;
use agent::tree::{Sources, Tree, TreeMistake};
use nsdb::ConfirmWithin;
use serde::Serialize;
use vlan::model::mistake::Mistake;
use vlan::model::numbers::Numbers;
use vlan::model::shown::{beginning, printable};
use vlan::model::topology::Topology;

use crate::cli::args::{ApplyRequest, Of, Place};
use crate::cli::difference::Difference;
use crate::cli::failure::say;
use crate::cli::offline::{is_refused, load_as};
use crate::cli::revisions::{Revisions, RevisionsError, Waited};
use crate::cli::run::declared;
use crate::cli::time::utc;
use crate::cli::{BAD_CONFIGURATION, DONE, FAILED};
use crate::config::text::kept;
use crate::config::{Config, StoreSaid};

#[derive(Serialize)]
struct Plan<'a> {
    /// The revision it was planned against.
    revision: u64,
    #[serde(flatten)]
    difference: &'a Difference,
    /// Whether the file's text is another than the one that is kept with the revision: comments, order.
    is_text_other: bool,
    /// What stays because it did not come from a file: `ports.vm7 (by socket, from root)`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kept: Vec<String>,
    #[serde(skip)]
    kept_in_brief: String,
}

/// What became of a proposal.
#[derive(Serialize)]
pub(super) struct Applied {
    revision: u64,
    is_new: bool,
    /// `None` where no daemon was asked: hosts take it from the store.
    in_force: Option<bool>,
    /// Why it is not in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// When hosts go back to the revision before unless it is confirmed, in milliseconds since 1970 by this machine's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    confirm_by_ms: Option<u64>,
    /// How it is confirmed.
    #[serde(skip)]
    confirmed_by: String,
    /// What becomes of it where no daemon was asked.
    #[serde(skip)]
    next: &'static str,
}

/// `l2gw plan FILE`.
///
/// # Errors
/// The answer cannot be written.
pub fn plan(file: &Path, of: &Of, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    let Some(config) = load_to_run(file, of, err)? else { return Ok(BAD_CONFIGURATION) };
    match Revisions::open_with(of, &config.nsdb).and_then(|revisions| revisions.newest()) {
        Ok(Published { revision, topology, numbers, text, sources, confirm_within_s, .. }) => {
            if let Some(within) = confirm_within_s {
                warn_of_wait(revision, within, err)?;
            }
            match topology.description() {
                Ok(before) => {
                    let after = match after(&config, topology, &sources, &numbers.unwrap_or_default()) {
                        Ok(after) => after,
                        Err(lines) => {
                            lines.iter().try_for_each(|line| writeln!(err, "{}", printable(line)))?;
                            return Ok(BAD_CONFIGURATION);
                        }
                    };
                    let after = Arc::new(after.unwrap_or_else(|| config.topology.clone()));
                    let is_text_other = kept(&config).is_some_and(|kept| !kept.is_kept(text.as_ref()));
                    let difference = &Difference::new(&before, &after);
                    let kept = sources.others().map(|other| printable(&other)).collect();
                    let kept_in_brief = printable(&sources.others_in_brief());
                    print_plan(
                        &Plan { revision, difference, is_text_other, kept, kept_in_brief },
                        of.at.json,
                        out,
                    )?;
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
            }
        }
        Err(error) => fail_with(&config.nsdb, &error, err),
    }
}

/// What is planned cannot be applied yet.
fn warn_of_wait(revision: u64, within: ConfirmWithin, err: &mut impl Write) -> io::Result<()> {
    let before = revision.saturating_sub(1);
    writeln!(
        err,
        "warning: revision {revision} waits for its confirmation, within {within} from when hosts saw it: nothing is applied before \
         `l2gw confirm` or `l2gw rollback {before}`"
    )
}

/// What would be in force beside what is there: `None` where that is what the file says, and nothing else.
///
/// # Errors
/// What is wrong with it, line by line.
fn after(
    config: &Config,
    there: Tree,
    sources: &Sources,
    numbers: &Numbers,
) -> Result<Option<Topology>, Vec<String>> {
    let of_file = |mistake: Mistake| config.places.finding(&mistake).line_for(&config.file);
    let deal = |topology: &Topology| numbers.after(topology).map(drop);
    let file = Tree::from(&config.description);
    let all = file.and_others(there, sources).map_err(|lines| lines_of(config, lines))?;
    if all == file {
        deal(&config.topology).map_err(|mistakes| mistakes.into_iter().map(of_file).collect::<Vec<_>>())?;
        return Ok(None);
    }
    let in_words = |mistakes: Vec<TreeMistake>| {
        let stays = format!("what stays, since it did not come from a file: {}", sources.others_in_brief());
        lines_of(config, mistakes.iter().map(ToString::to_string).chain([stays]))
    };
    let description = all.description().map_err(in_words)?;
    let named = |mistakes: Vec<Mistake>| {
        let named = mistakes.into_iter().map(|mistake| TreeMistake::in_description(mistake, &description));
        in_words(named.collect())
    };
    let topology = Topology::build(&description).map_err(named)?;
    deal(&topology).map_err(named)?;
    Ok(Some(topology))
}

fn lines_of(config: &Config, said: impl IntoIterator<Item = String>) -> Vec<String> {
    said.into_iter().map(|said| format!("{}: {said}", config.file)).collect()
}

/// Reads a file that a daemon is to run. What the file asks of a host and this version does not do is only a warning, for the file does
/// not say which host the daemon is, nor with which datapath it was started.
fn load_to_run(file: &Path, of: &Of, err: &mut impl Write) -> io::Result<Option<Config>> {
    let store = match of.nsdb {
        Some(Place::Named(_)) => StoreSaid::Elsewhere,
        Some(Place::OfFile) | None => StoreSaid::InFile,
    };
    let Some(config) = load_as(file, store, err)? else { return Ok(None) };
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
    let Plan { revision, difference, is_text_other, kept_in_brief, .. } = plan;
    print_difference(*revision, difference, *is_text_other, out)?;
    if !kept_in_brief.is_empty() {
        writeln!(out, "stays, since it did not come from a file: {kept_in_brief}")?;
    }
    Ok(())
}

fn print_difference(
    revision: u64,
    difference: &Difference,
    is_text_other: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    if difference.is_empty() && is_text_other {
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

/// `l2gw apply FILE`: publishes, then waits until the daemon, if one was asked, has it in force.
///
/// # Errors
/// The answer cannot be written.
pub fn apply(request: &ApplyRequest, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    let of = &request.publishing.of;
    let Some(config) = load_to_run(&request.file, of, err)? else { return Ok(BAD_CONFIGURATION) };
    let nsdb = config.nsdb.clone();
    match Revisions::open_with(of, &nsdb).and_then(|revisions| try_apply(request, &revisions, config)) {
        Ok(applied) => tell(&applied, "the file says", of.at.json, (out, err)),
        Err(error) => fail_with(&nsdb, &error, err),
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
    let Applied { revision, next, .. } = applied;
    match (applied.is_new, applied.in_force) {
        (_, Some(false)) => Ok(()),
        (false, _) => writeln!(out, "nothing to do: revision {revision} is as {like}"),
        (true, in_force) => {
            let what = match in_force {
                Some(_) => format!("revision {revision} is in force"),
                None => format!("revision {revision} is stored"),
            };
            // The daemon that was asked counts here. Where none was, others do, each from when it saw the revision, by no clock of this machine.
            let whose = if in_force.is_some() { "" } else { " by this machine's clock, or later," };
            let confirm = |by: u64| {
                format!("until {}{whose} unless confirmed: {}", time_of(by, wall_ms()), applied.confirmed_by)
            };
            match (in_force, applied.confirm_by_ms.map(confirm)) {
                (Some(_), None) => writeln!(out, "{what}"),
                (Some(_), Some(confirm)) => writeln!(out, "{what} {confirm}"),
                (None, None) => writeln!(out, "{what}; {next}"),
                (None, Some(confirm)) => writeln!(out, "{what}, and in force {confirm}; {next}"),
            }
        }
    }
}

fn try_apply(
    request: &ApplyRequest,
    revisions: &Revisions,
    config: Config,
) -> Result<Applied, RevisionsError> {
    let mut proposal =
        proposal(&request.file, declared(config), "apply", request.publishing.without_host.clone());
    proposal.expected = request.publishing.against;
    proposal.confirm_within = request.confirm;
    publish(revisions, proposal, &request.publishing.of)
}

/// The command that confirms a revision, as it can be typed.
fn confirmation(of: &Of, revision: u64) -> String {
    let place = of.nsdb.as_ref().map(|_| " --nsdb …").unwrap_or_default();
    format!("`l2gw confirm {revision}{place}`")
}

/// A time of UTC, as in the daemon's log, with its day where that is not the day of `now`.
fn time_of(ms: u64, now: u64) -> String {
    let (then, today) = (utc(ms), utc(now));
    let parts = then.split_once('T').zip(today.split_once('T'));
    let Some(((day, time), (today, _))) = parts else { return then };
    let seconds = time.split_once('.').map_or(time, |(seconds, _)| seconds);
    if day == today { format!("{seconds} UTC") } else { format!("{day} {seconds} UTC") }
}

/// Publishes a proposal, and waits until it is in force where a daemon can tell.
pub(super) fn publish(
    revisions: &Revisions,
    mut proposal: Proposal,
    of: &Of,
) -> Result<Applied, RevisionsError> {
    if let Some(user) = on_behalf_of() {
        proposal.note += &format!(", for {user}");
    }
    let within = proposal.confirm_within;
    if within.is_some() {
        revisions.check_confirmable()?;
    }
    let (before, applied) = (wall_ms(), wait(revisions, revisions.publish(proposal)?)?);
    // Hosts count from when they see it, which is no earlier than this.
    let by = within.filter(|_| applied.is_new).map(|within| before + within.as_secs() * 1_000);
    let confirmed_by = confirmation(of, applied.revision);
    Ok(Applied { confirm_by_ms: by, confirmed_by, ..applied })
}

/// For whom this is run. Who connects, or runs it, is seen by the kernel; sudo alone knows for whom.
pub(super) fn on_behalf_of() -> Option<String> {
    std::env::var("SUDO_USER").ok().map(|user| beginning(&printable(&user), LONGEST_USER))
}

/// Waits until what came in is in force, where a daemon can tell.
pub(super) fn wait(revisions: &Revisions, accepted: Accepted) -> Result<Applied, RevisionsError> {
    let Accepted { revision, is_new } = accepted;
    let (in_force, error, next) = match revisions.wait_for(revision)? {
        Waited::InForce => (Some(true), None, ""),
        Waited::NotYet(why) => (Some(false), Some(why), ""),
        Waited::Stored(next) => (None, None, next),
    };
    let (confirm_by_ms, confirmed_by) = (None, String::new());
    Ok(Applied { revision, is_new, in_force, error, confirm_by_ms, confirmed_by, next })
}

pub(super) fn fail(error: &RevisionsError, err: &mut impl Write) -> io::Result<u8> {
    say(error, err)?;
    Ok(error.exit_code())
}

/// The same of a verb whose file may name the store.
fn fail_with(file: &Nsdb, error: &RevisionsError, err: &mut impl Write) -> io::Result<u8> {
    if !(error.is_no_daemon() && file.is_shared()) {
        return fail(error, err);
    }
    say(&format!("{error} Without one, `--nsdb file` opens the store that the file's [nsdb] names"), err)?;
    Ok(error.exit_code())
}

/// Characters of a user's name that are told.
const LONGEST_USER: usize = 100;
