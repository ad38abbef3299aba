//! Who may do what with a node: gateways everything, agents what they need.
//!
//! | nodes | gateways | agents |
//! |---|---|---|
//! | the root, revisions, documents | all | read |
//! | what sessions, leases and addresses lie below, and sessions | all | read, write, create, delete |
//! | leases and addresses themselves | all | read |
//!
//! The ids are those of ZooKeeper's scheme `digest`: `user:` and, in base64, the SHA-1 of `user:password`
//! (`DigestAuthenticationProvider`). A SHA-1 of a short password can be found by trying, so [`DigestId::of`] takes none.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha1::{Digest as _, Sha1};
use zookeeper_client::{Acl, AuthId, Permission};

use crate::zookeeper::settings::Login;

/// A user of ZooKeeper's scheme `digest`, as it is written into access lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DigestId(String);

impl DigestId {
    /// The id of a login.
    ///
    /// # Errors
    /// The password has fewer than [`MIN_PASSWORD_BYTES`].
    pub fn of(login: &Login) -> Result<Self, String> {
        let length = login.password.len();
        if length < MIN_PASSWORD_BYTES {
            let user = &login.user;
            return Err(format!(
                "the password of {user} has {length} bytes, allowed are {MIN_PASSWORD_BYTES} and more: its SHA-1 is in the access lists"
            ));
        }
        let hash = Sha1::digest(login.as_bytes());
        Ok(Self(format!("{}:{}", login.user, STANDARD.encode(hash))))
    }

    /// The user's name.
    pub fn user(&self) -> &str {
        self.0.split_once(':').map_or(&self.0, |(user, _)| user)
    }

    fn may(&self, permission: Permission) -> Acl {
        Acl::new(permission, AuthId::new("digest", &self.0))
    }
}

/// The users of a database. Without gateways' one, everybody may do everything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Users {
    /// Who may change the topology.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gateways: Option<DigestId>,
    /// Who may read it, and tell what it has itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub agents: Option<DigestId>,
}

impl Users {
    /// The users with these logins.
    ///
    /// # Errors
    /// A password is too short; agents have a login and gateways none, or both are the same user.
    pub fn of(gateways: Option<&Login>, agents: Option<&Login>) -> Result<Self, String> {
        match (gateways, agents) {
            (None, Some(agents)) => {
                let user = &agents.user;
                return Err(format!(
                    "{user} would be the user of agents, and gateways have none: all would be open"
                ));
            }
            (Some(gateways), Some(agents)) if gateways.user == agents.user => {
                let user = &agents.user;
                return Err(format!(
                    "{user} is the user of gateways: agents, which may do less, need another"
                ));
            }
            _ => {}
        }
        let id = |login: Option<&Login>| login.map(DigestId::of).transpose();
        Ok(Self { gateways: id(gateways)?, agents: id(agents)? })
    }
}

/// Who may do what with one node.
#[derive(Debug, Clone)]
pub struct Access(Vec<Acl>);

impl Access {
    /// Everything, for everybody.
    pub fn open() -> Self {
        Self(vec![Acl::new(Permission::ALL, AuthId::anyone())])
    }

    /// What gateways write and agents read.
    pub(super) fn of_topology(users: &Users) -> Self {
        Self::shared(users, Permission::READ)
    }

    /// What every host writes about itself.
    pub(super) fn of_hosts(users: &Users) -> Self {
        Self::shared(users, Permission::READ | Permission::WRITE | Permission::CREATE | Permission::DELETE)
    }

    fn shared(users: &Users, agents_may: Permission) -> Self {
        let Some(gateways) = &users.gateways else { return Self::open() };
        let agents = users.agents.as_ref().map(|agents| agents.may(agents_may));
        Self([gateways.may(Permission::ALL)].into_iter().chain(agents).collect())
    }

    pub(super) fn acls(&self) -> &[Acl] {
        &self.0
    }
}

/// 16 characters of the 64 of base64 are 96 bits: more than anybody tries.
pub const MIN_PASSWORD_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of ZooKeeper's own administrator's guide: the digest of `super:test` is known to many files.
    #[test]
    fn an_id_is_the_one_that_the_servers_make() {
        let login = |password: &str| Login { user: "gateway".to_owned(), password: password.to_owned() };
        assert!(DigestId::of(&login("short")).unwrap_err().contains("has 5 bytes, allowed are 16 and more"));
        let id = DigestId::of(&login("0123456789abcdef")).unwrap();
        assert!(id.0.starts_with("gateway:") && id.0.len() == "gateway:".len() + 28, "{id:?}");
        assert_eq!(id.user(), "gateway");
        let hash = Sha1::digest(b"super:test");
        assert_eq!(STANDARD.encode(hash), "D/InIHSb7yEEbrWz8b9l71RjZJU=");
    }

    #[test]
    fn agents_are_another_user_than_gateways_or_none() {
        let login = |user: &str| Login { user: user.to_owned(), password: "0123456789abcdef".to_owned() };
        let (gateway, agent) = (login("gateway"), login("agent"));
        let users = Users::of(Some(&gateway), Some(&agent)).unwrap();
        let named = |id: &Option<DigestId>| id.as_ref().map(|id| id.user().to_owned());
        assert_eq!(
            (named(&users.gateways).unwrap(), named(&users.agents).unwrap()),
            (gateway.user.clone(), agent.user.clone())
        );
        assert_eq!(Users::of(None, None), Ok(Users::default()));
        assert_eq!(named(&Users::of(Some(&gateway), None).unwrap().agents), None);
        let refused = |gateways, agents| Users::of(gateways, agents).unwrap_err();
        assert!(
            refused(None, Some(&agent)).contains("agent would be the user of agents, and gateways have none")
        );
        assert!(refused(Some(&gateway), Some(&gateway)).contains("gateway is the user of gateways"));
    }

    #[test]
    fn without_users_all_is_open_and_agents_cannot_write_the_topology() {
        assert_eq!(Access::of_topology(&Users::default()).0, Access::open().0);
        let id = |user: &str| {
            let login = Login { user: user.to_owned(), password: "0123456789abcdef".to_owned() };
            DigestId::of(&login).ok()
        };
        let users = Users { gateways: id("gateway"), agents: id("agent") };
        let permissions = |access: Access| access.0.iter().map(Acl::permission).collect::<Vec<_>>();
        assert_eq!(permissions(Access::of_topology(&users)), [Permission::ALL, Permission::READ]);
        let of_hosts = permissions(Access::of_hosts(&users));
        assert!(
            of_hosts[1].has(Permission::CREATE | Permission::DELETE) && !of_hosts[1].has(Permission::ADMIN)
        );
    }
}
