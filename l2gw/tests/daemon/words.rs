//! What the command line is given: files that cannot be read, and words that a terminal must not be shown as they are.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use agent::engine::Settings;
use agent::record::{RecordFile, Recorder};
use nix::sys::stat::Mode;
use vlan::model::shown::is_shown;

use crate::process::{Gateway, Said, finish, l2gw};

const FRAME: &str = "ffffffffffff02000000000181000008080600";

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

fn command(program: &Path, gateway: &Gateway, words: &[&str], file: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_remove("NOTIFY_SOCKET").env_remove("L2GW_LOG");
    for word in words {
        command.arg(match *word {
            "FILE" => file.as_os_str().to_owned(),
            "@FILE" => in_file(file),
            "GATEWAY" => gateway.path("gateway.toml").into_os_string(),
            "STATE" => gateway.path("state").into_os_string(),
            word => word.into(),
        });
    }
    if ["run", "plan", "apply"].contains(&words[0]) {
        command.arg("--socket").arg(gateway.socket());
    }
    command
}

/// The word by which a frame is read from a file.
fn in_file(path: impl AsRef<OsStr>) -> OsString {
    joined("@", path)
}

fn joined(before: &str, behind: impl AsRef<OsStr>) -> OsString {
    let mut word = OsString::from(before);
    word.push(behind);
    word
}

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_l2gw"))
}

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

/// Ends a line, colours, turns the direction of writing round, is a control character of one byte in Latin 1, is no UTF-8.
const HOSTILE: [&[u8]; 5] = [
    b"a\nforged: b",
    b"a\x1b[31m\x1b]0;b\x07",
    "a\u{202e}b".as_bytes(),
    "a\u{9b}31mb".as_bytes(),
    b"a\xff\x1b\r",
];

fn assert_shown(told: &Said, what: &str) {
    for text in [&told.out, &told.err] {
        assert!(text.chars().all(|c| c == '\n' || is_shown(c)), "{what}: {text:?}");
        assert!(!text.lines().any(|line| line.starts_with("forged")), "{what}: {text}");
    }
}

#[test]
fn no_word_of_the_command_line_reaches_a_terminal_as_it_is() {
    let gateway = Gateway::new();
    for hostile in HOSTILE {
        let word = OsString::from_vec(hostile.to_vec());
        let made = gateway.path("").join(&word);
        for words in [
            &["check", "WORD"][..],
            &["table", "WORD"],
            &["trace", "WORD", "--port", "leaf1", "--vid", "8"],
            &["trace", "GATEWAY", "--port", "WORD", "--vid", "8"],
            &["trace", "GATEWAY", "--port", "leaf1", "--frame", "WORD"],
            &["trace", "GATEWAY", "--port", "leaf1", "--frame", "@WORD"],
            &["trace", "GATEWAY", "--port", "leaf1", "--pcap", "WORD"],
            &["trace", "GATEWAY", "--port", "leaf1", "--vid", "WORD"],
            &["trace", "GATEWAY", "--port", "leaf1", "--src", "WORD"],
            &["trace", "GATEWAY", "--port", "leaf1", "--vid", "8", "--learn", "WORD"],
            &["trace", "GATEWAY", "--port", "leaf1", "--vid", "8", "--designated", "WORD"],
            &["run", "WORD"],
            &["run", "GATEWAY", "--host", "WORD"],
            &["run", "GATEWAY", "--host", "gw1", "--device", "WORD"],
            &[
                "run",
                "GATEWAY",
                "--host",
                "gw1",
                "--datapath",
                "fake",
                "--state",
                "/proc/WORD",
                "--socket",
                "/proc/x",
            ],
            &[
                "run",
                "GATEWAY",
                "--host",
                "gw1",
                "--datapath",
                "fake",
                "--state",
                "STATE",
                "--socket",
                "/proc/WORD",
            ],
            &[
                "run",
                "GATEWAY",
                "--host",
                "gw1",
                "--datapath",
                "fake",
                "--state",
                "STATE",
                "--socket",
                "SOCKET",
                "--record",
                "/proc/WORD",
            ],
            &[
                "run",
                "GATEWAY",
                "--host",
                "gw1",
                "--datapath",
                "fake",
                "--state",
                "STATE",
                "--socket",
                "SOCKET",
                "--without-host",
                "WORD",
            ],
            &["show", "WORD"],
            &["show", "status", "--socket", "WORD"],
            &["show", "macs", "--mac", "WORD"],
            &["show", "ports", "--sort", "WORD", "--socket", "SOCKET"],
            &["plan", "WORD"],
            &["plan", "GATEWAY", "--socket", "WORD"],
            &["apply", "GATEWAY", "--socket", "WORD"],
            &["apply", "GATEWAY", "--against", "WORD"],
            &["flush", "macs", "--socket", "WORD"],
            &["unblock", "leaf1", "--socket", "WORD"],
            &["teardown", "--device", "WORD"],
            &["teardown", "--device=WORD"],
            &["replay", "WORD"],
            &["completions", "WORD"],
            &["WORD"],
        ] {
            let mut command = l2gw();
            for given in words {
                command.arg(match *given {
                    "WORD" => word.clone(),
                    "@WORD" => in_file(&word),
                    "--device=WORD" => joined("--device=", &word),
                    "/proc/WORD" => Path::new("/proc").join(&word).into_os_string(),
                    "GATEWAY" => gateway.path("gateway.toml").into_os_string(),
                    "STATE" => gateway.path("state").into_os_string(),
                    "SOCKET" => gateway.socket().into_os_string(),
                    given => given.into(),
                });
            }
            let told = finish(&mut command);
            assert_ne!(told.code, 0, "{words:?}: {}", told.out);
            assert_shown(&told, &format!("{words:?} {word:?}"));
        }
        // Files that are there and hold nothing of use.
        fs::write(&made, [0xd4, 0xc3, 0xb2, 0xa1, 0x1b]).unwrap();
        let given = |words: &[&str]| {
            let mut command = l2gw();
            command.args(words.iter().map(|word| match *word {
                "FILE" => made.clone().into_os_string(),
                "@FILE" => in_file(&made),
                "GATEWAY" => gateway.path("gateway.toml").into_os_string(),
                word => word.into(),
            }));
            finish(&mut command)
        };
        for words in [
            &["check", "FILE"][..],
            &["replay", "FILE"],
            &["trace", "GATEWAY", "--port", "leaf1", "--pcap", "FILE"],
            &["trace", "GATEWAY", "--port", "leaf1", "--frame", "@FILE"],
        ] {
            let told = given(words);
            assert_ne!(told.code, 0, "{words:?}: {}", told.out);
            assert_shown(&told, &format!("{words:?} {made:?}"));
        }
    }
}

/// What stands in files: a record of a host with such a name, a text that is no frame, a file that is no configuration.
#[test]
fn no_byte_of_a_file_reaches_a_terminal_as_it_is() {
    let gateway = Gateway::new();
    let path = gateway.path("file");
    let given = |words: &[&str]| {
        let told = finish(&mut command(&program(), &gateway, words, &path));
        assert_shown(&told, &format!("{words:?}"));
        told
    };
    for hostile in HOSTILE {
        for frame in [["0x0000:  ".as_bytes(), hostile].concat(), hostile.to_vec()] {
            fs::write(&path, frame).unwrap();
            assert_eq!(given(&["trace", "GATEWAY", "--port", "leaf1", "--frame", "@FILE"]).code, 1);
            assert_eq!(given(&["trace", "GATEWAY", "--port", "leaf1", "--pcap", "FILE"]).code, 1);
            assert_eq!(given(&["check", "FILE"]).code, 78);
        }
        let Ok(name) = std::str::from_utf8(hostile) else { continue };
        let _ = fs::remove_file(&path);
        drop(Recorder::begin(RecordFile::create(&path).unwrap(), &Settings::new(name)).unwrap());
        let told = given(&["replay", "FILE"]);
        assert!(told.code == 0 && told.out.starts_with("equal: 0 inputs of host a"), "{}", told.out);
    }
}

/// The log of a daemon whose file has such a name.
#[test]
fn no_name_of_a_file_reaches_the_log_as_it_is() {
    for hostile in HOSTILE {
        let mut gateway = Gateway::new();
        let file = gateway.path("").join(OsString::from_vec(hostile.to_vec()));
        fs::copy(gateway.path("gateway.toml"), &file).unwrap();
        let mut run = l2gw();
        run.arg("run").arg(&file).args(["--host", "gw1", "--datapath", "fake"]);
        run.arg("--state").arg(gateway.path("state")).arg("--socket").arg(gateway.socket());
        gateway.start_as(&mut run);
        fs::write(&file, "wrong").unwrap();
        gateway.signal(nix::sys::signal::Signal::SIGHUP);
        gateway.wait_for("the refusal", |gateway| gateway.log().contains("is not applied"));
        gateway.stop();
        let (code, out, err) = (0, String::new(), gateway.log());
        assert_shown(&Said { code, out, err }, &format!("{file:?}"));
    }
}

/// As the kernel has it where there is no user (`/proc/sys/kernel/overflowuid`).
const NOBODY: u32 = 65_534;
