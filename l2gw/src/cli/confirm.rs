//! `l2gw confirm`: a revision that was in force for a while only stays.

use std::io::{self, Write};

use agent::door::Confirmation;

use crate::cli::args::ConfirmRequest;
use crate::cli::change::{Applied, fail, on_behalf_of, tell, wait};
use crate::cli::revisions::{Revisions, RevisionsError};

/// Publishes the revision that waits again, as one that waits no more, then waits until the daemon, if one was asked, has it in force.
///
/// # Errors
/// The answer cannot be written.
pub(super) fn confirm(
    request: &ConfirmRequest,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<u8> {
    let of = &request.of;
    match Revisions::open(of).and_then(|revisions| try_confirm(request, &revisions)) {
        Ok(applied) => tell(&applied, "it was", of.at.json, (out, err)),
        Err(error) => fail(&error, err),
    }
}

fn try_confirm(request: &ConfirmRequest, revisions: &Revisions) -> Result<Applied, RevisionsError> {
    let confirmation = Confirmation { revision: request.revision, for_whom: on_behalf_of() };
    wait(revisions, revisions.confirm(confirmation)?)
}
