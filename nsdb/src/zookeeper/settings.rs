//! Where the ensemble is, who we are to it, and how long it may take.

use std::fmt;
use std::time::Duration;

/// How to reach the database on a ZooKeeper ensemble.
#[derive(Debug, Clone)]
pub struct ZooKeeperSettings {
    /// Its servers, each `host:port`, at least one. Names are resolved anew at each connection.
    pub servers: Vec<String>,
    /// The node under which everything is, such as `/l2gw`; `/` is the ensemble's own root.
    pub root: String,
    /// Who we are to the servers (scheme `digest`). Without one, everything that is written is open to anybody.
    pub login: Option<Login>,
    /// After how much silence the servers end our session: 1 s and more. The servers have limits of their own (2 and 20 of their ticks).
    pub session_timeout: Duration,
    /// How long a call waits for a server before it says that none is available.
    pub patience: Duration,
    /// Which machine this is, since when it was started. A name that a live session of another machine has is not taken from it.
    pub machine: String,
}

impl ZooKeeperSettings {
    /// The database under `root` on `servers`, without a login, with the usual times, for `machine`.
    pub fn new(servers: Vec<String>, root: impl Into<String>, machine: impl Into<String>) -> Self {
        let (root, machine) = (root.into(), machine.into());
        Self { servers, root, login: None, session_timeout: SESSION_TIMEOUT, patience: PATIENCE, machine }
    }

    /// The servers in one text: `10.0.0.1:2181,10.0.0.2:2181`.
    pub(super) fn ensemble(&self) -> String {
        self.servers.join(",")
    }

    /// The same with the root behind it, as a client reads it.
    pub(super) fn connection(&self) -> String {
        let root = self.root.trim_end_matches('/');
        format!("{}{root}", self.ensemble())
    }

    /// The path of the node `path`, from the ensemble's own root: for errors.
    pub(super) fn full_path(&self, path: &str) -> String {
        let root = self.root.trim_end_matches('/');
        match (root, path) {
            ("", path) => path.to_owned(),
            (root, "/") => root.to_owned(),
            (root, path) => format!("{root}{path}"),
        }
    }
}

/// A user and a password of ZooKeeper's scheme `digest`.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user; no colon.
    pub user: String,
    /// The password.
    pub password: String,
}

impl Login {
    /// Reads `user:password`, without the white space around it.
    ///
    /// # Errors
    /// What is wrong with the text. The password is not repeated.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match text.trim().split_once(':') {
            Some((user, password))
                if !user.is_empty() && !password.is_empty() && !text.trim().contains(char::is_control) =>
            {
                Ok(Self { user: user.to_owned(), password: password.to_owned() })
            }
            _ => Err("allowed is one line, user:password"),
        }
    }

    /// As the servers want it.
    pub(super) fn as_bytes(&self) -> Vec<u8> {
        format!("{}:{}", self.user, self.password).into_bytes()
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({})", self.user)
    }
}

/// Three ticks of a server with the usual `tickTime` of 2 s.
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// Longer than a new leader takes to be elected, with the session's time to find another server.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_a_user_and_a_password_and_does_not_show_the_latter() {
        let login = Login::parse("gateway:s:ecret\n").unwrap();
        assert_eq!((login.user.as_str(), login.password.as_str()), ("gateway", "s:ecret"));
        assert_eq!(format!("{login:?}"), "Login(gateway)");
        for wrong in ["", "gateway", ":secret", "gateway:", "\n", "gateway:a\nb", "gateway:a\u{1b}"] {
            assert!(Login::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn paths_are_told_from_the_ensembles_root() {
        let at = |root: &str| ZooKeeperSettings::new(vec!["a:1".to_owned(), "b:2".to_owned()], root, "m");
        assert_eq!(at("/l2gw").connection(), "a:1,b:2/l2gw");
        assert_eq!(
            (at("/").connection(), at("/").full_path("/store")),
            ("a:1,b:2".to_owned(), "/store".to_owned())
        );
        assert_eq!(at("/l2gw").full_path("/store"), "/l2gw/store");
        assert_eq!(at("/l2gw/").full_path("/"), "/l2gw");
    }
}
