//! Why a server cannot be had, or does not do what is asked.

use std::io;
use std::time::Duration;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum ServersError {
    /// A program or library that servers need is not on this machine.
    #[error("{0} is not there: make setup installs it")]
    NotInstalled(String),
    /// Cassandra's libraries, of this name, are not in the build directory.
    #[error("{0} is not in the build directory: tests/setup/cassandra.sh, which make test runs, fetches it")]
    NotFetched(&'static str),
    /// The options ask for what there is not.
    #[error("{what} is {value}: allowed are {allowed}")]
    Options {
        /// Which option.
        what: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// The system refused something.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: String,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// Servers did not become what was waited for. Ends with the last lines of their logs.
    #[error("not {what} after {after:?}: {state}")]
    NotReady {
        /// What was waited for.
        what: &'static str,
        /// For how long.
        after: Duration,
        /// What each server is, and its log.
        state: String,
    },
    /// A server gave no answer to a four-letter word, or one that cannot be read.
    #[error("server {server}, asked `{word}`: {why}")]
    Answer {
        /// Its number, from 1.
        server: usize,
        /// What it was asked.
        word: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A server that is dead was asked to do something, or one that runs was to be started.
    #[error("server {server} is {state}")]
    State {
        /// Its number, from 1.
        server: usize,
        /// What it is.
        state: &'static str,
    },
}

impl ServersError {
    /// To be used with `map_err`: what was tried, before the reason is known.
    pub(crate) fn system<C: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(C) -> ServersError {
        let what = what.into();
        move |cause| ServersError::System { what, cause: cause.into() }
    }
}
