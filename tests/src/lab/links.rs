//! The links of a namespace: made, changed and asked about by rtnetlink, in this process.
//!
//! Each call waits for the kernel's answer, and panics with the kernel's reason when it refuses.

use std::fmt::Display;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressHeaderFlags};
use rtnetlink::packet_route::link::BondMode;
use rtnetlink::packet_route::link::{
    BridgePortState, BridgeStpState, BridgeVlanInfoFlags, InfoBridgePort, InfoKind, InfoPortData,
    LinkAttribute, LinkFlags, LinkInfo, LinkMessage, VlanProtocol,
};
use rtnetlink::packet_route::neighbour::NeighbourFlags;
use rtnetlink::packet_route::route::{RouteMessage, RouteScope};
use rtnetlink::{
    Handle, LinkBond, LinkBridge, LinkBridgeVlan, LinkMessageBuilder, LinkUnspec, LinkVlan, QosMapping,
    RouteMessageBuilder,
};

use super::frames::{Mac, Tpid};
use super::netns::Netns;

/// How a bridge port carries a VLAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// In and out with its tag.
    Tagged,
    /// Untagged frames coming in belong to it, its frames go out untagged.
    Untagged,
}

/// The links of one namespace.
#[derive(Debug)]
pub struct Links<'a> {
    netns: &'a Netns,
    channel: &'a Mutex<Option<Channel>>,
}

impl<'a> Links<'a> {
    pub(super) fn new(netns: &'a Netns, channel: &'a Mutex<Option<Channel>>) -> Self {
        Self { netns, channel }
    }

    /// Takes a link up. Panics if the kernel refuses.
    pub fn set_up(&self, link: &str) {
        self.change(link, "take up", |message| message.up());
    }

    /// Takes a link down; the far end of a veth loses its carrier. Panics if the kernel refuses.
    pub fn set_down(&self, link: &str) {
        self.change(link, "take down", |message| message.down());
    }

    /// Sets the longest payload, in bytes after the Ethernet header and one tag. Panics if the kernel refuses.
    pub fn set_mtu(&self, link: &str, mtu: u32) {
        self.change(link, "set the mtu of", |message| message.mtu(mtu));
    }

    /// Sets the hardware address. Panics if the kernel refuses.
    pub fn set_mac(&self, link: &str, mac: Mac) {
        self.change(link, "set the address of", |message| message.address(mac.to_vec()));
    }

    /// Gives a link another name, of at most 15 bytes. It is down in the meantime: kernels before 6.2 rename no link that is up.
    /// Panics if the kernel refuses.
    pub fn rename(&self, link: &str, name: &str) {
        self.set_down(link);
        self.change(link, "rename", |message| message.name(name));
        self.set_up(name);
        self.wait_until_ready(name);
    }

    /// Moves a link to another namespace, where it is down. Panics if the kernel refuses.
    pub fn give_to(&self, link: &str, netns: &Netns) {
        self.change(link, "give away", |message| message.setns_by_fd(netns.as_raw_fd()));
    }

    /// Takes a link from its bridge. Panics if the kernel refuses.
    pub fn detach(&self, link: &str) {
        self.change(link, "detach", |message| message.nocontroller());
    }

    /// Joins a link to a bridge. Panics if the kernel refuses.
    pub fn attach(&self, link: &str, bridge: &str) {
        let bridge = self.index(bridge);
        self.change(link, "attach", |message| message.controller(bridge));
    }

    /// Gives a link an address and the route to its prefix. Panics if the kernel refuses.
    pub fn add_address(&self, link: &str, address: IpAddr, prefix: u8) {
        let index = self.index(link);
        self.ask(&format!("add {address}/{prefix} to {link}"), async |handle| {
            let mut request = handle.address().add(index, address, prefix);
            if address.is_ipv6() {
                request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
                request.message_mut().attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
            }
            request.execute().await
        });
    }

    /// Takes an address from a link. Panics if the kernel refuses.
    pub fn delete_address(&self, link: &str, address: IpAddr, prefix: u8) {
        let index = self.index(link);
        self.ask(&format!("take {address}/{prefix} from {link}"), async |handle| {
            let message = handle.address().add(index, address, prefix).message_mut().clone();
            handle.address().del(message).execute().await
        });
    }

    /// Has the IPv4 default route leave by a link, without a router. Panics if the kernel refuses.
    pub fn add_default_route(&self, link: &str) {
        let route = self.default_route(link);
        self.ask(&format!("add the default route by {link}"), async |handle| {
            handle.route().add(route).execute().await
        });
    }

    /// Takes the default route by a link away. Panics if the kernel refuses.
    pub fn delete_default_route(&self, link: &str) {
        let route = self.default_route(link);
        self.ask(&format!("delete the default route by {link}"), async |handle| {
            handle.route().del(route).execute().await
        });
    }

    fn default_route(&self, link: &str) -> RouteMessage {
        let builder = RouteMessageBuilder::<Ipv4Addr>::new().output_interface(self.index(link));
        builder.scope(RouteScope::Link).build()
    }

    /// Gives a link another name beside its own. Panics if the kernel refuses.
    pub fn add_alt_name(&self, link: &str, name: &str) {
        let index = self.index(link);
        self.ask(&format!("call {link} {name} too"), async |handle| {
            handle.link().property_add(index).alt_ifname(&[name]).execute().await
        });
    }

    /// Makes a bond without members, up. Panics if the kernel refuses.
    pub fn add_bond(&self, link: &str) {
        self.add(link, LinkBond::new(link).mode(BondMode::ActiveBackup).miimon(10).up().build());
    }

    /// Makes an 802.1Q or 802.1ad sub-interface of `parent`, up. A frame's kernel priority 0..7 becomes its PCP.
    /// Panics if the kernel refuses.
    pub fn add_vlan(&self, parent: &str, link: &str, tpid: Tpid, vid: u16) {
        let protocol = match tpid {
            Tpid::Customer => VlanProtocol::Ieee8021Q,
            Tpid::Service => VlanProtocol::Ieee8021Ad,
        };
        let parent = self.index(parent);
        let same = (0..8).map(|priority| QosMapping { from: priority, to: priority });
        let message = LinkVlan::new(link, parent, vid).protocol(protocol).qos(same.clone(), same);
        self.add(link, message.up().build());
    }

    /// Makes a bridge that keeps VLANs apart, without a default VLAN, spanning tree or snooping; up. Panics if the kernel
    /// refuses.
    pub fn add_vlan_bridge(&self, link: &str) {
        let message = LinkBridge::new(link)
            .vlan_filtering(true)
            .vlan_default_pvid(0)
            .stp_state(BridgeStpState::Disabled)
            .mcast_snooping(false);
        self.add(link, message.build());
    }

    /// Lets a bridge port carry a VLAN, 1..=4094. Panics if the kernel refuses.
    pub fn add_bridge_vlan(&self, port: &str, vid: u16, carried: Carried) {
        let flags = match carried {
            Carried::Tagged => BridgeVlanInfoFlags::empty(),
            Carried::Untagged => BridgeVlanInfoFlags::Pvid | BridgeVlanInfoFlags::Untagged,
        };
        let message = LinkBridgeVlan::new(self.index(port)).vlan(vid, flags).build();
        self.ask(&format!("add vlan {vid} to port {port}"), async |handle| {
            handle.link().set(message).execute().await
        });
    }

    /// Takes a VLAN from a bridge port. Panics if the kernel refuses.
    pub fn delete_bridge_vlan(&self, port: &str, vid: u16) {
        let message = LinkBridgeVlan::new(self.index(port)).vlan(vid, BridgeVlanInfoFlags::empty()).build();
        self.ask(&format!("take vlan {vid} from port {port}"), async |handle| {
            handle.link().del_with_message(message).execute().await
        });
    }

    /// Makes a link that shows every netlink message of the namespace, to be tapped; up. Panics if the kernel refuses.
    pub fn add_netlink_monitor(&self, link: &str) {
        let kind = LinkInfo::Kind(InfoKind::Other("nlmon".to_owned()));
        let mut message = LinkUnspec::new_with_name(link).up().build();
        message.attributes.push(LinkAttribute::LinkInfo(vec![kind]));
        self.add(link, message);
    }

    /// Has a VXLAN device send a copy of each broadcast, and of each frame to an unknown address, to one more address, as
    /// `bridge fdb append 00:00:00:00:00:00 dev LINK dst ADDRESS` does. Panics if the kernel refuses.
    pub fn append_flood_target(&self, link: &str, to: IpAddr) {
        let index = self.index(link);
        self.ask(&format!("have {link} flood to {to}"), async |mut handle| {
            let mut entry =
                handle.neighbours().add_bridge(index, &[0; 6]).destination(to).flags(NeighbourFlags::Own);
            let mut message =
                NetlinkMessage::from(RouteNetlinkMessage::NewNeighbour(entry.message_mut().clone()));
            message.header.flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND;
            let mut answers = std::pin::pin!(handle.request(message)?);
            match answers.next().await.map(|answer| answer.payload) {
                Some(NetlinkPayload::Error(error)) if error.code.is_some() => {
                    Err(rtnetlink::Error::NetlinkError(error))
                }
                _ => Ok(()),
            }
        });
    }

    /// Makes a link from a message of the caller's own; `link` is for the text of a refusal. Panics if the kernel refuses.
    pub fn add(&self, link: &str, message: LinkMessage) {
        self.ask(&format!("add {link}"), async |handle| handle.link().add(message).execute().await);
    }

    /// Deletes a link, and its peer with it. Panics if the kernel refuses.
    pub fn delete(&self, link: &str) {
        let index = self.index(link);
        self.ask(&format!("delete {link}"), async |handle| handle.link().del(index).execute().await);
    }

    /// Whether there is a link of this name.
    pub fn has(&self, link: &str) -> bool {
        self.try_describe(link).is_ok()
    }

    /// The interface index of a link. Panics if there is none of this name.
    pub fn index(&self, link: &str) -> u32 {
        self.describe(link).header.index
    }

    /// The index of the bridge, bond or datapath that has a link, if one has. Panics if there is no such link.
    pub fn master(&self, link: &str) -> Option<u32> {
        self.describe(link).attributes.into_iter().find_map(|attribute| match attribute {
            LinkAttribute::Controller(master) => Some(master).filter(|master| *master != 0),
            _ => None,
        })
    }

    /// The hardware address of an Ethernet link. Panics if there is no such link.
    pub fn mac(&self, link: &str) -> Mac {
        let address = self.describe(link).attributes.into_iter().find_map(|attribute| match attribute {
            LinkAttribute::Address(bytes) => bytes.try_into().ok(),
            _ => None,
        });
        address
            .unwrap_or_else(|| panic!("{link} in {} has no hardware address of six bytes", self.netns.name()))
    }

    /// Whether a link is up and has a carrier. Panics if there is no such link.
    pub fn has_carrier(&self, link: &str) -> bool {
        self.describe(link).header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp)
    }

    /// Waits until a link is up with a carrier and, on a bridge, forwards. Panics after five seconds.
    pub fn wait_until_ready(&self, link: &str) {
        let deadline = Instant::now() + READY;
        while !is_ready(&self.describe(link)) {
            assert!(Instant::now() < deadline, "{link} in {} not ready after {READY:?}", self.netns.name());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn change(
        &self,
        link: &str,
        verb: &str,
        edit: impl FnOnce(LinkMessageBuilder<LinkUnspec>) -> LinkMessageBuilder<LinkUnspec>,
    ) {
        let message = edit(LinkUnspec::new_with_index(self.index(link))).build();
        self.ask(&format!("{verb} {link}"), async |handle| handle.link().set(message).execute().await);
    }

    fn describe(&self, link: &str) -> LinkMessage {
        self.try_describe(link).unwrap_or_else(|e| panic!("cannot find {link} in {}: {e}", self.netns.name()))
    }

    fn try_describe(&self, link: &str) -> Result<LinkMessage, String> {
        let found = self.try_ask(async |handle| {
            let mut answers = std::pin::pin!(handle.link().get().match_name(link).execute());
            answers.try_next().await
        });
        found.map_err(|e| e.to_string())?.ok_or_else(|| "no answer".to_owned())
    }

    fn ask<R: Send, E: Display + Send>(
        &self,
        what: &str,
        request: impl AsyncFnOnce(Handle) -> Result<R, E> + Send,
    ) -> R {
        self.try_ask(request).unwrap_or_else(|e| panic!("cannot {what} in {}: {e}", self.netns.name()))
    }

    fn try_ask<R: Send>(&self, request: impl AsyncFnOnce(Handle) -> R + Send) -> R {
        let mut channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = channel.get_or_insert_with(|| Channel::open(self.netns));
        channel.wait_for(|handle| request(handle))
    }
}

/// An rtnetlink socket of a namespace, with the runtime that drives it.
#[derive(Debug)]
pub(super) struct Channel {
    runtime: tokio::runtime::Runtime,
    handle: Handle,
}

impl Channel {
    /// A socket stays in the namespace of the thread that opened it.
    fn open(netns: &Netns) -> Self {
        let open = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let (connection, handle, _) = {
                let _guard = runtime.enter();
                rtnetlink::new_connection()?
            };
            runtime.spawn(connection);
            Ok(Self { runtime, handle })
        };
        netns.run(open).unwrap_or_else(|e: std::io::Error| panic!("no rtnetlink in {}: {e}", netns.name()))
    }

    /// Drives the runtime until the answer is there; in another thread if the caller is itself a task of some runtime.
    fn wait_for<R: Send, F: Future<Output = R>>(&self, request: impl FnOnce(Handle) -> F + Send) -> R {
        let drive = || self.runtime.block_on(request(self.handle.clone()));
        if tokio::runtime::Handle::try_current().is_err() {
            return drive();
        }
        std::thread::scope(|scope| scope.spawn(drive).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn is_ready(link: &LinkMessage) -> bool {
    let is_up = link.header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp | LinkFlags::Running);
    is_up && port_state(link).is_none_or(|state| state == BridgePortState::Forwarding)
}

fn port_state(link: &LinkMessage) -> Option<BridgePortState> {
    let infos = link.attributes.iter().filter_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => Some(infos),
        _ => None,
    });
    infos.flatten().find_map(|info| match info {
        LinkInfo::PortData(InfoPortData::BridgePort(port)) => port.iter().find_map(|info| match info {
            InfoBridgePort::State(state) => Some(*state),
            _ => None,
        }),
        _ => None,
    })
}

/// A carrier is told at once or, by the kernel's link watch, within a second.
const READY: Duration = Duration::from_secs(5);
