//! `l2gw rollback`: what an earlier revision declares becomes the next one.

use std::io::{self, Write};

use agent::door::Proposal;

use crate::cli::args::RollbackRequest;
use crate::cli::change::{Applied, fail, publish, tell};
use crate::cli::revisions::{Revisions, RevisionsError};

/// Publishes an earlier revision again, then waits until the daemon, if one was asked, has it in force. Numbers that were dealt out since
/// stay dealt out.
///
/// # Errors
/// The answer cannot be written.
pub(super) fn rollback(
    request: &RollbackRequest,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<u8> {
    let of = &request.publishing.of;
    match Revisions::open(of).and_then(|revisions| try_rollback(request, &revisions)) {
        Ok(applied) => {
            let like = format!("revision {} was", request.revision);
            tell(&applied, &like, of.at.json, (out, err))
        }
        Err(error) => fail(&error, err),
    }
}

fn try_rollback(request: &RollbackRequest, revisions: &Revisions) -> Result<Applied, RevisionsError> {
    let earlier = revisions.one(request.revision)?;
    let proposal = Proposal {
        expected: request.publishing.against,
        topology: earlier.topology,
        author: String::new(),
        note: format!("rollback to revision {}", request.revision),
        without_hosts: request.publishing.without_host.clone(),
        file: None,
        text: earlier.text,
        origin: None,
        again: Some(request.revision),
        confirm_within: request.confirm,
    };
    publish(revisions, proposal, &request.publishing.of)
}
