//! A host reads its share of a revision and nothing else, and what one change writes stays small however large the topology is.

use nsdb::{Change, Revision, ShardId, ShardName, StoreConfig, WallTime};
use nsdb::{Fault, Faults, Operation};
use std::collections::{BTreeMap, BTreeSet};
use vlan::model::description::{Bridge, BridgeKind, Description, Host, Mode, Peering, Port, TrunkMode};
use vlan::model::numbers::{FIRST_DEALT_VNI, Numbers};
use vlan::model::segment::SegmentName;
use vlan::model::topology::Topology;
use vlan::tag::Tpid;
use vlan::vid::Vid;

use super::*;
use crate::topology::{newest, newest_root};

fn bridge(name: &str, kind: BridgeKind) -> Bridge {
    let (ageing, mac_limit) = (vlan::model::defaults::DEFAULT_AGEING, 1_000);
    Bridge { name: name.to_owned(), ageing, mac_limit, renamed_from: None, mtu: None, kind }
}

fn vub(name: &str) -> Bridge {
    bridge(name, BridgeKind::VlanUnaware { vni: None })
}

fn peering(number: u16, to: &str) -> Peering {
    Peering { bridge: "dc1".to_owned(), vid: Vid::new(number).unwrap(), to: to.to_owned() }
}

fn trunk(name: &str, host: &str) -> Port {
    Port { mode: Mode::Trunk(TrunkMode::default()), ..Port::plain(name, "dc1", host, "eth0") }
}

fn host(name: &str) -> Host {
    Host { name: name.to_owned(), ..Host::default() }
}

/// A VAB with trunks on two gateways, each VLAN a VUB; VM `vm{n}` is on host `h{n}` and VUB `vub{n + 1}`. Host `idle` has no port.
fn network(vlans: u16, hosts: u16) -> Description {
    let kind = BridgeKind::VlanAware {
        fabric: "fabric".to_owned(),
        redundancy: Default::default(),
        tpid: Tpid::Customer,
        join_vids: false,
    };
    let mut made = Description { bridges: vec![bridge("dc1", kind)], ..Description::default() };
    made.hosts = ["gw1", "gw2", "idle"].map(host).into();
    made.trunks = ["gw1", "gw2"].map(|gateway| trunk(&format!("leaf-{gateway}"), gateway)).into();
    for number in 1..=vlans {
        let name = format!("vub{number}");
        made.bridges.push(vub(&name));
        made.vlans.push(peering(number, &name));
    }
    for number in 0..hosts {
        let name = format!("h{number}");
        made.hosts.push(host(&name));
        let bridge = format!("vub{}", number % vlans + 1);
        made.ports.push(Port::plain(&format!("vm{number}"), &bridge, &name, "tap0"));
    }
    made
}

fn store() -> (Store, Faults) {
    let faults = Faults::none();
    let store = Store::open(StoreConfig { faults: faults.clone(), ..StoreConfig::in_memory() }).unwrap();
    (store, faults)
}

/// Who publishes, as a process of its own: what it publishes was not read here.
#[derive(Default)]
struct Publisher {
    there: Option<Revision>,
    numbers: Numbers,
    /// The shards of what was published last.
    names: BTreeMap<ShardId, ShardName>,
}

impl Publisher {
    async fn publish(&mut self, store: &Store, description: &Description) {
        let topology = Topology::build(description).unwrap();
        self.numbers = self.numbers.after(&topology).unwrap();
        let numbers = self.numbers.clone();
        let stored = Stored::after(None, topology.description(), numbers, None, Default::default());
        self.publish_shards(store, documents::to_shards(&stored).unwrap()).await;
    }

    async fn publish_shards(&mut self, store: &Store, shards: BTreeMap<ShardName, Vec<u8>>) {
        self.names = shards.iter().map(|(name, bytes)| (ShardId::of(bytes), name.clone())).collect();
        let change = Change::new("test", WallTime::from_millis(1), "");
        self.there = Some(store.publish(self.there, shards, change).await.unwrap());
    }

    /// The names of the shards among documents that were read, and how many of these were pages.
    fn sorted(&self, read: Vec<ShardId>) -> (BTreeSet<String>, usize) {
        let pages = read.iter().filter(|id| !self.names.contains_key(id)).count();
        let shards = read.iter().filter_map(|id| self.names.get(id)).map(ToString::to_string);
        (shards.collect(), pages)
    }
}

/// A store with a revision that declares this.
async fn published(description: &Description) -> (Store, Faults, Publisher) {
    let (store, faults) = store();
    let mut publisher = Publisher::default();
    publisher.publish(&store, description).await;
    (store, faults, publisher)
}

/// Who follows.
struct Reader {
    scope: Scope,
    faults: Faults,
}

impl Reader {
    fn new(store: &Store, host: &str, faults: &Faults) -> Reader {
        faults.reads();
        Reader { scope: Scope::of_follower(store, host), faults: faults.clone() }
    }

    /// What the newest revision is to it, the shards that it read for that, and how many pages.
    async fn read(
        &mut self,
        store: &Store,
        publisher: &Publisher,
    ) -> (Result<Stored, String>, BTreeSet<String>, usize) {
        let root = newest_root(store).await.unwrap().unwrap();
        self.faults.reads();
        let newest = self.scope.read(store, &root).await.unwrap();
        let (shards, pages) = publisher.sorted(self.faults.reads());
        (newest.stored, shards, pages)
    }
}

fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

#[tokio::test]
async fn a_host_reads_its_list_what_can_be_reached_and_nothing_else() {
    let mut made = network(200, 300);
    let (store, faults, mut publisher) = published(&made).await;
    let mut reader = Reader::new(&store, "h7", &faults);
    let (stored, shards, pages) = reader.read(&store, &publisher).await;
    let share = stored.unwrap();
    // The VAB that leads to its VUB goes on in parts: all that hangs on it is read.
    let (of_dc1, others): (BTreeSet<_>, BTreeSet<_>) =
        shards.into_iter().partition(|name| name.starts_with("parts/dc1/"));
    let all = publisher.names.values().map(ToString::to_string).filter(|name| name.starts_with("parts/dc1/"));
    assert!(!of_dc1.is_empty());
    assert_eq!(of_dc1, all.collect());
    let hosts = ["hosts/gw1", "hosts/gw2", "hosts/h207", "hosts/h7"];
    let mut expected = set(["bridges/dc1", "bridges/vub8", "lists/h7", "numbers"]);
    expected.extend(hosts.map(str::to_owned));
    assert_eq!(others, expected);
    // Pages in two layers, a few of them for each thing that was asked.
    assert!(pages <= 30, "{pages}");
    let built = Topology::with_numbers(&share.description, share.numbers.as_ref().unwrap()).unwrap();
    share.numbers.as_ref().unwrap().check(&built, "h7").unwrap();
    let vni = built.segments().iter().find(|segment| segment.domains.len() == 2).unwrap().vni;
    assert_eq!(Some(&vni), publisher.numbers.segments.get(&"vub8".parse::<SegmentName>().unwrap()));
    // A change elsewhere: what it has is not read again.
    made.ports.push(Port::plain("more", "vub90", "h9", "tap9"));
    publisher.publish(&store, &made).await;
    let (stored, shards, pages) = reader.read(&store, &publisher).await;
    assert_eq!((stored.unwrap().description, shards), (share.description, BTreeSet::new()));
    assert!(pages <= 4, "{pages}");
    // A port of its own on a bridge that it had none on: its list is another, and what is on it is read.
    made.ports.push(Port::plain("own", "vub50", "h7", "tap9"));
    publisher.publish(&store, &made).await;
    let (stored, shards, _) = reader.read(&store, &publisher).await;
    assert_eq!(shards, set(["bridges/vub50", "hosts/h249", "hosts/h49", "lists/h7"]));
    assert!(stored.unwrap().description.ports.iter().any(|port| port.name == "own"));
}

#[tokio::test]
async fn a_host_with_nothing_reads_nothing() {
    let (store, faults, publisher) = published(&network(200, 300)).await;
    let (stored, shards, pages) = Reader::new(&store, "idle", &faults).read(&store, &publisher).await;
    let Stored { description, .. } = stored.unwrap();
    assert_eq!((description.bridges.len(), description.hosts.len()), (0, 1));
    assert_eq!(shards, set(["hosts/idle", "numbers"]));
    assert!(pages <= 8, "{pages}");
}

#[tokio::test]
async fn who_is_no_host_reads_which_there_are_and_nothing_else() {
    let made = network(200, 300);
    let (store, faults, publisher) = published(&made).await;
    let (stored, shards, _) = Reader::new(&store, "nobody", &faults).read(&store, &publisher).await;
    let Stored { description, .. } = stored.unwrap();
    assert_eq!((description.bridges.len(), description.hosts.len()), (0, made.hosts.len()));
    assert!(shards.iter().all(|name| name.starts_with("hosts/") || name == "numbers"), "{shards:?}");
}

/// A gateway's trunk has every VLAN.
#[tokio::test]
async fn a_gateway_reads_all_that_its_trunk_carries() {
    let mut made = network(20, 30);
    made.bridges.push(vub("elsewhere"));
    made.ports.push(Port::plain("far", "elsewhere", "h1", "tap1"));
    let (store, faults, publisher) = published(&made).await;
    let (stored, shards, _) = Reader::new(&store, "gw1", &faults).read(&store, &publisher).await;
    let Stored { description, .. } = stored.unwrap();
    assert_eq!((description.bridges.len(), description.ports.len()), (21, 30));
    assert!(!shards.contains("bridges/elsewhere") && !shards.contains("hosts/idle"));
}

#[tokio::test]
async fn a_revision_without_lists_is_read_as_a_whole() {
    let (store, faults) = store();
    let topology = Topology::build(&network(20, 30)).unwrap();
    let numbers = Numbers::default().after(&topology).unwrap();
    let stored = Stored::after(None, topology.description(), numbers, None, Default::default());
    let mut shards = documents::to_shards(&stored).unwrap();
    shards.retain(|name, _| !name.as_str().starts_with("lists/"));
    for bytes in shards.values_mut() {
        *bytes =
            String::from_utf8(bytes.clone()).unwrap().replace("\"format\":4", "\"format\":3").into_bytes();
    }
    let mut publisher = Publisher::default();
    publisher.publish_shards(&store, shards).await;
    let (read, shards, _) = Reader::new(&store, "h7", &faults).read(&store, &publisher).await;
    assert_eq!(read, Ok(stored));
    assert!(shards.contains("bridges/vub1") && shards.contains("hosts/idle"));
}

#[tokio::test]
async fn a_bridge_that_is_not_there_is_told_and_a_store_that_is_away_is_asked_again() {
    let (store, faults, mut publisher) = published(&network(20, 30)).await;
    let root = newest_root(&store).await.unwrap().unwrap();
    let mut reader = Reader::new(&store, "h7", &faults);
    faults.next(Operation::Read, Fault::Refuse);
    assert!(reader.scope.read(&store, &root).await.is_err());
    assert!(reader.scope.read(&store, &root).await.unwrap().stored.is_ok());
    let mut shards = store.read_shards(&root, &[""]).await.unwrap();
    shards.remove(&ShardName::new("bridges/dc1").unwrap());
    publisher.publish_shards(&store, shards).await;
    let (read, _, _) = reader.read(&store, &publisher).await;
    assert_eq!(read.unwrap_err(), "shard bridges/dc1: is missing, and host h7 needs it");
    let (read, _, _) = Reader::new(&store, "idle", &faults).read(&store, &publisher).await;
    assert!(read.is_ok(), "it does not need it");
}

/// What a gateway that has all VLANs, and whoever publishes there, read for one changed port: its shard and the pages on the way to it, as
/// many in a topology of twice the size.
#[tokio::test]
async fn one_changed_object_costs_the_way_to_it_however_large_the_rest_is() {
    for size in [200, 400] {
        let mut made = network(size, size);
        made.bridges.push(vub("elsewhere"));
        made.ports.push(Port::plain("far", "elsewhere", "idle", "tap1"));
        let (store, faults, mut publisher) = published(&made).await;
        let mut gateway = Reader::new(&store, "gw1", &faults);
        let (_, shards, pages) = gateway.read(&store, &publisher).await;
        let most = usize::from(size) * 3;
        assert!(shards.len() > usize::from(size) * 2 && shards.len() < most && pages > 10, "{pages}");
        faults.reads();
        newest(&store).await.unwrap();
        let (shards, _) = publisher.sorted(faults.reads());
        assert!(shards.contains("bridges/elsewhere") && !shards.contains("bridges/vub50"), "{shards:?}");
        made.ports[49].mtu = Some(1_600);
        publisher.publish(&store, &made).await;
        let (read, shards, pages) = gateway.read(&store, &publisher).await;
        assert_eq!(read.unwrap().description.ports.iter().filter(|port| port.mtu.is_some()).count(), 1);
        assert_eq!(shards, set(["bridges/vub50"]));
        assert!((1..=3).contains(&pages), "{pages}");
        // Others publish what the gateway does not need, again and again, before somebody publishes here.
        for mtu in 1_601..1_606 {
            made.ports.last_mut().unwrap().mtu = Some(mtu);
            publisher.publish(&store, &made).await;
            let (_, shards, pages) = gateway.read(&store, &publisher).await;
            assert!(shards.is_empty() && pages <= 3, "{shards:?} {pages}");
        }
        faults.reads();
        let whole = newest(&store).await.unwrap().unwrap().stored.unwrap();
        let (shards, pages) = publisher.sorted(faults.reads());
        assert_eq!(whole.description, made.clone().in_order());
        assert_eq!(shards, set(["bridges/elsewhere"]));
        assert!(pages <= 3, "{pages}");
    }
}

/// A reading that the store breaks off goes on where it was, and what was read is read again where somebody looks for damage.
#[tokio::test]
async fn what_was_read_before_the_store_went_away_is_not_read_again() {
    let (store, faults, publisher) = published(&network(200, 300)).await;
    let mut reader = Reader::new(&store, "gw1", &faults);
    let root = newest_root(&store).await.unwrap().unwrap();
    for _ in 0..300 {
        faults.spare(Operation::Read);
    }
    faults.always(Operation::Read, Fault::Refuse);
    assert!(reader.scope.read(&store, &root).await.is_err());
    faults.clear();
    let (stored, first, _) = reader.read(&store, &publisher).await;
    let share = stored.unwrap();
    assert!(store.forget_read());
    let (stored, again, _) = reader.read(&store, &publisher).await;
    assert_eq!(stored.unwrap(), share);
    assert!(first.len() < again.len() - 200, "{} and {}", first.len(), again.len());
}

/// All documents of the newest revision, and how long each is.
async fn documents_of(store: &Store, faults: &Faults) -> BTreeMap<ShardId, usize> {
    let root = newest_root(store).await.unwrap().unwrap();
    faults.reads();
    let shards = store.names(&root, &[""]).await.unwrap();
    let pages = faults.reads();
    let mut lengths = BTreeMap::new();
    for id in pages.into_iter().chain(shards.into_values()) {
        lengths.insert(id, store.read(id).await.unwrap().len());
    }
    lengths
}

/// A change, and what it is called.
type Step = (&'static str, fn(&mut Description, &mut Numbers));

/// Every host has a trunk with all VLANs, which is the most that lists could have to say.
#[tokio::test]
async fn one_object_writes_at_most_64_kib_at_4_094_vlans_on_1_000_hosts() {
    let (store, faults) = store();
    let mut made = network(4_094, 1_000);
    made.vlans.pop();
    made.trunks.extend((0..1_000).map(|number| trunk(&format!("up{number}"), &format!("h{number}"))));
    let mut numbers = Numbers { next_host: 2_000, next_vni: FIRST_DEALT_VNI + 4_094, ..Numbers::default() };
    let names = made.hosts.iter().map(|host| host.name.clone());
    numbers.hosts = names.zip(1..).collect();
    let names = made.bridges[1..].iter().map(|bridge| bridge.name.parse::<SegmentName>().unwrap());
    numbers.segments = names.zip(FIRST_DEALT_VNI..).collect();
    let mut there = None;
    let mut before = BTreeMap::new();
    let steps: [Step; 9] = [
        ("all", |_, _| {}),
        ("a port changed", |made, _| made.ports[500].mtu = Some(1_600)),
        ("a port where its host had none", |made, _| {
            made.ports.insert(0, Port::plain("a", "vub77", "h3", "tap1"))
        }),
        ("a bridge put first", |made, numbers| {
            made.bridges.insert(0, vub("a"));
            numbers.segments.insert("a".parse().unwrap(), FIRST_DEALT_VNI + 4_094);
            numbers.next_vni += 1;
        }),
        ("a peering that all trunks have", |made, _| made.vlans.insert(0, peering(4_094, "a"))),
        ("a host put first", |made, numbers| {
            made.hosts.insert(0, host("a"));
            numbers.hosts.insert("a".to_owned(), 2_000);
            numbers.next_host += 1;
        }),
        ("its trunk with all VLANs", |made, _| made.trunks.insert(0, trunk("a1", "a"))),
        ("a peering less", |made, _| drop(made.vlans.remove(0))),
        ("a port less", |made, _| drop(made.ports.remove(400))),
    ];
    for (what, step) in steps {
        step(&mut made, &mut numbers);
        let stored = Stored::after(None, &made, numbers.clone(), None, Default::default());
        let shards = documents::to_shards(&stored).unwrap();
        let change = Change::new("test", WallTime::from_millis(1), "");
        there = Some(store.publish(there, shards, change).await.unwrap());
        let after = documents_of(&store, &faults).await;
        let new = after.iter().filter(|(id, _)| !before.contains_key(*id));
        let (count, bytes) = new.fold((0, 0), |(count, bytes), (_, length)| (count + 1, bytes + length));
        if before.is_empty() {
            println!("{} documents, {} KiB", after.len(), bytes >> 10);
        } else {
            println!("{what}: {count} documents, {bytes} bytes");
            assert!(bytes + MOST_OF_ROOT <= 64 << 10, "{what}: {bytes} bytes in {count} documents");
        }
        before = after;
    }
}

/// Bytes of a root: 64 entries with names of at most 60 characters, and who published it.
const MOST_OF_ROOT: usize = 9 << 10;
