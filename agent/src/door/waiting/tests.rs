//! A revision that has to be confirmed, at the door.

use std::path::PathBuf;
use std::sync::Arc;

use super::*;
use crate::door::tests::{door, network, proposal};
use crate::door::{AtStart, FileMark};
use crate::event::Event;
use crate::tree::Origin;

fn with_ports(ports: &[&str]) -> Proposal {
    proposal(network(&[("gw1", ports)]))
}

fn to_be_confirmed(ports: &[&str]) -> Proposal {
    Proposal { confirm_within: ConfirmWithin::try_from(60).ok(), ..with_ports(ports) }
}

async fn refused(door: &Door, proposal: Proposal) -> String {
    let error = door.publish(proposal).await.unwrap_err();
    assert!(!error.is_conflict() && error.is_for_wait() != error.is_wrong(), "{error}");
    error.to_string()
}

async fn confirmed(door: &Door, revision: Option<u64>) -> Result<u64, String> {
    let confirmation = Confirmation { revision, for_whom: Some("ann".to_owned()) };
    let confirmed = door.confirm(confirmation, "root".to_owned()).await;
    confirmed.map(|accepted| accepted.revision).map_err(|error| error.to_string())
}

#[tokio::test]
async fn nothing_but_a_rollback_comes_on_top_of_what_waits() {
    let (_store, door) = door();
    let first =
        "this would be the first revision, so that there is nothing to go back to: do this without --confirm";
    assert_eq!(refused(&door, to_be_confirmed(&["a"])).await, first);
    door.publish(with_ports(&["a"])).await.unwrap();
    assert_eq!(door.publish(to_be_confirmed(&["a", "b"])).await.unwrap().revision, 2);
    let waits = "revision 2 of test waits for its confirmation, 60 s at most from when hosts saw it: `l2gw confirm` keeps it, `l2gw rollback 1` \
                 ends it now";
    for next in [
        with_ports(&["a", "c"]),
        with_ports(&["a", "b"]),
        to_be_confirmed(&["a", "b"]),
        Proposal { origin: Some(Origin::cli()), ..with_ports(&["a", "b", "c"]) },
        // As it is itself: that would not end its wait.
        Proposal { again: Some(2), ..with_ports(&["a", "b"]) },
        // Called the revision before, and something else.
        Proposal { again: Some(1), ..with_ports(&["a", "c"]) },
    ] {
        assert_eq!(refused(&door, next).await, waits);
    }
    // As one that waits itself, behind which what waits now would come back.
    let tried = Proposal { again: Some(1), ..to_be_confirmed(&["a"]) };
    let without = "`l2gw rollback 1` without --confirm ends it now";
    assert_eq!(refused(&door, tried).await, waits.replace("`l2gw rollback 1` ends it now", without));
    let back = Proposal { again: Some(1), ..with_ports(&["a"]) };
    assert_eq!(door.publish(back).await.unwrap().revision, 3);
    assert_eq!(door.publish(with_ports(&["a", "c"])).await.unwrap().revision, 4);
}

#[tokio::test]
async fn a_confirmation_ends_the_wait_once_and_says_what_is_there_else() {
    let (store, door) = door();
    let none = "nothing waits for a confirmation: there is no revision yet";
    assert_eq!(confirmed(&door, None).await, Err(none.to_owned()));
    door.publish(with_ports(&["a"])).await.unwrap();
    let before = topology::newest(&store).await.unwrap().unwrap().stored.unwrap();
    door.publish(to_be_confirmed(&["a", "b"])).await.unwrap();
    let waiting = topology::newest(&store).await.unwrap().unwrap();
    let other = "revision 1 does not wait for a confirmation: revision 2 does, by test: ";
    assert_eq!(confirmed(&door, Some(1)).await, Err(other.to_owned()));
    assert_eq!(confirmed(&door, Some(2)).await, Ok(3));
    let newest = topology::newest(&store).await.unwrap().unwrap();
    assert_eq!((newest.confirm_within, newest.stored.clone()), (None, waiting.stored));
    assert_ne!(newest.stored.unwrap(), before);
    let there =
        "nothing waits for a confirmation: revision 3 is the newest, by root: confirms revision 2, for ann";
    for revision in [None, Some(2)] {
        assert_eq!(confirmed(&door, revision).await, Err(there.to_owned()));
    }
    assert_eq!(door.publish(with_ports(&["a"])).await.unwrap().revision, 4);
}

/// A daemon that did not start for what waits would forward nothing at all.
#[tokio::test]
async fn a_start_keeps_what_waits_whatever_its_file_says() {
    let (store, _) = door();
    let path: PathBuf = "/x/gateway.toml".into();
    let door = Door::new(Arc::clone(&store), "gw1", Some(path.clone()));
    let of_file = |proposal: Proposal, digest: &str| {
        let file = Some(FileMark { path: path.clone(), digest: digest.to_owned() });
        Proposal { file, ..proposal }
    };
    let start = async |ports: &[&str], digest: &str| {
        door.publish_at_start(of_file(with_ports(ports), digest)).await.unwrap()
    };
    assert!(matches!(start(&["a"], "1").await, AtStart::InForce(_)));
    door.publish(of_file(to_be_confirmed(&["b"]), "2")).await.unwrap();
    assert_eq!(start(&["b"], "2").await, AtStart::Kept { revision: 2 }, "the file that waits");
    let told = crate::journal::read(&store, 9).await.unwrap();
    assert!(told.is_empty(), "{told:?}");
    assert_eq!(start(&["c"], "3").await, AtStart::Kept { revision: 2 }, "another");
    let told = crate::journal::read(&store, 9).await.unwrap();
    let [Event::FileRefused { why, .. }] =
        &told.iter().map(|told| told.event.clone()).collect::<Vec<_>>()[..]
    else {
        panic!("{told:?}")
    };
    assert!(why.starts_with("revision 2 of test waits for its confirmation"), "{why}");
    confirmed(&door, None).await.unwrap();
    assert!(matches!(start(&["c"], "3").await, AtStart::InForce(accepted) if accepted.revision == 4));
}
