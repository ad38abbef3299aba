//! Whose the state directory is: what others could change is refused, no name leads out of it, and what is stored where nobody finds it
//! again is not acknowledged.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::sys::stat::Mode;
use nsdb::{EntryKind, Journal, Local, NewEntry, StoreError, WallTime};

use crate::content::open;

const FILES: [&str; 3] = ["state.redb", "state.commit", "holder"];

/// A state directory in which a store was, and that keeps it.
fn used() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    open(&state).unwrap().close().unwrap();
    (dir, state)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn refused(state: &Path) -> String {
    let error = open(state).unwrap_err();
    assert!(matches!(error, StoreError::Exposed { .. }) && !error.is_retryable(), "{error:?}");
    error.to_string()
}

#[test]
fn a_directory_that_others_may_change_is_refused_with_the_mode_that_is_right() {
    let (_dir, state) = used();
    for mode in [0o777, 0o770, 0o702, 0o1777] {
        set_mode(&state, mode);
        let said = refused(&state);
        let expected =
            format!("has mode {mode:04o}, so that others can change it: chmod 0700 {}", state.display());
        assert!(said.contains(&expected), "{said}");
    }
    for mode in [0o700, 0o755, 0o750] {
        set_mode(&state, mode);
        open(&state).unwrap();
    }
}

#[test]
fn a_file_that_others_may_change_is_refused_with_the_mode_that_is_right() {
    for name in FILES {
        let (_dir, state) = used();
        let file = state.join(name);
        set_mode(&file, 0o666);
        let said = refused(&state);
        assert!(
            said.contains("has mode 0666") && said.contains(&format!("chmod 0600 {}", file.display())),
            "{said}"
        );
        set_mode(&file, 0o600);
        open(&state).unwrap();
    }
}

#[test]
fn no_name_of_the_directory_is_followed_out_of_it() {
    for name in FILES {
        let (dir, state) = used();
        let (file, target) = (state.join(name), dir.path().join("precious"));
        // What it leads to is what would be there, so that only the name is wrong.
        fs::rename(&file, &target).unwrap();
        let content = fs::read(&target).unwrap();
        symlink(&target, &file).unwrap();
        let said = refused(&state);
        assert!(said.contains(&format!("{} is a symbolic link", file.display())), "{said}");
        assert!(fs::read(&target).unwrap() == content, "{name}: the target was written");
        fs::remove_file(&file).unwrap();
        fs::hard_link(&target, &file).unwrap();
        assert!(refused(&state).contains("hard link"), "{name}");
        assert!(fs::read(&target).unwrap() == content, "{name}: the target was written");
        fs::remove_file(&target).unwrap();
        open(&state).unwrap();
    }
}

#[test]
fn a_link_to_nowhere_makes_nothing_there() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    for name in ["state.commit", "holder"] {
        fs::create_dir_all(&state).unwrap();
        symlink(dir.path().join("made"), state.join(name)).unwrap();
        assert!(refused(&state).contains("symbolic link"), "{name}");
        assert!(!dir.path().join("made").exists(), "{name}");
        fs::remove_dir_all(&state).unwrap();
    }
    // Where there is no state file yet, one is made beside and takes the name.
    fs::create_dir_all(&state).unwrap();
    for name in ["state.redb", "state.redb.new"] {
        symlink(dir.path().join("made"), state.join(name)).unwrap();
    }
    open(&state).unwrap();
    assert!(!dir.path().join("made").exists());
    assert!(!state.join("state.redb").is_symlink());
}

#[test]
fn a_fifo_is_refused_and_waits_for_nobody() {
    for name in FILES {
        let (_dir, state) = used();
        fs::remove_file(state.join(name)).unwrap();
        nix::unistd::mkfifo(&state.join(name), Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        assert!(refused(&state).contains("is no regular file"), "{name}");
    }
}

#[tokio::test]
async fn what_is_removed_under_it_takes_no_more_and_says_so() {
    for name in FILES {
        let (dir, state) = used();
        let (file, aside) = (state.join(name), dir.path().join("aside"));
        let store = open(&state).unwrap();
        store.save("kept", vec![1]).await.unwrap();
        fs::rename(&file, &aside).unwrap();
        let error = store.save("lost", vec![2]).await.unwrap_err();
        let expected = format!("{} was removed or replaced while it was in use", file.display());
        assert!(error.to_string().contains(&expected), "{error}");
        let entry =
            NewEntry { kind: EntryKind::new("event").unwrap(), at: WallTime::from_millis(1), body: vec![3] };
        assert!(store.append(vec![entry]).await.is_err(), "{name}: the journal too");
        // A file of the same name is not the same file.
        fs::copy(&aside, &file).unwrap();
        assert!(store.save("lost", vec![2]).await.is_err(), "{name}");
        fs::rename(&aside, &file).unwrap();
        store.save("again", vec![4]).await.unwrap();
        drop(store);
        let store = open(&state).unwrap();
        assert_eq!(store.keys("").await.unwrap(), ["again", "kept"], "{name}");
    }
}

#[tokio::test]
async fn a_directory_that_is_gone_is_made_by_the_next_opening_and_not_before() {
    let (_dir, state) = used();
    let store = open(&state).unwrap();
    fs::remove_dir_all(&state).unwrap();
    assert!(store.save("lost", vec![2]).await.is_err());
    assert!(!state.exists());
    drop(store);
    let store = open(&state).unwrap();
    store.save("kept", vec![1]).await.unwrap();
}
