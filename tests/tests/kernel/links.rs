//! Links of a real kernel, as `datapath::link` tells of them.

use std::collections::BTreeMap;
use std::time::Duration;

use datapath::link::Links;
use datapath::port::{Link, LinkEvent, LinkIndex, LinkLayer};
use tests::lab::netns::Netns;
use tests::lab::veth;
use tokio::sync::mpsc::Receiver;
use vlan::addr::MacAddr;

tests::kernel_tests! {
    group links;

    fn the_first_event_is_every_link_there_is() {
        on_host(async |host| {
            veth::connect((&host.netns, "before"), (&host.netns, "far"));
            let mut watch = host.watch();
            let first = watch.next().await;
            let LinkEvent::All(links) = first else { panic!("the first event was {first:?}") };
            let mut names: Vec<_> = links.iter().map(|link| link.name.as_str()).collect();
            names.sort_unstable();
            assert_eq!(names, ["before", "far", "lo"]);
        });
    }

    fn a_link_appears_with_its_state_and_disappears() {
        on_host(async |host| {
            let mut watch = host.watch();
            watch.until("lo", |watch| watch.has("lo")).await;
            veth::connect((&host.netns, "eth2"), (&host.outside, "far"));
            let link = watch.until("eth2 with a carrier", |watch| watch.find("eth2").is_some_and(|link| link.has_carrier));
            let link = link.await.find("eth2").cloned().unwrap();
            let index = LinkIndex(host.netns.links().index("eth2"));
            let mac = Some(MacAddr(host.netns.links().mac("eth2")));
            let facts = link.facts.clone();
            assert_eq!((facts.kind.as_str(), facts.layer, facts.lower), ("veth", LinkLayer::Ethernet, None));
            let expected = Link { index, name: "eth2".into(), is_up: true, has_carrier: true, mtu: 1_500, mac, facts };
            assert_eq!(link, expected);
            host.netns.links().delete("eth2");
            watch.until("eth2 to go", |watch| !watch.has("eth2")).await;
            assert_eq!(watch.gone, [index]);
            assert_eq!(watch.alls, 1, "no event was lost");
        });
    }

    fn carrier_and_admin_state_are_told_apart() {
        on_host(async |host| {
            veth::connect((&host.netns, "eth2"), (&host.outside, "far"));
            let mut watch = host.watch();
            let state = |is_up, has_carrier| {
                move |watch: &Watch| watch.find("eth2").is_some_and(|link| (link.is_up, link.has_carrier) == (is_up, has_carrier))
            };
            watch.until("up with a carrier", state(true, true)).await;
            host.outside.links().set_down("far");
            watch.until("no carrier", state(true, false)).await;
            host.outside.links().set_up("far");
            watch.until("a carrier again", state(true, true)).await;
            host.netns.links().set_down("eth2");
            watch.until("down", state(false, false)).await;
            host.netns.links().set_up("eth2");
            watch.until("up again", state(true, true)).await;
        });
    }

    fn mtu_name_and_address_change_under_one_index() {
        on_host(async |host| {
            veth::connect((&host.netns, "eth2"), (&host.outside, "far"));
            let mut watch = host.watch();
            let index = watch.until("eth2", |watch| watch.has("eth2")).await.find("eth2").unwrap().index;
            host.netns.links().set_mtu("eth2", 9_000);
            host.netns.links().set_mac("eth2", [2, 0, 0, 0, 0, 9]);
            host.netns.links().rename("eth2", "trunk");
            let settled = |watch: &Watch| watch.find("trunk").is_some_and(|link| link.has_carrier);
            let link = watch.until("trunk", settled).await.find("trunk").cloned().unwrap();
            let mac = Some(MacAddr([2, 0, 0, 0, 0, 9]));
            let facts = link.facts.clone();
            assert_eq!(link, Link { index, name: "trunk".into(), is_up: true, has_carrier: true, mtu: 9_000, mac, facts });
            assert!(!watch.has("eth2") && watch.gone.is_empty(), "the old name is still told of, or the link is gone");
        });
    }

    fn a_link_that_comes_again_under_its_name_is_another() {
        on_host(async |host| {
            let mut watch = host.watch();
            watch.until("lo", |watch| watch.has("lo")).await;
            let mut indices = Vec::new();
            for _ in 0..3 {
                veth::connect((&host.netns, "eth2"), (&host.outside, "far"));
                indices.push(watch.until("eth2", |watch| watch.has("eth2")).await.find("eth2").unwrap().index);
                host.netns.links().delete("eth2");
                watch.until("eth2 to go", |watch| !watch.has("eth2")).await;
            }
            assert_eq!(watch.gone, indices, "each went once");
            indices.dedup();
            assert_eq!(indices.len(), 3, "an index was used again");
        });
    }

    fn a_link_that_moves_away_is_gone_here() {
        on_host(async |host| {
            veth::connect((&host.netns, "eth2"), (&host.outside, "far"));
            let mut watch = host.watch();
            watch.until("eth2", |watch| watch.has("eth2")).await;
            host.netns.links().give_to("eth2", &host.outside);
            watch.until("eth2 to go", |watch| !watch.has("eth2")).await;
            assert!(host.outside.links().has("eth2"));
        });
    }

    fn a_link_that_leaves_its_bridge_stays() {
        on_host(async |host| {
            veth::connect((&host.netns, "eth2"), (&host.outside, "far"));
            host.netns.links().add_vlan_bridge("br0");
            let mut watch = host.watch();
            watch.until("br0", |watch| watch.has("br0")).await;
            host.netns.links().attach("eth2", "br0");
            host.netns.links().detach("eth2");
            host.netns.links().delete("br0");
            watch.until("br0 to go", |watch| !watch.has("br0")).await;
            assert!(watch.has("eth2"), "gone were {:?}", watch.gone);
        });
    }

    /// Nobody reads while more happens than the socket's buffer holds, and the last of it is what was lost.
    fn events_that_the_kernel_lost_are_replaced_by_all() {
        on_host(async |host| {
            veth::connect((&host.netns, "eth2"), (&host.outside, "far"));
            let mut watch = host.watch();
            watch.until("eth2", |watch| watch.has("eth2")).await;
            let before = watch.alls;
            for change in 0..CHANGES_THAT_OVERRUN {
                host.netns.links().set_mtu("eth2", 1_500 + change % 1_000);
            }
            host.netns.links().set_mtu("eth2", 4_321);
            watch.until("the last MTU", |watch| watch.find("eth2").is_some_and(|link| link.mtu == 4_321)).await;
            assert!(watch.alls > before, "{CHANGES_THAT_OVERRUN} changes were kept, so this says nothing");
            host.netns.links().set_mtu("eth2", 1_234);
            watch.until("an event after it", |watch| watch.find("eth2").is_some_and(|link| link.mtu == 1_234)).await;
            assert!(watch.stale.is_empty(), "told behind a list that said otherwise: {:?}", watch.stale);
        });
    }
}

/// The namespace whose links are watched, and another.
struct Host {
    netns: Netns,
    outside: Netns,
}

impl Host {
    fn watch(&self) -> Watch {
        let runtime = tokio::runtime::Handle::current();
        let (links, events) = self.netns.run(|| {
            let _inside = runtime.enter();
            Links::open().unwrap()
        });
        Watch { _links: links, events, known: BTreeMap::new(), gone: Vec::new(), alls: 0, stale: Vec::new() }
    }
}

/// What is known from the events so far.
struct Watch {
    _links: Links,
    events: Receiver<LinkEvent>,
    known: BTreeMap<LinkIndex, Link>,
    gone: Vec<LinkIndex>,
    alls: usize,
    /// Events by which an MTU went back from the last one set to an earlier one.
    stale: Vec<Link>,
}

impl Watch {
    async fn next(&mut self) -> LinkEvent {
        let event = tokio::time::timeout(LONG, self.events.recv()).await;
        event
            .unwrap_or_else(|_| panic!("no event within {LONG:?}, known {:?}", self.known))
            .expect("the events ended")
    }

    /// Takes events until it is so.
    async fn until(&mut self, what: &str, is_so: impl Fn(&Watch) -> bool) -> &Watch {
        while !is_so(self) {
            let event = tokio::time::timeout(LONG, self.events.recv()).await;
            let event =
                event.unwrap_or_else(|_| panic!("waited {LONG:?} for {what}, known {:?}", self.known));
            self.heed(event.expect("the events ended"));
        }
        self
    }

    fn heed(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::All(links) => {
                self.alls += 1;
                self.known = links.into_iter().map(|link| (link.index, link)).collect();
            }
            LinkEvent::Changed(link) => {
                let before = self.known.insert(link.index, link.clone());
                if before.is_some_and(|before| before.mtu == 4_321) && link.mtu != 1_234 && link.mtu != 4_321
                {
                    self.stale.push(link);
                }
            }
            LinkEvent::Gone(index) => {
                self.known.remove(&index);
                self.gone.push(index);
            }
        }
    }

    fn find(&self, name: &str) -> Option<&Link> {
        self.known.values().find(|link| link.name == name)
    }

    fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }
}

/// More than fit into the receive buffer, of which the kernel gives twice what is asked for, 4 MiB; an event is counted as 1 500 bytes,
/// which is less than it takes.
const CHANGES_THAT_OVERRUN: u32 = 2 * (4 << 20) / 1_500;

fn on_host(case: impl AsyncFnOnce(&Host)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let host = Host { netns: Netns::new("host"), outside: Netns::new("outside") };
    runtime.block_on(case(&host));
}

/// For what must come.
const LONG: Duration = Duration::from_secs(10);
