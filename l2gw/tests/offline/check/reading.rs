//! Files that cannot be read, or not as text: one line each, and nothing waits for them.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use agent::reader::source;
use l2gw::cli::BAD_CONFIGURATION;

use super::checked;

#[test]
fn a_file_that_cannot_be_read_is_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("empty"), "").unwrap();
    fs::write(at("comments"), "# nothing\n\n").unwrap();
    fs::write(at("latin1"), b"[hosts.gw1]\n# caf\xe9\n").unwrap();
    fs::write(at("utf16"), b"\xff\xfe[\0").unwrap();
    fs::write(at("nul"), b"a = 1\0").unwrap();
    fs::File::create(at("large")).unwrap().set_len(source::MAX_BYTES + 1).unwrap();
    mkfifo(&at("fifo"), Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    std::os::unix::fs::symlink(at("loop"), at("loop")).unwrap();
    let empty = ": is empty, allowed is a configuration such as examples/gateway.example.toml";
    for (name, expected) in [
        ("missing", ": does not exist"),
        ("empty", empty),
        ("comments", empty),
        ("latin1", ":2:6: byte 0xe9 at offset 17 is not UTF-8, allowed is UTF-8 text only"),
        ("utf16", ":1:1: byte 0xff at offset 0 is not UTF-8, allowed is UTF-8 text only"),
        ("large", ": has 16777217 bytes or more, allowed are 16777216 (16 MiB)"),
        ("fifo", ": is a named pipe, allowed is a regular file"),
        ("socket", ": is a socket, allowed is a regular file"),
        (".", ": is a directory, allowed is a regular file"),
        ("empty/x", ": cannot be read: a part of its path is not a directory"),
        ("loop", ": cannot be read: too many levels of symbolic links (os error 40)"),
    ] {
        let path = at(name);
        let expected = format!("{}{expected}\n", path.display());
        assert_eq!(checked(&path, false), (BAD_CONFIGURATION, String::new(), expected));
    }
    let (code, out, err) = checked(&at("nul"), false);
    assert!(code == BAD_CONFIGURATION && out.is_empty() && err.contains(":1:5: syntax: "), "{err}");
    let device = Path::new("/dev/zero");
    let expected = "/dev/zero: is a device, allowed is a regular file\n".to_owned();
    assert_eq!(checked(device, false), (BAD_CONFIGURATION, String::new(), expected));
}

/// Files of /proc are regular and say that they have 0 bytes.
#[test]
fn a_file_without_a_known_size_is_read() {
    let (code, _, err) = checked(Path::new("/proc/version"), false);
    assert_eq!(code, BAD_CONFIGURATION);
    assert!(err.starts_with("/proc/version:1:7: syntax: "), "{err}");
}

#[test]
fn a_byte_order_mark_is_not_counted() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all("\u{feff}nodb = 1\n".as_bytes()).unwrap();
    let expected =
        format!("{}:1:1: nodb: unknown key, the nearest known one is \"nsdb\"\n", file.path().display());
    assert_eq!(checked(file.path(), false), (BAD_CONFIGURATION, String::new(), expected));
}
