//! What is refused in a file is refused in a description that comes another way, and the other way round: random descriptions, right and
//! wrong, are written as files.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use agent::tree::Tree;
use l2gw::config;
use proptest::prelude::*;
use vlan::addr::MacAddr;
use vlan::model::description::{
    BpduPolicy, Bridge, BridgeKind, DatapathKind, Description, Flood, Host, HostAddresses, HostKind, Mode,
    OnLimit, Overlay, Peering, Port, Redundancy, Storm, TagPolicy, TrunkMode,
};
use vlan::model::topology::Topology;
use vlan::model::words::Worded;
use vlan::tag::{Pcp, Tpid};
use vlan::vid::{Vid, VidSet};

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_file_is_refused_if_and_only_if_its_description_is(numbers in prop::collection::vec(any::<u16>(), 200)) {
        let description = Choices { numbers, at: 0 }.description();
        let text = file_of(&description);
        let built = Topology::build(&description);
        match (config::parse("f", &text), &built) {
            (Ok(config), Ok(_)) => {
                let stored = agent::documents::Stored::from(description.clone());
                let shards = agent::documents::to_shards(&stored).unwrap();
                let stored = agent::documents::check_read_back(&stored, &shards);
                prop_assert!(stored.is_ok(), "{:?}: {}", stored, text);
                let tree = SHARED_STORE.to_owned() + &toml::to_string(&Tree::from(&description)).unwrap();
                let again = config::parse("f", &tree).map(|config| config.description.in_order());
                prop_assert_eq!(again.ok(), Some(description.in_order()), "{}", tree);
                prop_assert_eq!(config.description, description, "{}", text);
            }
            (Err(_), Err(_)) => {}
            (Ok(_), Err(mistakes)) => prop_assert!(false, "the file is taken, its description is not: {:?}\n{}", mistakes, text),
            (Err(problems), Ok(_)) => prop_assert!(false, "the description is taken, its file is not: {}\n{}", problems, text),
        }
    }
}

/// A file and the tree that the socket gives are one, apart from the sections that are the host's and from ranges of VLANs.
#[test]
fn each_example_is_a_tree_as_it_stands() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let (mut count, mut files) = (0, vec![examples.join("gateway.example.toml")]);
    files
        .extend(std::fs::read_dir(examples).unwrap().map(|entry| entry.unwrap().path().join("gateway.toml")));
    for file in files.iter().filter(|file| file.is_file()) {
        let text = std::fs::read_to_string(file).unwrap();
        let mut table: toml::Table = text.parse().unwrap();
        table.retain(|section, _| section != "nsdb" && section != "journal");
        let json = serde_json::to_value(table).unwrap();
        let tree: Tree =
            serde_json::from_value(json).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let expected = config::parse("f", &text).unwrap().description.in_order();
        assert_eq!(tree.description().unwrap(), expected, "{}", file.display());
        count += 1;
    }
    assert!(count >= 8, "{count}");
}

/// Both happen often enough to mean something.
#[test]
fn the_random_descriptions_are_right_and_wrong() {
    let numbers = |seed: u64| {
        (0..200_u64).map(move |at| {
            (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ at.wrapping_mul(0xbf58_476d_1ce4_e5b9)) as u16
                ^ (at * seed) as u16
        })
    };
    let is_right = |seed: u64| {
        Topology::build(&Choices { numbers: numbers(seed).collect(), at: 0 }.description()).is_ok()
    };
    let right = (0..1_000).filter(|seed| is_right(*seed)).count();
    assert!((50..950).contains(&right), "{right} of 1 000 are right");
}

/// Ports may be on several hosts.
const SHARED_STORE: &str = "[nsdb]\nbackend = \"zookeeper\"\nservers = [\"192.0.2.9:2181\"]\n";

/// Numbers that decide what is in a description.
struct Choices {
    numbers: Vec<u16>,
    at: usize,
}

impl Choices {
    fn of(&mut self, count: usize) -> usize {
        let number = self.numbers[self.at % self.numbers.len()];
        self.at += 1;
        usize::from(number) % count
    }

    /// One of the right ones, and seldom a wrong one.
    fn pick<T: Clone>(&mut self, right: &[T], wrong: &[T]) -> T {
        if !wrong.is_empty() && self.of(40) == 0 {
            return wrong[self.of(wrong.len())].clone();
        }
        right[self.of(right.len())].clone()
    }

    fn text(&mut self, right: &[&str], wrong: &[&str]) -> String {
        self.pick(right, wrong).to_owned()
    }

    fn description(&mut self) -> Description {
        let mut made = Description::default();
        for name in ["gw1", "gw2"] {
            let name = self.text(&[name], &["gw1", "GW1", "g\u{1b}w", ""]);
            let nth = made.hosts.len() as u8;
            let (own, other): (IpAddr, IpAddr) = ([192, 0, 2, nth].into(), [192, 0, 2, 1 - nth].into());
            let wrong = ["127.0.0.1", "0.0.0.7", "fe80::1", "2001:db8::1"].map(|ip| ip.parse().ok());
            let underlay = self.pick(&[None, Some(own)], &[wrong.as_slice(), &[Some(other)]].concat());
            let datapath = self.pick(&[DatapathKind::Auto, DatapathKind::Ovs], &[]);
            made.hosts.push(Host { name, underlay, underlay_mtu: self.mtu(), datapath, ..Host::default() });
        }
        let has_vtep = self.of(3) == 0;
        if has_vtep {
            made.hosts.push(self.vtep());
        }
        made.overlay.port = self.pick(&[4_789, 4_789, 1, 65_535], &[0]);
        for nth in 0..3 {
            made.bridges.push(self.bridge(nth));
        }
        for _ in 0..self.of(3) {
            let vid = vid(self.pick(&[5, 8, 9], &[]));
            let (bridge, to) = (self.bridge_name(&["dc0", "dc1"]), self.bridge_name(&["v2"]));
            made.vlans.push(Peering { bridge, vid, to });
        }
        for nth in 0..self.of(3) {
            let trunk = self.trunk(nth);
            made.trunks.push(trunk);
        }
        for nth in 0..self.of(5) {
            let port = self.other_port(nth);
            made.ports.push(port);
        }
        if has_vtep {
            made.ports.push(self.membership());
        }
        if has_vtep && self.of(20) == 0 {
            made.ports.push(Port { name: "m2".to_owned(), ..self.membership() });
        }
        made
    }

    fn bridge_name(&mut self, right: &[&str]) -> String {
        self.text(right, &["dc", "dc0", "v2", "no\nname"])
    }

    fn bridge(&mut self, nth: usize) -> Bridge {
        let name = ["dc0", "dc1", "v2"][nth];
        let kind = if name == "v2" {
            BridgeKind::VlanUnaware { vni: self.pick(&[None, Some(7)], &[Some(0), Some(1 << 24)]) }
        } else {
            BridgeKind::VlanAware {
                fabric: self.text(&["f", "g"], &["F", ""]),
                redundancy: self.pick(&[Redundancy::Designated, Redundancy::None, Redundancy::Stp], &[]),
                tpid: self.pick(&[Tpid::Customer, Tpid::Service], &[]),
                join_vids: self.pick(&[false, true], &[]),
            }
        };
        let ageing = self.pick(
            &[0, 10_000_000, 300_001_000],
            &[1, 1_000, 9_999_000, 1_000_000_001_000, 300_000_001, 10_000_500],
        );
        Bridge {
            name: self.text(&[name], &["dc0", "v2", "V", "a.b"]),
            ageing: Duration::from_micros(ageing),
            mac_limit: self.pick(&[1, 1_000, 16_000_000], &[0, 16_000_001]),
            renamed_from: self
                .pick(&[None, Some(format!("old{nth}"))], &[Some(name.to_owned()), Some("Old".to_owned())]),
            mtu: self.mtu(),
            kind,
        }
    }

    fn mtu(&mut self) -> Option<u32> {
        self.pick(&[None, Some(68), Some(65_535)], &[Some(67), Some(65_536)])
    }

    fn vtep(&mut self) -> Host {
        Host {
            name: "vt1".to_owned(),
            kind: HostKind::Vtep,
            underlay: self.pick(&[Some([192, 0, 2, 9].into())], &[None, Some([192, 0, 2, 0].into())]),
            underlay_mtu: self.mtu(),
            datapath: self.pick(&[DatapathKind::Auto], &[DatapathKind::Ovs]),
        }
    }

    /// A VTEP's port: what it may have at random, and seldom what it may not.
    fn membership(&mut self) -> Port {
        let may = self.port("m1");
        let must_not = self.pick(&[false], &[true]);
        let all = Port { host: "vt1".to_owned(), bridge: self.bridge_name(&["v2"]), ..may.clone() };
        match must_not {
            true => all,
            false => Port {
                macs: may.macs,
                shared_macs: may.shared_macs,
                mac_limit: may.mac_limit,
                on_limit: may.on_limit,
                flood: may.flood,
                mtu: may.mtu,
                tags: self.pick(&[None, Some(TagPolicy::Pass)], &[]),
                ..Port::plain(&may.name, &all.bridge, "vt1", "")
            },
        }
    }

    fn trunk(&mut self, nth: usize) -> Port {
        let weight = self.pick(&[1, 1_000], &[0, 1_001]);
        let mode = Mode::Trunk(TrunkMode { weight, ..self.trunk_mode() });
        let bridge = self.bridge_name(&["dc0", "dc1"]);
        let bpdu = self.pick(&[BpduPolicy::Block], &[BpduPolicy::Discard]);
        let ips = self.pick(&[Vec::new()], &[vec![[192, 0, 2, 1].into()]]);
        Port { mode, bridge, bpdu, ips, ..self.port(&format!("t{nth}")) }
    }

    fn other_port(&mut self, nth: usize) -> Port {
        let own = self.pick(&[Some(vid(8)), Some(vid(9))], &[None]);
        let modes = [
            Mode::Access { vid: own },
            Mode::Qinq {
                vid: own,
                customer_vlans: self.pick(&[None, Some(set(&[5, 6, 7]))], &[Some(VidSet::new())]),
                pcp: self.pick(&[None, Pcp::new(7)], &[]),
            },
            Mode::Trunk(TrunkMode { weight: self.pick(&[1], &[2]), ..self.trunk_mode() }),
        ];
        let (bridge, mode) = match self.of(2) {
            0 => (self.bridge_name(&["v2"]), self.pick(&[Mode::Plain], &modes)),
            _ => (self.bridge_name(&["dc0", "dc1"]), self.pick(&modes, &[Mode::Plain])),
        };
        let bpdu = self.pick(&[BpduPolicy::Block, BpduPolicy::Discard], &[]);
        let machine: IpAddr = [192, 0, 2, 7].into();
        let ips = self.pick(&[Vec::new(), vec![machine]], &[vec![[224, 0, 0, 1].into()], vec![machine; 2]]);
        Port { mode, bridge, bpdu, ips, ..self.port(&format!("p{nth}")) }
    }

    fn trunk_mode(&mut self) -> TrunkMode {
        let translate = match self.of(4) {
            0 => [(vid(108), vid(9))].into(),
            1 => [(vid(8), vid(9)), (vid(9), vid(8))].into(),
            _ => Default::default(),
        };
        TrunkMode {
            vlans: self.pick(
                &[None, Some(VidSet::all()), Some(set(&[8, 108]))],
                &[Some(VidSet::new()), Some(set(&[5]))],
            ),
            native: self.pick(&[None, Some(vid(8))], &[Some(vid(77))]),
            native_tagged: self.pick(&[false, true], &[]),
            translate,
            ..TrunkMode::default()
        }
    }

    /// What every port has.
    fn port(&mut self, name: &str) -> Port {
        let link = format!("l-{name}");
        let (a, b) = (MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]));
        let right = [Vec::new(), Vec::new(), Vec::new(), vec![a], vec![b]];
        Port {
            host: self.text(&["gw1", "gw2"], &["gw3", "", "vt1"]),
            macs: self.pick(&right, &[vec![MacAddr::BROADCAST], vec![a, a], vec![a, b]]),
            shared_macs: self.pick(&right[1..], &[vec![MacAddr::ZERO], vec![a, b]]),
            mac_limit: self.pick(&[None, Some(1), Some(16_000_000)], &[Some(0), Some(16_000_001)]),
            on_limit: self.pick(&[OnLimit::Evict, OnLimit::Drop, OnLimit::Flood], &[]),
            priority_tags: self.pick(&[false, true], &[]),
            isolated: self.pick(&[false, false, true], &[]),
            tags: self.pick(&[None, None, Some(TagPolicy::Drop)], &[]),
            sticky: self.pick(&[None, None, Some(2)], &[Some(0), Some(1_025)]),
            flood: Flood { withholds_unknown: self.pick(&[false, false, true], &[]) },
            storm: self.pick(
                &[None, Some(Storm { broadcast: 5, ..Storm::default() })],
                &[Some(Storm { unknown: u32::MAX, ..Storm::default() })],
            ),
            mtu: self.mtu(),
            host_addresses: self.pick(&[HostAddresses::Refuse, HostAddresses::Keep], &[]),
            ..Port::plain(
                &self.text(&[name], &["p0", "P", "", "a b", "\u{202e}"]),
                "",
                "",
                &self.text(&[&link], &["", "l-p0", "a/b", "0123456789abcdef", "a\0", "..", "a:b"]),
            )
        }
    }
}

/// A description as a file that says the same, defaults left out only where nothing can be said.
fn file_of(description: &Description) -> String {
    let mut text = String::from(SHARED_STORE);
    let port = description.overlay.port;
    if port != Overlay::default().port {
        writeln!(text, "[overlay]\nport = {port}").unwrap();
    }
    for host in &description.hosts {
        writeln!(text, "[hosts.{}]", quoted(&host.name)).unwrap();
        say(&mut text, "kind", (host.kind == HostKind::Vtep).then_some("\"vtep\""));
        say(&mut text, "underlay", host.underlay.map(|ip| quoted(&ip.to_string())));
        say(&mut text, "underlay-mtu", host.underlay_mtu);
        say(&mut text, "datapath", (host.datapath == DatapathKind::Ovs).then_some("\"ovs\""));
    }
    for bridge in &description.bridges {
        writeln!(text, "[bridges.{}]", quoted(&bridge.name)).unwrap();
        // A file has no word for less than a millisecond.
        let ageing = match bridge.ageing.as_micros() {
            micros if micros % 1_000 == 0 => format!("{}ms", micros / 1_000),
            micros => format!("{micros}us"),
        };
        say(&mut text, "ageing", Some(quoted(&ageing)));
        say(&mut text, "mac-limit", Some(bridge.mac_limit));
        say(&mut text, "mtu", bridge.mtu);
        say(&mut text, "renamed-from", bridge.renamed_from.as_ref().map(|name| format!("{name:?}")));
        match &bridge.kind {
            BridgeKind::VlanUnaware { vni } => {
                say(&mut text, "kind", Some("\"vlan-unaware\""));
                say(&mut text, "vni", *vni);
            }
            BridgeKind::VlanAware { fabric, redundancy, tpid, join_vids } => {
                say(&mut text, "kind", Some("\"vlan-aware\""));
                say(&mut text, "fabric", Some(quoted(fabric)));
                let redundancy = match redundancy {
                    Redundancy::Designated => "designated",
                    Redundancy::Stp => "stp",
                    Redundancy::None => "none",
                };
                say(&mut text, "redundancy", Some(quoted(redundancy)));
                say(
                    &mut text,
                    "tpid",
                    Some(if *tpid == Tpid::Customer { "\"0x8100\"" } else { "\"0x88a8\"" }),
                );
                say(&mut text, "join-vids", Some(join_vids));
            }
        }
    }
    for Peering { bridge, vid, to } in &description.vlans {
        writeln!(text, "[[vlans]]\nbridge = {}\nvid = {vid}\nto = {}", quoted(bridge), quoted(to)).unwrap();
    }
    description.trunks.iter().for_each(|trunk| add_port(&mut text, "trunks", trunk));
    description.ports.iter().for_each(|port| add_port(&mut text, "ports", port));
    text
}

fn add_port(text: &mut String, table: &str, port: &Port) {
    writeln!(text, "[[{table}]]").unwrap();
    say(text, "name", Some(quoted(&port.name)));
    say(text, "bridge", Some(quoted(&port.bridge)));
    say(text, "host", Some(quoted(&port.host)));
    say(text, "link", (!port.link.is_empty()).then(|| quoted(&port.link)));
    say(text, "macs", listed(&port.macs));
    say(text, "shared-macs", listed(&port.shared_macs));
    say(text, "ips", listed(&port.ips));
    say(text, "mac-limit", port.mac_limit);
    let on_limit = match port.on_limit {
        OnLimit::Evict => "\"evict\"",
        OnLimit::Drop => "\"drop\"",
        OnLimit::Flood => "\"flood\"",
    };
    say(text, "on-limit", Some(on_limit));
    say(text, "priority-tags", Some(port.priority_tags));
    say(text, "bpdu", (port.bpdu == BpduPolicy::Discard).then_some("\"discard\""));
    say(text, "isolated", port.isolated.then_some(true));
    say(text, "tags", port.tags.map(|tags| quoted(tags.word())));
    say(text, "sticky", port.sticky);
    say(text, "flood", port.flood.withholds_unknown.then_some("{ unknown = false }"));
    let storm = port.storm.map(|Storm { broadcast, multicast, unknown }| {
        format!("{{ broadcast = {broadcast}, multicast = {multicast}, unknown = {unknown} }}")
    });
    say(text, "storm", storm);
    say(text, "mtu", port.mtu);
    say(text, "host-addresses", (port.host_addresses == HostAddresses::Keep).then_some("\"keep\""));
    let is_port = table == "ports";
    match &port.mode {
        Mode::Plain => {}
        Mode::Access { vid } => {
            say(text, "mode", Some("\"access\""));
            say(text, "vid", *vid);
        }
        Mode::Qinq { vid, customer_vlans, pcp } => {
            say(text, "mode", Some("\"qinq\""));
            say(text, "vid", *vid);
            say(text, "customer-vlans", customer_vlans.as_ref().map(vlans));
            say(text, "pcp", pcp.map(Pcp::get));
        }
        Mode::Trunk(trunk) => {
            say(text, "mode", is_port.then_some("\"trunk\""));
            say(text, "vlans", trunk.vlans.as_ref().map(vlans));
            say(text, "native", trunk.native);
            say(text, "native-tagged", Some(trunk.native_tagged));
            let pairs: Vec<String> =
                trunk.translate.iter().map(|(wire, bridge)| format!("{wire} = {bridge}")).collect();
            say(text, "translate", Some(format!("{{ {} }}", pairs.join(", "))));
            say(text, "weight", (!is_port || trunk.weight != 1).then_some(trunk.weight));
        }
    }
}

fn say(text: &mut String, key: &str, value: Option<impl std::fmt::Display>) {
    if let Some(value) = value {
        writeln!(text, "{key} = {value}").unwrap();
    }
}

fn listed<T: std::fmt::Display>(list: &[T]) -> Option<String> {
    let quoted: Vec<String> = list.iter().map(|one| quoted(&one.to_string())).collect();
    (!list.is_empty()).then(|| format!("[{}]", quoted.join(", ")))
}

fn vlans(vids: &VidSet) -> String {
    let spans = vids.to_string();
    let quoted: Vec<String> = spans.split(',').filter(|span| !span.is_empty()).map(quoted).collect();
    format!("[{}]", quoted.join(", "))
}

/// A basic string of TOML: what JSON makes of a text is one.
fn quoted(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

fn set(vids: &[u16]) -> VidSet {
    vids.iter().map(|number| vid(*number)).collect()
}

fn vid(number: u16) -> Vid {
    Vid::new(number).unwrap()
}
