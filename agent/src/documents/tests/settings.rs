//! What all hosts have in common, and what a host must know of others.

use vlan::model::description::{HostKind, TagPolicy};

use super::*;

/// What hosts must know to send each other frames, and who else is on a segment, is not passed over by who does not know it.
#[test]
fn what_hosts_must_agree_on_is_needed() {
    let mut made = in_two_hosts();
    made.overlay.port = 4_790;
    made.hosts.push(Host {
        name: "vtep1".to_owned(),
        kind: HostKind::Vtep,
        underlay: Some([192, 0, 2, 9].into()),
        underlay_mtu: Some(1_600),
        ..Host::default()
    });
    made.ports.push(Port { tags: Some(TagPolicy::Pass), ..Port::plain("racks", "vub8", "vtep1", "") });
    made.bridges[0].mtu = Some(1_500);
    let stored = numbered(&made);
    let shards = written(&stored);
    assert_eq!(read(&shards).unwrap(), stored);
    let needs = |name: &str| {
        let (_, bytes) = shards.iter().find(|(there, _)| there == name).unwrap();
        serde_json::from_slice::<Value>(bytes).unwrap()["needs"].clone()
    };
    assert_eq!(needs("hosts/vtep1"), serde_json::json!(["vtep"]));
    assert_eq!(needs("bridges/vub8"), serde_json::json!(["vtep"]));
    assert_eq!(needs("numbers"), serde_json::json!(["overlay-port"]));
    for name in ["hosts/gw1", "bridges/dc1", "settings"] {
        assert_eq!(needs(name), Value::Null, "{name}");
    }
    let (_, settings) = shards.iter().find(|(name, _)| name == "settings").unwrap();
    assert_eq!(str::from_utf8(settings).unwrap(), r#"{"format":4,"overlay":{"port":4790}}"#);
    // Those of the model itself, which is in records of what happened.
    let json = serde_json::to_string(&made).unwrap();
    assert_eq!(serde_json::from_str::<Description>(&json).unwrap(), made);
    let json = serde_json::to_string(&in_two_hosts()).unwrap();
    for key in ["\"kind\":\"l2gw\"", "underlay_mtu", "overlay", "\"mtu\":1500", "\"tags\""] {
        assert!(!json.contains(key), "{key} is written, and says nothing: {json}");
    }
}

/// A setting of all hosts has a source, as an object has, and keys that are not known are passed on.
#[test]
fn what_is_of_all_hosts_is_passed_on_as_objects_are() {
    let mut made = in_two_hosts();
    made.overlay.port = 4_790;
    let mut stored = numbered(&made);
    stored.sources.insert("overlay".to_owned(), Source::new(Origin::socket(), "ann"));
    let mut shards = written(&stored);
    let (_, bytes) = shards.iter_mut().find(|(name, _)| name == "settings").unwrap();
    let new = br#"{"format":4,"of-shard":1,"overlay":{"author":"ann","of-object":2,"origin":"socket","port":4790}}"#;
    assert_eq!(
        str::from_utf8(bytes).unwrap(),
        str::from_utf8(new).unwrap().replace(r#""of-shard":1,"#, "").replace(r#""of-object":2,"#, "")
    );
    *bytes = new.to_vec();
    let before = read(&shards).unwrap();
    assert_eq!((&before.description, &before.sources), (&stored.description, &stored.sources));
    for port in [4_790, 4_791, 4_789] {
        made.overlay.port = port;
        let numbers = before.numbers.clone().unwrap();
        let after = Stored::after(Some(&before), &made, numbers, None, Default::default());
        let shards = written(&after);
        let (_, bytes) = shards.iter().find(|(name, _)| name == "settings").unwrap();
        let text = str::from_utf8(bytes).unwrap();
        assert!(text.contains("of-shard") && text.contains("of-object"), "{text}");
        assert_eq!(read(&shards).unwrap(), after, "{text}");
    }
}
