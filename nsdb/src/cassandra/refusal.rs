//! What nodes and the way to them say, in words that tell an operator what to look at.

use std::io::ErrorKind;

use scylla::errors::{
    ConnectionError, ConnectionPoolError, ConnectionSetupRequestErrorKind, DbError, ExecutionError,
    IntoRowsResultError, MetadataError, NewSessionError, NextPageError, NextRowError, PagerExecutionError,
    PrepareError, RequestAttemptError, RequestError,
};

/// Why something cannot be had of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) why: String,
    /// Whether what is known of the cluster may be wrong now: connect and look anew.
    pub(super) is_to_begin_anew: bool,
}

impl Refusal {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), is_to_begin_anew: true }
    }

    fn passing(why: impl Into<String>) -> Self {
        Self { why: why.into(), is_to_begin_anew: false }
    }

    fn of_node(error: &DbError, message: &str) -> Self {
        match error {
            DbError::AuthenticationError => {
                Self::new("the login is refused: look at user and password in auth-file")
            }
            DbError::Unauthorized => Self::new(format!("the login has not the right to: {message}")),
            DbError::Unavailable { required, alive, .. } => {
                Self::passing(format!("{alive} of the {required} replicas that are needed are alive"))
            }
            DbError::ReadTimeout { received, required, .. }
            | DbError::WriteTimeout { received, required, .. } => Self::passing(format!(
                "{received} of the {required} replicas that are needed answered in time"
            )),
            DbError::WriteFailure { .. } | DbError::ReadFailure { .. } => {
                Self::passing(format!("replicas failed: {message}"))
            }
            DbError::Overloaded => Self::passing("the node has too much to do"),
            DbError::IsBootstrapping => Self::passing("the node is starting"),
            other => Self::new(match message {
                "" => format!("the node says: {other}"),
                message => format!("the node says: {message}"),
            }),
        }
    }

    fn of_attempt(error: &RequestAttemptError) -> Self {
        match error {
            RequestAttemptError::DbError(error, message) => Self::of_node(error, message),
            RequestAttemptError::BrokenConnectionError(error) => Self::passing(format!("no answer: {error}")),
            other => Self::passing(other.to_string()),
        }
    }

    fn of_connection(error: &ConnectionError) -> Self {
        match error {
            ConnectionError::ConnectTimeout => Self::new("no node answers"),
            ConnectionError::BrokenConnection(error) => Self::new(format!("no answer: {error}")),
            ConnectionError::IoError(error) => match error.kind() {
                ErrorKind::ConnectionRefused => Self::new("connection refused"),
                _ => Self::new(error.to_string()),
            },
            ConnectionError::ConnectionSetupRequestError(setup) => match &setup.error {
                ConnectionSetupRequestErrorKind::DbError(error, message) => Self::of_node(error, message),
                ConnectionSetupRequestErrorKind::MissingAuthentication => {
                    Self::new("the nodes want a login: auth-file names the file with user:password")
                }
                ConnectionSetupRequestErrorKind::BrokenConnection(error) => Self::new(format!(
                    "the connection broke before anything was said ({error}): do the nodes speak TLS, and ca-file is not set?"
                )),
                other => Self::new(other.to_string()),
            },
            other => Self::new(other.to_string()),
        }
    }

    fn of_pool(error: &ConnectionPoolError) -> Self {
        match error {
            ConnectionPoolError::Broken { last_connection_error } => {
                Self { is_to_begin_anew: false, ..Self::of_connection(last_connection_error) }
            }
            other => Self::passing(other.to_string()),
        }
    }
}

impl From<NewSessionError> for Refusal {
    fn from(error: NewSessionError) -> Self {
        match &error {
            NewSessionError::FailedToResolveAnyHostname(names) => {
                Self::new(format!("no address is known of {}", names.join(", ")))
            }
            NewSessionError::MetadataError(MetadataError::ConnectionPoolError(error)) => Self::of_pool(error),
            other => Self::new(other.to_string()),
        }
    }
}

impl From<ExecutionError> for Refusal {
    fn from(error: ExecutionError) -> Self {
        match &error {
            ExecutionError::LastAttemptError(error) => Self::of_attempt(error),
            ExecutionError::ConnectionPoolError(error) => Self::of_pool(error),
            ExecutionError::RequestTimeout(after) => {
                Self::passing(format!("no answer within {} s", after.as_secs()))
            }
            ExecutionError::PrepareError(error) => error.clone().into(),
            ExecutionError::SchemaAgreementError(_) => {
                Self::passing("the nodes do not agree on the tables yet: is one of them away?")
            }
            other => Self::new(other.to_string()),
        }
    }
}

impl From<PrepareError> for Refusal {
    fn from(error: PrepareError) -> Self {
        match &error {
            PrepareError::AllAttemptsFailed { first_attempt } => Self::of_attempt(first_attempt),
            PrepareError::ConnectionPoolError(error) => Self::of_pool(error),
            other => Self::new(other.to_string()),
        }
    }
}

impl From<PagerExecutionError> for Refusal {
    fn from(error: PagerExecutionError) -> Self {
        match &error {
            PagerExecutionError::PrepareError(error) => error.clone().into(),
            PagerExecutionError::NextPageError(error) => Self::of_page(error),
            other => Self::new(other.to_string()),
        }
    }
}

impl From<NextRowError> for Refusal {
    fn from(error: NextRowError) -> Self {
        match &error {
            NextRowError::NextPageError(error) => Self::of_page(error),
            other => Self::new(other.to_string()),
        }
    }
}

impl Refusal {
    fn of_page(error: &NextPageError) -> Self {
        match error {
            NextPageError::RequestFailure(RequestError::LastAttemptError(error)) => Self::of_attempt(error),
            NextPageError::RequestFailure(RequestError::ConnectionPoolError(error)) => Self::of_pool(error),
            NextPageError::RequestFailure(RequestError::RequestTimeout(after)) => {
                Self::passing(format!("no answer within {} s", after.as_secs()))
            }
            other => Self::new(other.to_string()),
        }
    }
}

impl From<IntoRowsResultError> for Refusal {
    fn from(error: IntoRowsResultError) -> Self {
        Self::new(error.to_string())
    }
}
