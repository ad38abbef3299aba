//! Shards are canonical, of every format that was ever written, and say what they were made of.

use vlan::model::description::{BridgeKind, Mode, Redundancy, TrunkMode};
use vlan::tag::Tpid;
use vlan::vid::{Vid, VidSet};

use super::*;

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
        ips: vec!["192.0.2.1".parse().unwrap()],
        priority_tags: true,
        mtu: Some(9000),
        ..Port::plain("leaf1", "dc1", "gw1", "eth1")
    };
    let bridge =
        |name: &str, kind| Bridge { name: name.to_owned(), ageing: Default::default(), mac_limit: 10, kind };
    Description {
        hosts: vec![Host { name: "gw1".to_owned(), ..Host::default() }],
        bridges: vec![bridge("vub8", BridgeKind::VlanUnaware { vni: Some(8) }), bridge("dc1", kind)],
        vlans: vec![Peering { bridge: "dc1".to_owned(), vid: vid(8), to: "vub8".to_owned() }],
        trunks: vec![trunk],
        ports: Vec::new(),
    }
}

#[test]
fn a_description_comes_back_from_its_shards_as_it_was() {
    let shards = to_shards(&description()).unwrap();
    let names: Vec<String> = shards.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["bridges/dc1", "bridges/vub8", "hosts/gw1"]);
    let back = from_shards(shards.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))).unwrap();
    assert_eq!(back, description());
}

#[test]
fn a_shard_that_is_cut_short_is_named() {
    let shards = to_shards(&description()).unwrap();
    let (name, bytes) = shards.iter().next().unwrap();
    let error = from_shards([(name.as_str(), &bytes[..bytes.len() / 2])]).unwrap_err().to_string();
    assert!(error.contains("bridges/dc1"), "{error}");
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

fn read(shards: &[(String, Vec<u8>)]) -> Result<Description, DocumentError> {
    from_shards(shards.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())))
}

fn written(description: &Description) -> Vec<(String, Vec<u8>)> {
    let shards = to_shards(description).unwrap();
    shards.into_iter().map(|(name, bytes)| (name.to_string(), bytes)).collect()
}

#[test]
fn what_format_1_stored_is_read_and_written_anew() {
    let stored: Description = serde_json::from_str(include_str!("format1.json")).unwrap();
    let golden = golden();
    assert_eq!(read(&golden).unwrap(), stored);
    let anew = written(&stored);
    assert!(anew.iter().all(|(_, bytes)| bytes.starts_with(b"{")));
    assert_eq!(read(&anew).unwrap(), stored);
    // Shards that were written at different times lie side by side.
    let mut mixed = anew;
    mixed[1] = golden[1].clone();
    assert_eq!(read(&mixed).unwrap(), stored);
}

#[tokio::test]
async fn a_store_of_format_1_is_written_anew_by_the_next_revision() {
    use nsdb::{Change, Documents, Store, StoreConfig, WallTime};

    use crate::topology::{self, Authorship};

    let store = Store::open(StoreConfig::in_memory()).unwrap();
    let old = golden().into_iter().map(|(name, bytes)| (shard_name(&name).unwrap(), bytes)).collect();
    store.publish(None, old, Change::new("old", WallTime::from_millis(1), "")).await.unwrap();
    let (revision, mut description) = topology::newest(&store).await.unwrap().unwrap();
    description.bridges[0].mac_limit = 7;
    let by = Authorship { author: "new".to_owned(), note: String::new() };
    topology::publish(&store, &description, revision.get(), &by).await.unwrap();
    assert_eq!(topology::newest(&store).await.unwrap().unwrap().1, description);
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
    let shards = written(&description());
    let (_, host) = shards.iter().find(|(name, _)| name == "hosts/gw1").unwrap();
    assert_eq!(str::from_utf8(host).unwrap(), r#"{"format":2,"host":[0,{"datapath":"auto","name":"gw1"}]}"#);
}

#[test]
fn what_this_version_does_not_know_is_not_overlooked() {
    let with = |text: &str| read(&[("hosts/gw1".to_owned(), text.as_bytes().to_vec())]);
    assert!(with(r#"{"format":2,"host":[0,{"datapath":"auto","name":"gw1"}]}"#).is_ok());
    assert!(with(r#"{"format":2,"host":[0,{"datapath":"auto","name":"gw1","underlay":null}]}"#).is_ok());
    for (text, what) in [
        (r#"{"format":2,"host":[0,{"datapath":"auto","name":"gw1","site":"b"}]}"#, "\"site\""),
        (r#"{"format":2,"needs":["site"],"host":[0,{"datapath":"auto","name":"gw1"}]}"#, "\"needs\""),
        (r#"{"format":3,"host":[0,{"datapath":"auto","name":"gw1"}]}"#, "format 3"),
        (r#"{"host":[0,{"datapath":"auto","name":"gw1"}]}"#, "format null"),
        (r#"{"format":2,"host":[0,{"datapath":"fpga","name":"gw1"}]}"#, "`fpga`"),
    ] {
        let error = with(text).unwrap_err().to_string();
        assert!(error.contains("hosts/gw1") && error.contains(what), "{error}");
    }
}

/// Every object of a shard, one after another, with a key more than this version knows.
fn with_a_key_more(value: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    match value {
        Value::Object(map) => {
            let mut more = map.clone();
            more.insert("new".to_owned(), Value::from(1));
            all.push(Value::Object(more));
            for (key, inner) in map {
                let with = |inner| {
                    let mut with = map.clone();
                    with.insert(key.clone(), inner);
                    Value::Object(with)
                };
                // VLANs to VLANs are no keys.
                all.extend(with_a_key_more(inner).into_iter().filter(|_| key != "translate").map(with));
            }
        }
        Value::Array(list) => {
            for (index, inner) in list.iter().enumerate() {
                let with = |inner| {
                    let mut with = list.clone();
                    with[index] = inner;
                    Value::Array(with)
                };
                all.extend(with_a_key_more(inner).into_iter().map(with));
            }
        }
        _ => {}
    }
    all
}

#[test]
fn no_object_of_a_shard_has_a_key_that_is_passed_over() {
    let stored: Description = serde_json::from_str(include_str!("format1.json")).unwrap();
    let mut tried = 0;
    for (name, bytes) in written(&stored) {
        for changed in with_a_key_more(&serde_json::from_slice(&bytes).unwrap()) {
            let text = serde_json::to_vec(&changed).unwrap();
            let error = read(&[(name.clone(), text)]).unwrap_err().to_string();
            // The name of an enum's variant is the one key that there is.
            let is_told = error.contains("\"new\"") || error.contains("single key");
            assert!(error.contains(&name) && is_told, "{error}: {changed}");
            tried += 1;
        }
    }
    assert!(tried > 20, "{tried}");
}

#[test]
fn a_bridge_with_very_many_ports_is_stored_in_parts() {
    let mut many = description();
    let port = many.trunks[0].clone();
    many.ports = (0..4_000).map(|n| Port { name: format!("vm{n}"), mtu: None, ..port.clone() }).collect();
    let shards = written(&many);
    let names: Vec<&str> = shards.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["bridges/dc1", "bridges/vub8", "hosts/gw1", "parts/dc1/2", "parts/dc1/3", "parts/dc1/4"]
    );
    assert!(shards.iter().all(|(_, bytes)| bytes.len() <= PART_BYTES + 1_000));
    assert_eq!(read(&shards).unwrap(), many);
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
fn what_would_be_read_as_something_else_is_not_stored() {
    let stored: Description = serde_json::from_str(include_str!("format1.json")).unwrap();
    let shards = to_shards(&stored).unwrap();
    check_read_back(&stored, &shards).unwrap();
    let mut other = stored.clone();
    other.ports[0].isolated = true;
    let said = check_read_back(&other, &shards).unwrap_err().to_string();
    assert!(said.contains("a setting is lost"), "{said}");
    let mut cut = shards.clone();
    cut.values_mut().next().unwrap().pop();
    let said = check_read_back(&stored, &cut).unwrap_err();
    assert!(matches!(said, DocumentError::Differs { .. }), "{said}");
}
