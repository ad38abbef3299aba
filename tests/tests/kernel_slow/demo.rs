//! The demo of several hosts, as `make demo-cluster` runs it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::lab::machine::build_directory;

tests::kernel_tests! {
    group demo;

    fn the_demo_of_several_hosts_comes_out_as_expected_and_leaves_nothing() {
        if !servers::are_there() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut demo = demo(folder.path(), Stdio::piped());
        let said = passed_on(demo.stdout.take().unwrap());
        let output = demo.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        let checks = said.lines().filter(|line| line.ends_with("[as expected]")).count();
        assert_eq!(said.lines().last().unwrap(), format!("demo: {checks} of {checks} as expected"), "{said}");
        assert!(checks >= 40, "{said}");
        assert_eq!(left_over(folder.path()), Vec::<String>::new());
    }

    fn an_interrupted_demo_of_several_hosts_leaves_nothing() {
        if !servers::are_there() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut demo = demo(folder.path(), Stdio::null());
        // Three servers and their folder, the folder of each host and that of the demo, and the first daemon.
        wait_for("all that it makes", || left_over(folder.path()).len() > 3 + 1 + 5 + 1);
        kill(Pid::from_raw(demo.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        assert_eq!(demo.wait().unwrap().code(), Some(1));
        assert_eq!(left_over(folder.path()), Vec::<String>::new());
    }
}

/// The program, which keeps its files in a folder.
fn demo(folder: &Path, out: Stdio) -> Child {
    let mut command = Command::new(build_directory().unwrap().join("demo-cluster"));
    command.env("TMPDIR", folder).stdin(Stdio::null()).stdout(out).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// All that a demo says, which is passed on line by line: a test kernel that writes nothing for two minutes is taken to be dead.
fn passed_on(out: ChildStdout) -> String {
    let lines = BufReader::new(out).lines().map(|line| line.unwrap());
    let pass_on = |line: String| {
        let line = line + "\n";
        // Past the capture of the test harness.
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        line
    };
    lines.map(pass_on).collect()
}

/// What is in the folder of a demo, and which of its processes are there: each has a path of that folder among its words.
fn left_over(folder: &Path) -> Vec<String> {
    let names = |path: &Path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<String> = names(folder).map(|path| path.display().to_string()).collect();
    let mark = folder.to_str().unwrap();
    for process in names(Path::new("/proc")) {
        // One that has ended meanwhile has no words any more.
        let words = fs::read(process.join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        if words.contains(mark) {
            found.push(words);
        }
    }
    found
}

fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

const PATIENCE: Duration = Duration::from_secs(60);
