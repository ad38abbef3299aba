//! A disk that is full or cannot be written: named errors, and the store goes on when there is space again.
//!
//! Each test mounts a small tmpfs in a mount namespace of its own thread, which needs root; without it they say so.

use std::fs;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nsdb::{Local, StoreError};

use crate::content::open;

/// Runs `test` on a thread that sees a tmpfs of `size` at the directory it is given.
fn on_small_disk(size: &'static str, test: impl FnOnce(&Path) + Send + 'static) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    // The namespace, and the mount with it, ends with the thread and those it started.
    let outcome = std::thread::spawn(move || match mount_small_disk(&path, size) {
        Err(Errno::EPERM) => println!("skipped: mounting a tmpfs needs root"),
        Err(error) => panic!("cannot mount a tmpfs: {error}"),
        Ok(()) => test(&path),
    });
    outcome.join().unwrap();
}

fn mount_small_disk(path: &Path, size: &str) -> nix::Result<()> {
    const NONE: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    mount(Some("nsdb"), path, Some("tmpfs"), MsFlags::empty(), Some(format!("size={size}").as_str()))
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn a_full_disk_is_named_and_forgiven() {
    on_small_disk("8m", |disk| {
        let ballast = disk.join("ballast");
        fs::write(&ballast, vec![1; 3 << 20]).unwrap();
        let state = disk.join("state");
        let store = open(&state).unwrap();
        let (mut kept, mut refusal) = (0_u8, None);
        while refusal.is_none() {
            match block_on(store.save(&format!("key/{kept}"), vec![kept; 200_000])) {
                Ok(()) => kept += 1,
                Err(error) => refusal = Some(error),
            }
            assert!(kept < 100, "20 MB fit on a disk of 8 MB");
        }
        let error = refusal.unwrap();
        assert!(error.is_retryable() && !error.is_corrupt(), "{error:?}");
        let text = error.to_string();
        assert!(
            text.contains(&format!("{}/state.redb: no space left: free some", state.display())),
            "{text}"
        );
        assert!(kept > 3, "only {kept} values fit");
        let while_full = block_on(store.load("key/0"));
        println!(
            "{kept} values fit; then: {text}; reading while full: {:?}",
            while_full.map(|v| v.map(|v| v.len()))
        );

        let again = block_on(store.save("more", vec![1; 400_000])).unwrap_err();
        assert!(again.is_retryable() && again.to_string().contains("no space left"), "{again}");

        fs::remove_file(&ballast).unwrap();
        block_on(store.save("more", vec![1; 400_000])).unwrap();
        let check = |store: &nsdb::Embedded| {
            for n in 0..kept {
                let value = block_on(store.load(&format!("key/{n}"))).unwrap();
                assert!(value == Some(vec![n; 200_000]), "value {n} was acknowledged and is not there");
            }
            assert_eq!(block_on(store.load("more")).unwrap().map(|v| v.len()), Some(400_000));
        };
        check(&store);
        store.close().unwrap();
        check(&open(&state).unwrap());
    });
}

#[test]
fn a_disk_that_is_full_from_the_start_is_named() {
    on_small_disk("1m", |disk| {
        fs::write(disk.join("ballast"), vec![1; (1 << 20) - 16_384]).unwrap();
        let error = open(&disk.join("state")).unwrap_err();
        assert!(matches!(error, StoreError::NoSpace { .. }), "{error:?}");
        fs::remove_file(disk.join("ballast")).unwrap();
        open(&disk.join("state")).unwrap();
    });
}

#[test]
fn a_read_only_disk_is_named() {
    on_small_disk("16m", |disk| {
        let state = disk.join("state");
        drop(open(&state).unwrap());
        let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(None::<&str>, disk, None::<&str>, read_only, None::<&str>).unwrap();
        let text = open(&state).unwrap_err().to_string();
        let expected = "/holder: read-only file system: the state directory must be writable";
        assert_eq!(text, format!("cannot open {}{expected}", state.display()));
        let text = open(&disk.join("new")).unwrap_err().to_string();
        assert!(text.contains("read-only file system"), "{text}");
    });
}

#[test]
fn a_path_that_is_no_directory_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), b"").unwrap();
    let path = dir.path().join("file/state");
    let text = open(&path).unwrap_err().to_string();
    assert_eq!(text, format!("cannot create state directory {}: not a directory", path.display()));
}
