//! `l2gw rollback`: what an earlier revision declares becomes the next one.

use std::io::{self, Write};

use agent::admin::Published;
use agent::door::Proposal;

use crate::cli::args::RollbackRequest;
use crate::cli::change::{Applied, fail, publish, tell};
use crate::cli::client::{Client, ClientError};

/// Publishes an earlier revision again, then waits until the daemon has it in force. Numbers that were dealt out since stay dealt out.
///
/// # Errors
/// The answer cannot be written.
pub(super) fn rollback(
    request: &RollbackRequest,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<u8> {
    let at = &request.publishing.at;
    match try_rollback(request, &Client::new(&at.socket)) {
        Ok(applied) => {
            let like = format!("revision {} was", request.revision);
            tell(&applied, &like, at.json, (out, err))
        }
        Err(error) => fail(&error, err),
    }
}

fn try_rollback(request: &RollbackRequest, client: &Client) -> Result<Applied, ClientError> {
    let earlier: Published = client.read(&format!("/v1/revisions/{}", request.revision))?;
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
    };
    publish(client, proposal)
}
