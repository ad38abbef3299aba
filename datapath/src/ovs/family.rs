//! A generic netlink family: its number, requests to it, what its answers begin with, and refusals.

use super::nla::{Nla, NlaIter, NlaWriter};
use super::transact::{Denial, Head, Request};
use super::{Malformed, Refusal, RefusalCause};

/// One family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Family {
    id: u16,
    version: u8,
}

impl Family {
    /// The family of this number, spoken to in the version that all but one have.
    pub(super) const fn numbered(id: u16) -> Family {
        Family { id, version: OVS_VERSION }
    }

    /// Whether a message of this type is the family's.
    pub(super) fn is(&self, kind: u16) -> bool {
        self.id == kind
    }

    /// A request about a datapath. The index is 0 where the kernel looks the datapath up by a name.
    ///
    /// # Errors
    /// An attribute is longer than 65 535 bytes.
    pub(super) fn request(
        &self,
        command: u8,
        flags: u16,
        dp: DpIndex,
        fill: impl FnOnce(&mut NlaWriter),
    ) -> Result<Request, Denial> {
        let mut writer = NlaWriter::behind(&dp.0.to_ne_bytes());
        fill(&mut writer);
        let body = writer.finish().map_err(Denial::too_long)?;
        Ok(Request { head: self.head(command, flags), body })
    }

    /// What a request says before its body.
    pub(super) fn head(&self, command: u8, flags: u16) -> Head {
        Head { family: self.id, command, version: self.version, flags, is_quiet: false }
    }
}

/// The interface index of a datapath's own link, by which its namespace knows it (struct ovs_header).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DpIndex(pub(super) u32);

/// The datapath that a reply is about, and its attributes.
pub(super) fn split_reply(reply: &[u8]) -> Result<(DpIndex, NlaIter<'_>), Malformed> {
    let header = Nla { kind: 0, payload: reply };
    Ok((DpIndex(header.u32()?), NlaIter::behind(OVS_HEADER_LEN, reply)))
}

/// The refusal that stands for a denial; ENODEV means that the datapath is gone wherever the caller does not say otherwise.
pub(super) fn refuse(what: impl Into<String>, denial: Denial) -> Refusal {
    let cause = match denial {
        Denial::TimedOut(ms) => RefusalCause::TimedOut(ms),
        Denial::Lost => RefusalCause::AnswerLost,
        Denial::Errno { errno, message } => cause_of(errno, message),
    };
    Refusal { what: what.into(), cause }
}

/// A reply that cannot be read, as a refusal.
pub(super) fn unreadable(what: impl Into<String>, why: &Malformed) -> Refusal {
    let cause = RefusalCause::Kernel { errno: libc::EBADMSG, message: format!("unreadable answer: {why}") };
    Refusal { what: what.into(), cause }
}

fn cause_of(errno: i32, message: Option<String>) -> RefusalCause {
    match errno {
        libc::ENOENT => RefusalCause::NotFound,
        libc::ENODEV => RefusalCause::DatapathGone,
        libc::EBUSY | libc::EEXIST => RefusalCause::Busy,
        libc::EPERM | libc::EACCES => RefusalCause::NotPermitted,
        libc::ENOSPC | libc::EFBIG => RefusalCause::TableFull,
        libc::EOPNOTSUPP => RefusalCause::Unsupported,
        _ => RefusalCause::Kernel { errno, message: message.unwrap_or_else(|| words(errno)) },
    }
}

fn words(errno: i32) -> String {
    std::io::Error::from_raw_os_error(errno).to_string()
}

/// What the kernel says of a family.
pub(super) struct Resolved {
    pub(super) family: Family,
    /// Its first multicast group.
    pub(super) group: Option<u32>,
    /// The highest attribute that it knows.
    pub(super) attributes: u32,
}

/// Asks for a family by its name.
pub(super) fn look_up(name: &str) -> Result<Request, Denial> {
    let mut writer = NlaWriter::default();
    writer.put_str(CTRL_ATTR_FAMILY_NAME, name);
    let body = writer.finish().map_err(Denial::too_long)?;
    let control = Family { id: GENL_ID_CTRL, version: 1 };
    Ok(Request { head: control.head(CTRL_CMD_GETFAMILY, 0), body })
}

/// Reads the answer to the question for a family, spoken to in this version of it.
pub(super) fn read_family(reply: &[u8], version: u8) -> Option<Resolved> {
    let find = |wanted| NlaIter::new(reply).flatten().find(|nla| nla.kind == wanted);
    let id = find(CTRL_ATTR_FAMILY_ID)?.u16().ok()?;
    let first_group = find(CTRL_ATTR_MCAST_GROUPS).and_then(|groups| groups.nested().flatten().next());
    let mut fields = first_group.into_iter().flat_map(|group| group.nested().flatten());
    let group = fields.find(|nla| nla.kind == CTRL_ATTR_MCAST_GRP_ID).and_then(|nla| nla.u32().ok());
    let attributes = find(CTRL_ATTR_MAXATTR).and_then(|nla| nla.u32().ok()).unwrap_or(0);
    Some(Resolved { family: Family { id, version }, group, attributes })
}

/// struct ovs_header of linux/openvswitch.h.
pub(super) const OVS_HEADER_LEN: usize = 4;

/// The version of all families but one (linux/openvswitch.h).
pub(super) const OVS_VERSION: u8 = 1;

/// linux/genetlink.h.
const GENL_ID_CTRL: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const CTRL_ATTR_MAXATTR: u16 = 5;
const CTRL_ATTR_MCAST_GROUPS: u16 = 7;
const CTRL_ATTR_MCAST_GRP_ID: u16 = 2;
