//! A gateway as a process, in a directory of its own that goes with it.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// One trunk with VLANs 5 and 8, two VMs.
pub(crate) const FILE: &str = r#"[hosts.gw1]

[bridges.dc1]
kind = "vlan-aware"
fabric = "rack1"

[bridges.vub5]
kind = "vlan-unaware"

[bridges.vub8]
kind = "vlan-unaware"

[[vlans]]
bridge = "dc1"
vid = 5
to = "vub5"

[[vlans]]
bridge = "dc1"
vid = 8
to = "vub8"

[[trunks]]
name = "leaf1"
bridge = "dc1"
host = "gw1"
link = "eth2"

[[ports]]
name = "vm5"
bridge = "vub5"
host = "gw1"
link = "tap5"

[[ports]]
name = "vm8"
bridge = "vub8"
host = "gw1"
link = "tap8"
macs = ["02:00:00:00:00:08"]
"#;

/// The same with VLAN 9 in the place of VLAN 8.
pub(crate) fn file_with_vlan_9() -> String {
    FILE.replace("vid = 8", "vid = 9")
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// What it said on standard output, if it was done and had nothing to complain about.
    pub(crate) fn done(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
        self.out
    }

    /// Why it failed, which was asked for as JSON: nothing but one object, at least at the end.
    pub(crate) fn failure(&self) -> String {
        assert_eq!(self.err, "", "{}", self.out);
        let last = self.out.lines().last().unwrap_or_default();
        match serde_json::from_str::<Value>(last) {
            Ok(Value::Object(said)) if said.len() == 1 => said["error"].as_str().unwrap().to_owned(),
            other => panic!("{other:?}: {}", self.out),
        }
    }

    /// What it said on standard output, as JSON.
    pub(crate) fn json(self) -> Value {
        let out = self.done();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }
}

/// A directory with a configuration file in it, and perhaps a daemon.
pub(crate) struct Gateway {
    directory: TempDir,
    child: Option<Child>,
    socket: &'static str,
}

impl Gateway {
    /// No daemon yet.
    pub(crate) fn new() -> Gateway {
        let gateway = Gateway { directory: tempfile::tempdir().unwrap(), child: None, socket: "l2gw.sock" };
        gateway.write(FILE);
        gateway
    }

    /// With a daemon that has all its ports up.
    pub(crate) fn running() -> Gateway {
        let mut gateway = Gateway::new();
        gateway.start(&[]);
        gateway
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path(self.socket)
    }

    /// Gives the daemon another socket, of a path in the directory.
    pub(crate) fn set_socket(&mut self, path: &'static str) {
        self.socket = path;
    }

    pub(crate) fn write(&self, text: &str) {
        fs::write(self.path("gateway.toml"), text).unwrap();
    }

    /// The names of what is in the directory.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The command that runs the daemon; `extra` comes last.
    pub(crate) fn run(&self, extra: &[&str]) -> Command {
        let mut command = l2gw();
        command.arg("run").arg(self.path("gateway.toml")).args(["--host", "gw1", "--datapath", "fake"]);
        command.arg("--state").arg(self.path("state")).arg("--socket").arg(self.socket()).args(extra);
        command
    }

    /// Starts the daemon and waits until all ports are up.
    pub(crate) fn start(&mut self, extra: &[&str]) {
        let mut command = self.run(extra);
        self.start_as(&mut command);
    }

    /// Starts the daemon and waits for nothing.
    pub(crate) fn launch(&mut self, extra: &[&str]) {
        let mut command = self.run(extra);
        self.launch_as(&mut command);
    }

    /// Starts a daemon and waits for nothing.
    pub(crate) fn launch_as(&mut self, command: &mut Command) {
        assert!(self.child.is_none(), "it runs already");
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        self.child = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    /// Starts a daemon and waits until all ports are up.
    pub(crate) fn start_as(&mut self, command: &mut Command) {
        self.launch_as(command);
        self.wait_for("all ports up", |gateway| {
            let said = gateway.ask(&["show", "status", "--json"]);
            said.code == 0 && {
                let status = said.json();
                status["settled"] == true && status["ports_up"] == status["ports"] && status["ports"] != 0
            }
        });
    }

    /// A verb with this gateway's socket.
    pub(crate) fn ask(&self, words: &[&str]) -> Said {
        finish(l2gw().args(words).arg("--socket").arg(self.socket()))
    }

    /// A verb with this gateway's file and socket.
    pub(crate) fn ask_about_file(&self, verb: &str, words: &[&str]) -> Said {
        let file = self.path("gateway.toml");
        finish(l2gw().arg(verb).arg(file).args(words).arg("--socket").arg(self.socket()))
    }

    pub(crate) fn revision(&self) -> u64 {
        self.ask(&["show", "status", "--json"]).json()["revision"].as_u64().unwrap()
    }

    /// How many files and sockets the daemon has open.
    pub(crate) fn open_files(&self) -> usize {
        let child = self.child.as_ref().unwrap();
        fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap().count()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().unwrap();
        kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
    }

    /// What the kernel says of the process: a line of proc_pid_status(5).
    pub(crate) fn kernel_says(&self, what: &str) -> String {
        let status = format!("/proc/{}/status", self.child.as_ref().unwrap().id());
        let status = fs::read_to_string(status).unwrap();
        let mut lines = status.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(name, _)| *name == what).unwrap().1.trim().to_owned()
    }

    /// Starts the daemon and waits until it listens to signals, and for nothing else.
    pub(crate) fn launch_until_it_listens(&mut self, extra: &[&str]) {
        self.launch(extra);
        let caught =
            [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].map(|signal| 1_u64 << (signal as u64 - 1));
        self.wait_for("signals to be caught", |gateway| {
            let mask = u64::from_str_radix(&gateway.kernel_says("SigCgt"), 16).unwrap();
            caught.iter().all(|bit| mask & bit != 0)
        });
    }

    /// Waits for the daemon's end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            if Instant::now() > deadline {
                let _ = child.kill();
                let _ = child.wait();
                panic!("the daemon does not end; it said\n{}", self.log());
            }
            std::thread::sleep(PAUSE);
        }
    }

    pub(crate) fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        let status = self.ended();
        assert_eq!(status.code(), Some(0), "{status}\n{}", self.log());
    }

    /// Waits for something that must come.
    pub(crate) fn wait_for(&self, what: &str, is_so: impl Fn(&Gateway) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(
                Instant::now() < deadline,
                "waited {PATIENCE:?} for {what}; the daemon said\n{}",
                self.log()
            );
            std::thread::sleep(PAUSE);
        }
    }

    /// A connection to the daemon.
    pub(crate) fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Status and body of the answer to a request.
    pub(crate) fn http(&self, method: &str, path: &str, body: &[u8]) -> (u16, String) {
        let mut stream = self.connect();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        // A daemon that refuses by the head does not read the rest.
        let _ = stream.write_all(body);
        answer(&mut stream)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Reads an answer to the end of the connection: status and body.
pub(crate) fn answer(stream: &mut impl Read) -> (u16, String) {
    let mut bytes = Vec::new();
    // The peer may have closed with bytes of ours unread: then the end is an error, and the answer there all the same.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer but {text:?}"));
    let status =
        head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{head}"));
    (status, body.to_owned())
}

/// The program under test.
pub(crate) fn l2gw() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_l2gw"));
    command.env_remove("NOTIFY_SOCKET").env_remove("L2GW_LOG");
    command
}

/// Runs a command to its end.
pub(crate) fn finish(command: &mut Command) -> Said {
    let mut child = spawned(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let err = std::thread::spawn(move || read(err));
    let out = std::thread::spawn(move || read(out));
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{command:?} does not end");
        }
        std::thread::sleep(PAUSE);
    };
    let code = status.code().unwrap_or_else(|| panic!("{command:?}: {status}"));
    Said { code, out: out.join().unwrap(), err: err.join().unwrap() }
}

/// Of a program that was copied just now, another test's child may still have the copy open for writing (ETXTBSY) until it executes its own.
fn spawned(command: &mut Command) -> Child {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match command.spawn() {
            Err(error)
                if error.kind() == std::io::ErrorKind::ExecutableFileBusy && Instant::now() < deadline =>
            {
                std::thread::sleep(PAUSE);
            }
            spawned => return spawned.unwrap(),
        }
    }
}

fn read(mut source: impl Read) -> String {
    let mut text = String::new();
    source.read_to_string(&mut text).unwrap();
    text
}

/// Runs the program with these words and a file that is not of any gateway's directory.
pub(crate) fn with_file(verb: &str, file: &Path, words: &[&str]) -> Said {
    finish(l2gw().arg(verb).arg(file).args(words))
}

const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(10);
