//! Files that the command line names and that cannot be read or made: each verb ends by one rule.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;

use nix::sys::stat::Mode;

use crate::process::{Gateway, finish};
use crate::words::{FRAME, command, program};

/// A verb that takes a file: its words, with `FILE` for the file of the case and `GATEWAY` for a right one, and how it ends where the file
/// cannot be read.
const READING: [(&[&str], i32); 9] = [
    (&["check", "FILE"], 78),
    (&["table", "FILE"], 78),
    (&["trace", "FILE", "--port", "leaf1", "--frame", FRAME], 78),
    (&["run", "FILE", "--host", "gw1", "--datapath", "fake", "--state", "STATE"], 78),
    (&["plan", "FILE"], 78),
    (&["apply", "FILE"], 78),
    (&["trace", "GATEWAY", "--port", "leaf1", "--pcap", "FILE"], 1),
    (&["trace", "GATEWAY", "--port", "leaf1", "--frame", "@FILE"], 1),
    (&["replay", "FILE"], 1),
];

/// One rule for all verbs: the configuration is bad (78), any other file is a failure (1), and neither is wrong usage.
#[test]
fn a_file_that_cannot_be_read_ends_every_verb_by_one_rule() {
    let gateway = Gateway::new();
    let path = |name: &str| gateway.path(name);
    fs::create_dir(path("directory")).unwrap();
    nix::unistd::mkfifo(&path("fifo"), Mode::S_IRWXU).unwrap();
    symlink(path("nowhere"), path("dangling")).unwrap();
    File::create(path("empty")).unwrap();
    let unreadable = [
        ("missing", "missing: does not exist"),
        ("directory", "directory: is a directory, allowed is a regular file"),
        ("fifo", "fifo: is a named pipe, allowed is a regular file"),
        ("dangling", "dangling: does not exist"),
        ("gateway.toml/x", "gateway.toml/x: cannot be read: a part of its path is not a directory"),
    ];
    for (words, code) in READING {
        for (name, said) in unreadable {
            let told = finish(&mut command(&program(), &gateway, words, &path(name)));
            assert_eq!((told.code, told.out.as_str()), (code, ""), "{words:?} {name}: {}", told.err);
            assert_eq!(told.err.lines().count(), 1, "{words:?} {name}: {}", told.err);
            assert!(told.err.contains(said), "{words:?} {name}: {}", told.err);
        }
        let told = finish(&mut command(&program(), &gateway, words, &path("empty")));
        assert_eq!(told.code, code, "{words:?} with an empty file: {}{}", told.out, told.err);
    }
    assert!(!path("state").exists(), "nothing was opened");
}

/// As a user who may not read it.
#[test]
fn a_file_that_one_may_not_read_is_no_other_end() {
    let gateway = Gateway::new();
    let (secret, program) = (gateway.path("secret"), gateway.path("l2gw"));
    fs::write(&secret, "x").unwrap();
    fs::set_permissions(&secret, PermissionsExt::from_mode(0o000)).unwrap();
    fs::set_permissions(gateway.path("gateway.toml"), PermissionsExt::from_mode(0o644)).unwrap();
    fs::set_permissions(gateway.path(""), PermissionsExt::from_mode(0o755)).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_l2gw"), &program).unwrap();
    for (words, code) in READING {
        let mut command = command(&program, &gateway, words, &secret);
        if nix::unistd::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY).current_dir("/");
        }
        let told = finish(&mut command);
        assert_eq!((told.code, told.out.as_str()), (code, ""), "{words:?}: {}", told.err);
        assert!(told.err.contains("secret: cannot be read: permission denied"), "{words:?}: {}", told.err);
    }
}

/// A file that is to be made and cannot be is a failure, too.
#[test]
fn a_file_that_cannot_be_made_is_a_failure() {
    let gateway = Gateway::new();
    for (option, path, said) in [
        ("--record", "nowhere/record", "nowhere/record: cannot be made: its directory does not exist"),
        ("--record", "gateway.toml", "gateway.toml: there is a file already, and it is not written over"),
        (
            "--record",
            "gateway.toml/x",
            "gateway.toml/x: cannot be made: a part of its path is not a directory",
        ),
    ] {
        let told = finish(&mut gateway.run(&[option, &gateway.path(path).display().to_string()]));
        assert_eq!(told.code, 1, "{}", told.err);
        assert!(told.err.lines().last().unwrap().contains(said), "{}", told.err);
    }
}

/// As the kernel has it where there is no user (`/proc/sys/kernel/overflowuid`).
const NOBODY: u32 = 65_534;
