//! Shards are canonical, of every format that was ever written, and say what they were made of.

use vlan::model::description::{Bridge, BridgeKind, Flood, Host, Mode, Peering, Port, Redundancy, TrunkMode};
use vlan::model::numbers::FIRST_DEALT_VNI;
use vlan::model::segment::SegmentName;
use vlan::model::topology::Topology;
use vlan::tag::Tpid;
use vlan::vid::{Vid, VidSet};

use super::*;
use crate::tree::{Origin, Source};

mod settings;

fn description() -> Description {
    let vid = |number| Vid::new(number).unwrap();
    let kind = BridgeKind::VlanAware {
        fabric: "fabric".to_owned(),
        redundancy: Redundancy::Designated,
        tpid: Tpid::Customer,
        join_vids: false,
    };
    let mode = TrunkMode {
        vlans: Some(VidSet::all()),
        translate: [(vid(108), vid(9))].into(),
        weight: 1,
        ..TrunkMode::default()
    };
    let trunk = Port {
        mode: Mode::Trunk(mode),
        macs: vec![vlan::addr::MacAddr([2, 0, 0, 0, 0, 1])],
        priority_tags: true,
        mtu: Some(9000),
        ..Port::plain("leaf1", "dc1", "gw1", "eth1")
    };
    let bridge = |name: &str, kind| Bridge {
        name: name.to_owned(),
        ageing: Default::default(),
        mac_limit: 10,
        renamed_from: None,
        mtu: None,
        kind,
    };
    Description {
        hosts: vec![Host { name: "gw1".to_owned(), ..Host::default() }],
        bridges: vec![bridge("vub8", BridgeKind::VlanUnaware { vni: Some(8) }), bridge("dc1", kind)],
        vlans: vec![Peering { bridge: "dc1".to_owned(), vid: vid(8), to: "vub8".to_owned() }],
        trunks: vec![trunk],
        ..Description::default()
    }
}

fn read(shards: &[(String, Vec<u8>)]) -> Result<Stored, DocumentError> {
    from_shards(shards.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())))
}

fn written(stored: &Stored) -> Vec<(String, Vec<u8>)> {
    to_shards(stored).unwrap().into_iter().map(|(name, bytes)| (name.to_string(), bytes)).collect()
}

/// With the numbers of a first revision.
fn numbered(description: &Description) -> Stored {
    let numbers = Numbers::default().after(&Topology::build(description).unwrap()).unwrap();
    Stored::after(None, description, numbers, None, Default::default())
}

#[test]
fn a_topology_comes_back_from_its_shards_as_it_was() {
    for stored in [Stored::from(description()), numbered(&description())] {
        let shards = written(&stored);
        assert_eq!(read(&shards).unwrap(), stored);
        let names: Vec<&str> = shards.iter().map(|(name, _)| name.as_str()).collect();
        let expected = ["bridges/dc1", "bridges/vub8", "hosts/gw1", "lists/gw1", "numbers"];
        assert_eq!(names, expected[..4 + usize::from(stored.numbers.is_some())]);
    }
}

#[test]
fn a_shard_that_is_cut_short_is_named() {
    let mut shards = written(&numbered(&description()));
    for nth in 0..shards.len() {
        let whole = shards[nth].1.clone();
        shards[nth].1.truncate(whole.len() / 2);
        let error = read(&shards).unwrap_err().to_string();
        assert!(error.contains(&shards[nth].0), "{error}");
        shards[nth].1 = whole;
    }
}

/// The shards of `format1.json` as format 1 stored them.
fn golden() -> Vec<(String, Vec<u8>)> {
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    let shard = |line: &str| {
        let (name, hex) = line.split_once(' ').unwrap();
        (name.to_owned(), hex.as_bytes().chunks(2).map(byte).collect())
    };
    include_str!("format1.txt").lines().map(shard).collect()
}

/// The topology that the golden shards of formats 1 and 2 hold.
fn stored_then() -> Description {
    serde_json::from_str::<Description>(include_str!("format1.json")).unwrap().in_order()
}

/// The shards of a golden file of text: a name and a line of JSON each.
fn golden_text(text: &str) -> Vec<(String, Vec<u8>)> {
    let shard = |line: &str| {
        let (name, json) = line.split_once(' ').unwrap();
        (name.to_owned(), json.as_bytes().to_vec())
    };
    text.lines().map(shard).collect()
}

/// There were no further VNIs.
fn numbered_in_format_3(description: &Description) -> Stored {
    let mut stored = numbered(description);
    let numbers = stored.numbers.as_mut().unwrap();
    numbers.further.clear();
    numbers.next_vni = FIRST_DEALT_VNI;
    stored
}

#[test]
fn what_earlier_formats_stored_is_read_and_written_anew() {
    for (golden, then) in [
        (golden(), Stored::from(stored_then())),
        (golden_text(include_str!("format2.txt")), Stored::from(stored_then())),
        (golden_text(include_str!("format3-objects.txt")), Stored::from(stored_then())),
        (golden_text(include_str!("format3.txt")), numbered_in_format_3(&in_two_hosts())),
    ] {
        let stored = read(&golden).unwrap();
        assert_eq!(stored, then);
        let anew = written(&stored);
        assert_eq!(read(&anew).unwrap(), stored);
        // Shards that were written at different times lie side by side.
        let mut mixed = anew;
        mixed[1] = golden[1].clone();
        assert_eq!(read(&mixed).unwrap(), stored);
    }
}

/// What is written today; a change of these bytes is a new format, or an object that has more to say.
#[test]
fn format_4_is_written_as_it_is_kept_here() {
    let numbered = numbered(&in_two_hosts());
    // Without numbers, and with every key that there is; it does not build.
    let objects = Stored::from(stored_then());
    for (file, golden, stored) in [
        ("format4.txt", include_str!("format4.txt"), numbered),
        ("format4-objects.txt", include_str!("format4-objects.txt"), objects),
    ] {
        let mut text = String::new();
        for (name, bytes) in written(&stored) {
            text += &format!("{name} {}\n", str::from_utf8(&bytes).unwrap());
        }
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/documents/");
            std::fs::write(format!("{path}{file}"), &text).unwrap();
        }
        assert_eq!(text, golden);
        assert_eq!(read(&golden_text(golden)).unwrap(), stored);
    }
}

/// What is on several hosts needs numbers.
fn in_two_hosts() -> Description {
    let mut made = description();
    made.hosts.push(Host { name: "gw2".to_owned(), ..Host::default() });
    made.ports.push(Port { sticky: Some(2), ..Port::plain("vm1", "vub8", "gw2", "tap1") });
    made.ports
        .push(Port { flood: Flood { withholds_unknown: true }, ..Port::plain("vm2", "vub8", "gw1", "tap2") });
    made
}

#[tokio::test]
async fn a_store_of_format_1_is_written_anew_by_the_next_revision() {
    use nsdb::{Change, Documents, Store, StoreConfig, WallTime};

    use crate::topology::{self, Authorship, Built};

    let store = Store::open(StoreConfig::in_memory()).unwrap();
    let old = golden().into_iter().map(|(name, bytes)| (shard_name(&name).unwrap(), bytes)).collect();
    store.publish(None, old, Change::new("old", WallTime::from_millis(1), "")).await.unwrap();
    let newest = topology::newest(&store).await.unwrap().unwrap();
    assert_eq!(newest.stored, Ok(Stored::from(stored_then())));
    let mut next = std::sync::Arc::new(Topology::build(&in_two_hosts()).unwrap());
    let by = Authorship {
        author: "new".to_owned(),
        note: String::new(),
        text: None,
        sources: Default::default(),
        confirm_within: None,
    };
    topology::publish(&store, &mut next, Some(&newest), &by, &Built::default()).await.unwrap();
    let stored = topology::newest(&store).await.unwrap().unwrap().stored.unwrap();
    assert_eq!(stored, numbered(&in_two_hosts()));
    let root = store.root().await.unwrap().unwrap();
    for (name, bytes) in store.read_shards(&root, &[""]).await.unwrap() {
        assert!(bytes.starts_with(b"{"), "{name} is as it was");
    }
}

#[test]
fn a_shard_of_format_1_that_is_cut_short_is_refused() {
    let mut golden = golden();
    golden[0].1.pop();
    let error = read(&golden).unwrap_err().to_string();
    assert!(error.contains("bridges/dc1: document of version 1 is damaged"), "{error}");
    golden[0].1.clear();
    let error = read(&golden).unwrap_err().to_string();
    assert!(error.contains("bridges/dc1: document is empty"), "{error}");
}

#[test]
fn a_shard_is_text_with_sorted_keys_and_without_what_says_nothing() {
    let shards = written(&numbered(&description()));
    let (_, host) = shards.iter().find(|(name, _)| name == "hosts/gw1").unwrap();
    assert_eq!(str::from_utf8(host).unwrap(), r#"{"format":4,"host":{},"number":1}"#);
    let (_, bridge) = shards.iter().find(|(name, _)| name == "bridges/vub8").unwrap();
    let kind = r#""kind":"vlan-unaware","mac-limit":10,"vni":8"#;
    let segments = r#""segments":[{"segment":"vub8","vni":8}]"#;
    let text = str::from_utf8(bridge).unwrap();
    let led_from = r#""led-from":["dc1"]"#;
    assert_eq!(text, format!(r#"{{"bridge":{{"ageing":"0s",{kind}}},"format":4,{led_from},{segments}}}"#));
}

#[test]
fn what_a_reader_must_know_is_refused_and_other_news_is_passed_on() {
    let with = |text: &str| read(&[("hosts/gw1".to_owned(), text.as_bytes().to_vec())]);
    assert!(with(r#"{"format":3,"host":{"datapath":"ovs"}}"#).is_ok());
    assert!(with(r#"{"format":4,"host":{"datapath":"ovs"}}"#).is_ok());
    assert!(with(r#"{"format":3,"host":{"underlay":null},"needs":[]}"#).is_ok());
    for (text, what) in [
        (r#"{"format":4,"host":{},"needs":["site"]}"#, "needs \"site\""),
        (r#"{"format":4,"host":{},"needs":"site"}"#, "invalid type"),
        (r#"{"format":5,"host":{}}"#, "format 5"),
        (r#"{"host":{}}"#, "format null"),
        (r#"{"format":4}"#, "missing field `host`"),
        (r#"{"format":4,"host":{"datapath":"fpga"}}"#, "hosts.gw1.datapath: \"fpga\", allowed are \"auto\""),
        (r#"[4]"#, "no object"),
    ] {
        let error = with(text).unwrap_err().to_string();
        assert!(error.contains("hosts/gw1") && error.contains(what), "{error}");
    }
    let other = |text: &str| read(&[("routers/r1".to_owned(), text.as_bytes().to_vec())]);
    assert!(other(r#"{"format":3,"needs":["routers"]}"#).is_err());
    assert!(other(r#"{"format":3,"router":{}}"#).is_ok());
}

/// Keys and shards that a newer version wrote are there again after this one has written another revision, as long as their objects are.
#[test]
fn what_is_not_known_survives_a_rewrite() {
    let mut shards = written(&numbered(&in_two_hosts()));
    for (_, bytes) in &mut shards {
        let mut value: Value = serde_json::from_slice(bytes).unwrap();
        value["of-shard"] = Value::from("x");
        for list in ["vlans", "trunks", "ports"] {
            for object in value.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                object["of-object"] = Value::from(7);
            }
        }
        *bytes = serde_json::to_vec(&value).unwrap();
    }
    let router = ("routers/r1".to_owned(), br#"{"format":3,"router":{}}"#.to_vec());
    shards.push(router.clone());
    let before = read(&shards).unwrap();
    assert_eq!(before.description, in_two_hosts().in_order());
    let mut next = in_two_hosts();
    next.ports.pop();
    next.trunks[0].mtu = Some(1_600);
    let after =
        Stored::after(Some(&before), &next, before.numbers.clone().unwrap(), None, Default::default());
    let shards = written(&after);
    assert!(shards.contains(&router));
    let text: String = shards.iter().map(|(_, bytes)| str::from_utf8(bytes).unwrap()).collect();
    // Two hosts, two bridges and the counters; a peering, a trunk and the port that is left.
    assert_eq!((text.matches("of-shard").count(), text.matches("of-object").count()), (5, 3));
    assert_eq!(read(&shards).unwrap(), after);
}

#[test]
fn within_a_value_nothing_is_passed_over() {
    let port = r#"{"bridge":"b","flood":{"new":true},"host":"h","link":"l","name":"p"}"#;
    let text = format!(r#"{{"format":3,"ports":[{port}]}}"#);
    let error = read(&[("bridges/b".to_owned(), text.into_bytes())]).unwrap_err().to_string();
    assert!(error.contains("bridges/b") && error.contains("\"new\""), "{error}");
}

/// A topology of which one bridge has many objects of every kind.
fn large() -> Description {
    let mut many = description();
    many.hosts.push(Host { name: "gw2".to_owned(), ..Host::default() });
    many.trunks.push(Port { host: "gw2".to_owned(), name: "leaf2".to_owned(), ..many.trunks[0].clone() });
    for trunk in &mut many.trunks {
        trunk.macs.clear();
    }
    many.ports =
        (0..2_000).map(|n| Port::plain(&format!("vm{n}"), "vub8", "gw1", &format!("tap{n}"))).collect();
    many
}

#[test]
fn one_object_more_changes_its_shard_and_no_other() {
    let before = numbered(&large());
    let shards = to_shards(&before).unwrap();
    assert!(shards.len() > 100, "{}", shards.len());
    assert!(shards.values().all(|bytes| bytes.len() < 20_000));
    assert!(shards.contains_key(&shard_name("parts/dc1/segments/dc1.1").unwrap()));
    for name in ["a", "vm1000x", "zz"] {
        let mut more = large();
        more.ports.insert(0, Port::plain(name, "vub8", "gw1", "new"));
        let topology = Topology::build(&more).unwrap();
        let numbers = before.numbers.as_ref().unwrap().after(&topology).unwrap();
        let after =
            to_shards(&Stored::after(Some(&before), &more, numbers, None, Default::default())).unwrap();
        let changed: Vec<_> = after.iter().filter(|(name, bytes)| shards.get(name) != Some(bytes)).collect();
        let gone = shards.keys().filter(|name| !after.contains_key(name)).count();
        let bytes: usize = changed.iter().map(|(_, bytes)| bytes.len()).sum();
        // A name that begins a part takes the first of another one; one that is put first gives its name to the part.
        assert!(
            changed.len() <= 2 && gone <= 1 && bytes < 40_000,
            "{name}: {} {gone} {bytes}",
            changed.len()
        );
    }
}

#[test]
fn a_set_is_written_as_ranges_and_read_from_ranges_or_numbers() {
    let set: VidSet = [5, 8, 100, 101, 102, 4094].into_iter().filter_map(Vid::new).collect();
    let text = serde_json::to_string(&set).unwrap();
    assert_eq!(text, "\"5,8,100-102,4094\"");
    for text in [text.as_str(), "[5,8,100,101,102,4094]", "[4094,102,5,8,101,100,5]"] {
        assert_eq!(serde_json::from_str::<VidSet>(text).unwrap(), set, "{text}");
    }
    assert_eq!(serde_json::from_str::<VidSet>("\"\"").unwrap(), VidSet::new());
    for text in ["\"0\"", "\"5,\"", "\"9-5\"", "\"1-4095\"", "\"-5\"", "\"5 \"", "[0]", "[4095]", "{}", "5"] {
        assert!(serde_json::from_str::<VidSet>(text).is_err(), "{text}");
    }
}

#[test]
fn an_object_says_where_it_came_from() {
    let description = in_two_hosts();
    let mut stored = numbered(&description);
    let by = Source::new(Origin::socket(), "ann");
    stored.sources.insert("ports.vm1".to_owned(), by.clone());
    stored.sources.insert("bridges.dc1".to_owned(), Source { origin: Origin::file(), ..by.clone() });
    stored.sources.insert("vlans dc1.8".to_owned(), by);
    let shards = written(&stored);
    let text = |name: &str| {
        let (_, bytes) = shards.iter().find(|(shard, _)| shard == name).unwrap();
        str::from_utf8(bytes).unwrap()
    };
    let vm1 = r#"{"author":"ann","bridge":"vub8","host":"gw2","link":"tap1","name":"vm1","origin":"socket","sticky":2}"#;
    assert!(text("bridges/vub8").contains(vm1));
    assert!(text("bridges/dc1").starts_with(r#"{"bridge":{"ageing":"0s","author":"ann","kind":"#));
    assert_eq!(read(&shards).unwrap(), stored);
    let mut wrong = shards.clone();
    for (_, bytes) in &mut wrong {
        let text = str::from_utf8(bytes).unwrap().replace("\"socket\"", "\"So cket\"");
        *bytes = text.into_bytes();
    }
    assert!(read(&wrong).unwrap_err().to_string().contains("\"So cket\" is not a name"));
}

#[test]
fn what_would_be_read_as_something_else_is_not_stored() {
    let stored = numbered(&in_two_hosts());
    let shards = to_shards(&stored).unwrap();
    check_read_back(&stored, &shards).unwrap();
    let mut other = stored.clone();
    other.description.ports[0].isolated = true;
    let said = check_read_back(&other, &shards).unwrap_err().to_string();
    assert!(said.contains("a setting is lost"), "{said}");
    let mut other = stored.clone();
    let name = SegmentName { bridge: "vub9".to_owned(), vid: None, inner: None };
    other.numbers.as_mut().unwrap().segments.insert(name, 9);
    assert!(check_read_back(&other, &shards).is_err());
    let mut cut = shards.clone();
    cut.values_mut().next().unwrap().pop();
    let said = check_read_back(&stored, &cut).unwrap_err();
    assert!(matches!(said, DocumentError::Differs { .. }), "{said}");
}

/// A version that does not know of texts passes on that of the revision before.
#[test]
fn a_text_goes_with_what_it_declares() {
    let description = description();
    let file = FileText { file: "gateway.toml".to_owned(), text: "# a comment\n".repeat(5_000) };
    let stored = Stored { text: Some(file.clone()), ..numbered(&description) };
    let mut shards = to_shards(&stored).unwrap();
    assert!(shards.keys().filter(|name| name.as_str().starts_with(PIECES)).count() > 1);
    check_read_back(&stored, &shards).unwrap();
    let read_all = |shards: &BTreeMap<ShardName, Vec<u8>>| {
        from_shards(shards.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))).unwrap()
    };
    assert_eq!(read_all(&shards).text, Some(file));
    let mut other = description;
    other.bridges.truncate(1);
    other.vlans.clear();
    other.trunks.clear();
    other.ports.clear();
    let others = to_shards(&numbered(&other)).unwrap();
    shards.retain(|name, _| name.as_str() == TEXT || name.as_str().starts_with(PIECES));
    shards.extend(others);
    assert_eq!(read_all(&shards).text, None);
}

/// As they were stored before it was said apart whose text they are.
#[test]
fn pieces_that_each_say_whose_text_they_are_are_read() {
    let description = description();
    let digest = Tree::from(&description).digest();
    let mut shards = to_shards(&numbered(&description)).unwrap();
    for (number, of, text) in
        [(0, digest.as_str(), "# one\n"), (1, &digest, "# two\n"), (2, "other", "# three\n")]
    {
        let shard = serde_json::json!({"file": "gateway.toml", "format": 4, "of": of, "text": text});
        shards.insert(shard_name(&format!("text/{number:05}")).unwrap(), shard.to_string().into_bytes());
    }
    let read = from_shards(shards.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))).unwrap();
    assert_eq!(read.text.as_ref().map(|text| text.text.as_str()), Some("# one\n# two\n"));
    let anew = to_shards(&read).unwrap();
    assert!(anew.keys().all(|name| !name.as_str().starts_with("text/")), "they are written as they are now");
    check_read_back(&read, &anew).unwrap();
}

/// A line of the file is another, and what it declares is.
#[test]
fn one_line_of_a_text_writes_a_piece_or_two() {
    let line = |number: usize| format!("name = \"vm{number}\"\n");
    let before: Vec<String> = (0..15_000).map(line).collect();
    let shards = |lines: &[String], description: &Description| {
        let text = FileText { file: "gateway.toml".to_owned(), text: lines.concat() };
        to_shards(&Stored { text: Some(text), ..numbered(description) }).unwrap()
    };
    let mut description = description();
    let stored = shards(&before, &description);
    let known: BTreeSet<&Vec<u8>> = stored.values().collect();
    let pieces = stored.keys().filter(|name| name.as_str().starts_with(PIECES)).count();
    assert!(pieces > 20, "{pieces}");
    description.bridges[0].mac_limit += 1;
    for at in [0, 7_000, 14_999] {
        let (mut changed, mut more, mut less) = (before.clone(), before.clone(), before.clone());
        changed[at] = "mac-limit = 11\n".to_owned();
        more.insert(at, "mac-limit = 11\n".to_owned());
        less.remove(at);
        for after in [changed, more, less] {
            let after = shards(&after, &description);
            let new: Vec<&ShardName> =
                after.iter().filter(|(_, bytes)| !known.contains(bytes)).map(|(name, _)| name).collect();
            let pieces = new.iter().filter(|name| name.as_str().starts_with(PIECES)).count();
            assert!((1..=2).contains(&pieces) && new.len() <= pieces + 2, "line {at}: {new:?}");
        }
    }
}
