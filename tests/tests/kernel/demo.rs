//! The daemon and the demo as their users start them, on a real kernel.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use agent::view::StatusView;
use l2gw::cli::client::Client;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::lab::gateway::{Gateway, program};
use tests::lab::netns::Netns;
use tests::lab::veth;

tests::kernel_tests! {
    group demo;

    fn the_demo_comes_out_as_expected_and_leaves_nothing() {
        let demo = demo(Stdio::piped());
        let id = demo.id();
        let output = demo.wait_with_output().unwrap();
        let said = text(&output);
        assert_eq!(output.status.code(), Some(0), "{said}");
        let last = said.lines().last().unwrap();
        let checks = said.lines().filter(|line| line.ends_with("[as expected]")).count();
        assert_eq!(last, format!("demo: {checks} of {checks} as expected"), "{said}");
        assert!(checks >= 15, "{said}");
        assert_eq!(left_over(id), Vec::<PathBuf>::new());
    }

    fn an_interrupted_demo_leaves_nothing() {
        let mut demo = Killed(demo(Stdio::null()));
        let id = demo.0.id();
        wait_for("all that it makes", || left_over(id).len() == 7);
        kill(pid(&demo.0), Signal::SIGTERM).unwrap();
        assert_eq!(demo.0.wait().unwrap().code(), Some(1));
        assert_eq!(left_over(id), Vec::<PathBuf>::new());
    }

    fn one_capability_is_enough() {
        let (netns, directory) = (Netns::new("gw"), tempfile::tempdir().unwrap());
        let (file, state, socket) = (directory.path().join("file"), directory.path().join("state"), directory.path().join("socket"));
        std::fs::write(&file, FILE).unwrap();
        let vm = Netns::new("vm");
        veth::connect((&netns, "tap1"), (&vm, "eth0"));
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-all,+net_admin", "--inh-caps=-all", "--no-new-privs"]).arg(program());
        command.arg("run").arg(file).args(["--host", "gw1", "--state"]).arg(state).arg("--socket").arg(&socket);
        let mut daemon = Killed(netns.run(move || command.stdin(Stdio::null()).spawn()).unwrap());
        let client = Client::new(&socket);
        wait_for("the daemon to settle", || client.read::<StatusView>("/v1/status").is_ok_and(|status| status.settled && status.ports_up == 1));
        let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.0.id())).unwrap();
        let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap().trim();
        assert_eq!(u64::from_str_radix(effective, 16).unwrap(), 1 << CAP_NET_ADMIN);
        kill(pid(&daemon.0), Signal::SIGTERM).unwrap();
        assert_eq!(daemon.0.wait().unwrap().code(), Some(0));
    }

    fn a_datapath_has_one_daemon() {
        let mut gateway = Gateway::new("gw", FILE);
        gateway.start();
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(program());
        std::fs::write(directory.path().join("file"), FILE).unwrap();
        command.arg("run").arg(directory.path().join("file")).args(["--host", "gw1", "--state"]);
        command.arg(directory.path().join("state")).arg("--socket").arg(directory.path().join("socket"));
        let second = gateway.netns().run(move || command.stdin(Stdio::null()).output()).unwrap();
        let said = text(&second);
        assert_eq!(second.status.code(), Some(1), "{said}");
        assert!(said.contains("datapath l2gw: another daemon drives it"), "{said}");
        assert_eq!(gateway.status().revision, 1, "the first goes on");
    }
}

/// A process that does not outlive the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().unwrap())
}

fn demo(out: Stdio) -> Child {
    let mut command = Command::new(program());
    command.arg("demo").stdin(Stdio::null()).stdout(out).stderr(Stdio::inherit()).spawn().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// What the demo of this process has made: a directory and namespaces.
fn left_over(demo: u32) -> Vec<PathBuf> {
    let places = [PathBuf::from("/run/netns"), std::env::temp_dir()];
    let entries = places.iter().filter_map(|place| std::fs::read_dir(place).ok()).flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_its = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.strip_prefix(&format!("l2gwdemo{demo}"))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    paths.filter(is_its).collect()
}

fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
/// linux/capability.h.
const CAP_NET_ADMIN: u32 = 12;
const FILE: &str = "[hosts.gw1]\n[bridges.vub1]\nkind = \"vlan-unaware\"\n\
    [[ports]]\nname = \"vm1\"\nbridge = \"vub1\"\nhost = \"gw1\"\nlink = \"tap1\"\n";
