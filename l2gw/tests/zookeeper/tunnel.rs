//! The tunnel of docs/operations/zookeeper.md, as its files have it: what is said on the way with it, and without.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use servers::{Ensemble, Options};

use crate::{GATEWAY, file, l2gw, login};

#[test]
fn who_listens_on_the_way_reads_the_password_unless_there_is_a_tunnel() {
    if !servers::are_there() || !is_stunnel_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let auth = login(folder.path(), GATEWAY);
    let init = |servers: &str| {
        let file = file(folder.path(), servers, Some(&auth));
        l2gw(&["store", "init", file.to_str().unwrap()])
    };
    let listener = Listener::before(ensemble.servers()[0].address());
    let (code, _, err) = init(&listener.address.to_string());
    assert_eq!(code, 0, "{err}");
    assert!(listener.has_heard(GATEWAY), "without a tunnel the password is there to be read");

    let made = operations().join("stunnel-certificates.sh");
    let made = Command::new(made).args(["zk1", "gw1"]).current_dir(folder.path()).status().unwrap();
    assert!(made.success());
    let (at_server, at_host) = (free(), free());
    let listener = Listener::before(at_server);
    let server = [("192.0.2.21:2281", at_server), ("127.0.0.1:2181", ensemble.servers()[0].address())];
    let _server = Tunnel::start(folder.path(), "stunnel-server.conf", &server, &[], at_server);
    let host = [("192.0.2.21:2281", listener.address), ("127.0.0.1:2181", at_host)];
    let away = [("127.0.0.1:2182", free()), ("127.0.0.1:2183", free())];
    let tunnel = Tunnel::start(folder.path(), "stunnel-host.conf", &[host, away].concat(), &[], at_host);
    let (code, _, err) = init(&at_host.to_string());
    assert!(code == 1 && err.contains("a database is there already"), "{err}");
    assert!(!listener.has_heard(GATEWAY) && !listener.has_heard("l2gw"), "it is in clear in the tunnel");
    drop(tunnel);

    // Without a certificate of the authority's nobody gets through.
    let (at_stranger, none) = (free(), ["cert", "key"]);
    let host = [("192.0.2.21:2281", at_server), ("127.0.0.1:2181", at_stranger)];
    let _stranger =
        Tunnel::start(folder.path(), "stunnel-host.conf", &[host, away].concat(), &none, at_stranger);
    let (code, _, err) = init(&at_stranger.to_string());
    assert!(code == 1 && err.contains(" answers"), "{err}");
}

fn is_stunnel_there() -> bool {
    let is_there = Path::new(STUNNEL).exists();
    let may_skip = std::env::var_os("L2GW_ALLOW_SKIP").is_some_and(|value| value == "1");
    assert!(
        is_there || may_skip,
        "{STUNNEL} is missing: `make setup` installs it; L2GW_ALLOW_SKIP=1 leaves this out"
    );
    is_there
}

fn operations() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations")
}

/// An address where nobody listens now.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A tunnel's end by a file of the guide; it ends with this.
struct Tunnel(Child);

impl Tunnel {
    /// `addresses` are put in place of the file's, and lines with the keys of `without` are left out.
    fn start(
        folder: &Path,
        name: &str,
        addresses: &[(&str, SocketAddr)],
        without: &[&str],
        at: SocketAddr,
    ) -> Tunnel {
        let text = fs::read_to_string(operations().join(name)).unwrap();
        let is_kept = |line: &&str| {
            !line.starts_with(';') && !without.iter().any(|key| line.starts_with(&format!("{key} =")))
        };
        let mut text: String = text.lines().filter(is_kept).flat_map(|line| [line, "\n"]).collect();
        for (written, address) in addresses {
            assert!(text.contains(written), "{name} has no {written}");
            text = text.replace(written, &address.to_string());
        }
        text = text.replace("/etc/stunnel", folder.to_str().unwrap());
        let path = folder.join(format!("{}-{name}", at.port()));
        fs::write(&path, text).unwrap();
        let log = fs::File::create(path.with_extension("log")).unwrap();
        let child =
            Command::new(STUNNEL).arg(&path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let tunnel = Tunnel(child.unwrap());
        let start = Instant::now();
        while TcpStream::connect(at).is_err() {
            let log = || fs::read_to_string(path.with_extension("log")).unwrap_or_default();
            assert!(start.elapsed() < Duration::from_secs(20), "nobody listens at {at}: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        tunnel
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Somebody on the way, who passes on what he hears, and keeps it.
struct Listener {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Listener {
    fn before(server: SocketAddr) -> Listener {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, heard) = (listener.local_addr().unwrap(), Arc::default());
        let keep = Arc::clone(&heard);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(server) else { continue };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let keep = Arc::clone(&keep);
                    std::thread::spawn(move || pass(from, to, &keep));
                }
            }
        });
        Listener { address, heard }
    }

    /// Whether a text came by; that something did is seen to.
    fn has_heard(&self, text: &str) -> bool {
        let heard = self.heard.lock().unwrap();
        assert!(heard.len() > 100, "{} bytes came by", heard.len());
        heard.windows(text.len()).any(|part| part == text.as_bytes())
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, keep: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4_096];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        keep.lock().unwrap().extend_from_slice(&buffer[..read]);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

const STUNNEL: &str = "/usr/bin/stunnel4";
