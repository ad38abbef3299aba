//! Words of the command line, and bytes of files, that a terminal must not be shown as they are.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use agent::engine::Settings;
use agent::record::{RecordFile, Recorder};
use vlan::model::shown::is_shown;

use crate::process::{Gateway, Said, finish, l2gw};

pub(crate) const FRAME: &str = "ffffffffffff02000000000181000008080600";

/// A verb with these words: FILE stands for the file of the case, GATEWAY for a right one.
pub(crate) fn command(program: &Path, gateway: &Gateway, words: &[&str], file: &Path) -> Command {
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

/// The program under test, where it was built.
pub(crate) fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_l2gw"))
}

/// Command lines with a hostile word in them; each fails.
const GIVEN: &str = "\
check WORD
table WORD
trace WORD --port leaf1 --vid 8
trace GATEWAY --port WORD --vid 8
trace GATEWAY --port leaf1 --frame WORD
trace GATEWAY --port leaf1 --frame @WORD
trace GATEWAY --port leaf1 --pcap WORD
trace GATEWAY --port leaf1 --vid WORD
trace GATEWAY --port leaf1 --src WORD
trace GATEWAY --port leaf1 --vid 8 --learn WORD
trace GATEWAY --port leaf1 --vid 8 --designated WORD
run WORD
run GATEWAY --host WORD
run GATEWAY --host gw1 --device WORD
run GATEWAY --host gw1 --datapath fake --state /proc/WORD --socket /proc/x
run GATEWAY --host gw1 --datapath fake --state STATE --socket /proc/WORD
run GATEWAY --host gw1 --datapath fake --state STATE --socket SOCKET --record /proc/WORD
run GATEWAY --host gw1 --datapath fake --state STATE --socket SOCKET --without-host WORD
show WORD
show status --socket WORD
show macs --mac WORD
show ports --sort WORD --socket SOCKET
plan WORD
plan GATEWAY --socket WORD
apply GATEWAY --socket WORD
apply GATEWAY --against WORD
flush macs --socket WORD
unblock leaf1 --socket WORD
teardown --device WORD
teardown --device=WORD
replay WORD
completions WORD
WORD
";

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
        for line in GIVEN.lines() {
            let mut command = l2gw();
            for given in line.split_whitespace() {
                command.arg(match given {
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
            assert_ne!(told.code, 0, "{line}: {}", told.out);
            assert_shown(&told, &format!("{line} {word:?}"));
        }
        // Files that are there and hold nothing of use.
        fs::write(&made, [0xd4, 0xc3, 0xb2, 0xa1, 0x1b]).unwrap();
        let given = |words: &[&str]| finish(&mut command(&program(), &gateway, words, &made));
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
        let state = gateway.path("").join(joined("state-", OsStr::from_bytes(hostile)));
        let mut run = l2gw();
        run.arg("run").arg(&file).args(["--host", "gw1", "--datapath", "fake"]);
        run.arg("--state").arg(&state).arg("--socket").arg(gateway.socket());
        gateway.start_as(&mut run);
        // What the store says of its files.
        fs::rename(state.join("state.redb"), gateway.path("aside")).unwrap();
        fs::write(&file, fs::read_to_string(&file).unwrap().replace("vid = 8", "vid = 9")).unwrap();
        gateway.signal(nix::sys::signal::Signal::SIGHUP);
        gateway.wait_for("a vain try", |gateway| gateway.log().contains("it is tried again"));
        fs::rename(gateway.path("aside"), state.join("state.redb")).unwrap();
        gateway.wait_for("revision 2", |gateway| gateway.revision() == 2);
        fs::write(&file, "wrong").unwrap();
        gateway.signal(nix::sys::signal::Signal::SIGHUP);
        gateway.wait_for("the refusal", |gateway| gateway.log().contains("is not applied"));
        gateway.stop();
        let (code, out, err) = (0, String::new(), gateway.log());
        assert_shown(&Said { code, out, err }, &format!("{file:?}"));
    }
}
