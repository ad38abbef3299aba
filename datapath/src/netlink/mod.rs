//! Netlink, of whatever family: sockets and the namespace they belong to, messages, attributes.

pub(crate) mod message;
pub(crate) mod nla;
pub(crate) mod socket;
