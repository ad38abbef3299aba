//! A guest that makes addresses up: other hosts hear of them at a pace, and of its neighbours' at once.

use std::time::Duration;

use tests::lab::frames::{BROADCAST, Mac};
use tests::sim::cluster::Cluster;

use super::feed::{is, known};
use super::{PHYS, VM1, bare, start, tagged, three};

fn made_up(number: u16) -> Mac {
    let [a, b] = number.to_be_bytes();
    [2, 0, 0, 7, a, b]
}

/// Whom the third host knows by word.
fn told(cluster: &mut Cluster) -> usize {
    cluster.feed.log(8008).len()
}

#[test]
fn a_guest_that_makes_addresses_up_keeps_only_its_own_waiting() {
    let mut cluster = start(&three());
    cluster.pass(Duration::from_secs(1));
    for number in 0..400 {
        cluster.host("cn1").inject("a8", &bare(made_up(number), PHYS));
        cluster.host("cn1").settle();
    }
    cluster.reached("b8", &bare(VM1, PHYS));
    assert_eq!(told(&mut cluster), 101, "a hundred at once, and its neighbour's");
    assert_eq!(known(&mut cluster, "cn2", VM1), is("host cn1", "remote"));
    let now = cluster.now();
    let view = cluster.host("cn1").engine.view().status(now).feed.expect("segments are shared");
    assert_eq!(view.unsaid, 300);
    cluster.pass(Duration::from_secs(1));
    assert_eq!(told(&mut cluster), 201);
    // Another topology is no way around it that lasts.
    let description = cluster.description().clone();
    cluster.change(2, &description);
    cluster.pass(Duration::from_millis(200));
    let after = told(&mut cluster);
    assert!((301..=330).contains(&after), "{after}");
    cluster.pass(Duration::from_secs(2));
    assert_eq!(told(&mut cluster), 401);
}

/// Behind a trunk there are as many as there are.
#[test]
fn addresses_behind_a_trunk_are_said_at_once() {
    let mut cluster = start(&three());
    cluster.pass(Duration::from_secs(1));
    for number in 0..400 {
        cluster.host("gw1").inject("leaf1", &tagged(8, 0, made_up(number), BROADCAST));
        cluster.host("gw1").settle();
    }
    cluster.settle();
    assert_eq!(told(&mut cluster), 400);
}

/// What is gone before its turn comes is not said.
#[test]
fn addresses_that_a_guest_has_given_up_are_never_said() {
    let text = three().replace("name = \"a8\"", "name = \"a8\"\nmac-limit = 120");
    let mut cluster = start(&text);
    cluster.pass(Duration::from_secs(1));
    for number in 0..400 {
        cluster.host("cn1").inject("a8", &bare(made_up(number), PHYS));
        cluster.host("cn1").settle();
    }
    cluster.settle();
    let now = cluster.now();
    let view = cluster.host("cn1").engine.view().status(now).feed.expect("segments are shared");
    assert!(view.unsaid <= 120, "{view:?}");
    cluster.pass(Duration::from_secs(4));
    let view = cluster.host("cn2").engine.view().status(now).feed.expect("segments are shared");
    assert_eq!(view.addresses, 120);
}
