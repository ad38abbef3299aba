//! A door with no host behind it: of whoever opens the store to publish from elsewhere.

use super::*;

fn door() -> Door {
    Door::of_no_host(Arc::new(Store::open(StoreConfig::in_memory()).unwrap()))
}

#[tokio::test]
async fn no_host_is_held_dearer_than_others() {
    let door = door();
    let both = [("gw1", &["a"][..]), ("gw2", &["b"])];
    assert_eq!(door.publish(proposal(network(&both))).await.unwrap().revision, 1);
    // A daemon of gw1 would ask for --without-host.
    assert_eq!(door.publish(proposal(network(&[("gw2", &["b"])]))).await.unwrap().revision, 2);
    let mut stays = proposal(network(&[("gw2", &["b", "c"])]));
    stays.without_hosts = vec!["gw2".to_owned()];
    let said = door.publish(stays).await.unwrap_err();
    assert!(
        said.is_wrong() && said.to_string().starts_with("--without-host gw2: this does not take"),
        "{said}"
    );
}

#[tokio::test]
async fn nothing_at_all_is_published_only_where_each_host_is_named() {
    let door = door();
    let both = [("gw1", &["a"][..]), ("gw2", &["b"])];
    door.publish(proposal(network(&both))).await.unwrap();
    let mut nothing = proposal(Description::default());
    for named in [&[][..], &["gw1"]] {
        nothing.without_hosts = named.iter().map(|host| (*host).to_owned()).collect();
        let said = door.publish(nothing.clone()).await.unwrap_err();
        let expected = "this declares nothing at all: gw1, gw2 would forward nothing any more; if that is meant, say so by --without-host \
                        gw1 --without-host gw2";
        assert!(said.is_wrong() && said.to_string() == expected, "{said}");
    }
    nothing.without_hosts.push("gw2".to_owned());
    assert_eq!(door.publish(nothing).await.unwrap().revision, 2);
}

#[tokio::test]
async fn what_was_planned_against_another_revision_is_refused() {
    let door = door();
    let at = |expected, ports: &[&str]| Proposal {
        expected: Some(expected),
        ..proposal(network(&[("gw1", ports)]))
    };
    door.publish(at(0, &["a"])).await.unwrap();
    let said = door.publish(at(0, &["b"])).await.unwrap_err();
    assert!(said.is_conflict(), "{said}");
    assert_eq!(door.publish(at(1, &["b"])).await.unwrap().revision, 2);
}
