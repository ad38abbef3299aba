//! VTEPs run no agent.

use vlan::model::description::HostKind;

use super::*;

fn vtep(description: &mut Description) {
    let underlay = Some([192, 0, 2, 9].into());
    description.hosts.push(Host {
        name: "rack1".to_owned(),
        kind: HostKind::Vtep,
        underlay,
        ..Host::default()
    });
    description.bridges[0].kind = BridgeKind::VlanUnaware { vni: Some(8) };
    description.ports.push(Port::plain("stations", "vub", "rack1", ""));
}

/// No agent runs there that could read the store, and none is taken away.
#[tokio::test]
async fn a_vtep_is_no_host_that_has_to_be_asked() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(StoreConfig::in_directory(directory.path())).unwrap());
    assert!(store.is_of_one_host());
    let door = Door::new(store, "gw1", None);
    let mut with = network(&[("gw1", &["a"])]);
    vtep(&mut with);
    assert!(door.publish(proposal(with.clone())).await.unwrap().is_new);
    with.ports.truncate(1);
    with.hosts.truncate(1);
    assert!(door.publish(proposal(with)).await.unwrap().is_new);
    let mut two = network(&[("gw1", &["a"]), ("gw2", &["b"])]);
    vtep(&mut two);
    let said = door.publish(proposal(two)).await.unwrap_err().to_string();
    assert!(said.starts_with("it has ports on several hosts: gw1, gw2; "), "{said}");
}

#[tokio::test]
async fn who_becomes_a_vtep_is_no_host_of_ours_any_more() {
    let (_store, door) = door();
    let mut only = network(&[]);
    vtep(&mut only);
    only.hosts[0].name = "gw1".to_owned();
    only.ports[0].host = "gw1".to_owned();
    let said = door.publish(proposal(only.clone())).await.unwrap_err().to_string();
    assert_eq!(said, "\"gw1\", this host, is no host of it; it has nothing");
    door.publish(proposal(network(&[("gw1", &["a"])]))).await.unwrap();
    let said = door.publish(proposal(only)).await.unwrap_err().to_string();
    assert!(said.starts_with("\"gw1\", this host, is no host of it any more: a would"), "{said}");
}
