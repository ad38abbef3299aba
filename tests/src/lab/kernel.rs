//! Tests that need a kernel with openvswitch, written like any other test.
//!
//! ```
//! tests::kernel_tests! {
//!     group trunks;
//!
//!     fn a_tag_is_popped() {
//!         let wire = tests::lab::netns::Netns::new("wire");
//!         // … runs as root in a kernel of its own, together with the other tests of the group `trunks`
//!     }
//! }
//! ```
//! Where the body runs is decided here, by `LAB_KERNEL`:
//! - `host`: on the running kernel, each test in a thread with a fresh network namespace;
//! - `uml`: in a test kernel. One boot serves the tests of one group that were asked for: the test binary starts itself
//!   again in there with their exact names, and each `#[test]` out here reports what became of its own body;
//! - `auto`, the default: on the running kernel if it has everything that the lab needs, else in a test kernel, else the
//!   test is skipped, which counts as a failure unless `L2GW_ALLOW_SKIP=1`.
//!
//! `LAB_TIMEOUT_SECS` (120) is how long a test kernel may write nothing before it is killed; each test writes when it starts and
//! ends. All of a group together may take ten times as long.

use std::collections::BTreeMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};

use super::job::{INSIDE_VARIABLE, Status};
use super::machine::{Machine, Program, Run, find_kernel};
use super::record::{self, End, Record};

/// Tests that share one boot of a test kernel.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// Its module, which no other group of the test binary has.
    pub module: &'static str,
    /// The tests in it, each as `crate::module::test`.
    pub tests: &'static [&'static str],
}

/// Defines tests whose bodies run where there is a kernel with openvswitch, all in one boot. The group's name is also the
/// name of the module that holds them, so a filter `trunks::` takes the whole group.
#[macro_export]
macro_rules! kernel_tests {
    (group $group:ident; $($(#[$meta:meta])* fn $name:ident() $body:block)+) => {
        mod $group {
            #[allow(unused_imports)]
            use super::*;

            const GROUP: $crate::lab::kernel::Group = $crate::lab::kernel::Group {
                module: module_path!(),
                tests: &[$(concat!(module_path!(), "::", stringify!($name))),+],
            };

            $(
                #[test]
                $(#[$meta])*
                fn $name() {
                    $crate::lab::kernel::run(GROUP, concat!(module_path!(), "::", stringify!($name)), || $body);
                }
            )+
        }
    };
}

/// Runs the body of one test, `path` being `crate::module::test`, where there is a kernel for it.
///
/// # Panics
/// The body panicked, its test kernel failed, or there is no kernel for it.
pub fn run(group: Group, path: &'static str, body: impl FnOnce() + Send) {
    match place() {
        Place::Here => run_marked(test_name(path), body),
        Place::RunningKernel => run_in_fresh_namespace(body),
        Place::TestKernel => report(group, test_name(path)),
        Place::Nowhere => skip(test_name(path)),
    }
}

/// Whether this process runs inside a test kernel.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE_VARIABLE).is_some()
}

/// How long a test kernel may write nothing, from `LAB_TIMEOUT_SECS`.
pub fn patience() -> Duration {
    let asked = std::env::var("LAB_TIMEOUT_SECS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(asked.unwrap_or(PATIENCE_SECS))
}

/// Where a body runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Here,
    RunningKernel,
    TestKernel,
    Nowhere,
}

fn place() -> Place {
    if is_inside() {
        return Place::Here;
    }
    match std::env::var("LAB_KERNEL").as_deref().unwrap_or("auto") {
        "uml" => Place::TestKernel,
        "host" => Place::RunningKernel,
        "auto" if is_running_kernel_enough() => Place::RunningKernel,
        "auto" if find_kernel().is_some() => Place::TestKernel,
        "auto" => Place::Nowhere,
        other => panic!("LAB_KERNEL={other}: allowed are auto, host and uml"),
    }
}

/// Root, and every module that the lab needs is there or can be loaded.
fn is_running_kernel_enough() -> bool {
    static ENOUGH: OnceLock<bool> = OnceLock::new();
    let has = |module: &str| std::path::Path::new("/sys/module").join(module).exists();
    let load = || {
        let mut modprobe = Command::new("modprobe");
        modprobe.arg("-qa").args(NEEDED).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        modprobe.status().is_ok_and(|status| status.success())
    };
    *ENOUGH.get_or_init(|| nix::unistd::geteuid().is_root() && (NEEDED.iter().all(|m| has(m)) || load()))
}

/// `crate::module::test` as libtest has it, without the crate.
fn test_name(path: &'static str) -> &'static str {
    path.split_once("::").map_or(path, |(_, name)| name)
}

fn run_marked(test: &str, body: impl FnOnce()) {
    record::mark_start(test);
    let outcome = catch_unwind(AssertUnwindSafe(body));
    record::mark_end(test, if outcome.is_ok() { End::Passed } else { End::Failed });
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

fn run_in_fresh_namespace(body: impl FnOnce() + Send) {
    let in_namespace = || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap_or_else(|e| panic!("cannot make a network namespace: {e}"));
        body();
    };
    let outcome = std::thread::scope(|scope| scope.spawn(in_namespace).join());
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

/// Notes a test that cannot run, for the person and for the summary of `make test`.
fn skip(test: &str) {
    // Past libtest, which swallows what a passing test prints.
    let _ = writeln!(std::io::stderr(), "skipped: no openvswitch.ko ({test})");
    if let Some(path) = std::env::var_os("L2GW_SKIPS") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
        file.and_then(|mut file| writeln!(file, "no openvswitch.ko: {test}"))
            .unwrap_or_else(|e| panic!("cannot note the skipped test in {}: {e}", path.display()));
    }
    let is_allowed = std::env::var("L2GW_ALLOW_SKIP").is_ok_and(|value| value == "1");
    assert!(is_allowed, "skipped: no openvswitch.ko; install user-mode-linux, or set L2GW_ALLOW_SKIP=1");
}

/// Boots for the group if nobody did, and says what became of one test of it.
fn report(group: Group, test: &str) {
    type Sessions = BTreeMap<&'static str, Arc<OnceLock<Result<Session, String>>>>;
    static SESSIONS: Mutex<Sessions> = Mutex::new(BTreeMap::new());
    let session = {
        let mut sessions = SESSIONS.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(sessions.entry(group.module).or_default())
    };
    match session.get_or_init(|| Session::hold(group, test)) {
        Ok(session) => session.report(test),
        Err(why) => panic!("no test kernel for {test}: {why}"),
    }
}

/// One boot for one group, over.
#[derive(Debug)]
struct Session {
    run: Run,
    records: Vec<Record>,
}

impl Session {
    fn hold(group: Group, first: &str) -> Result<Self, String> {
        let line: Vec<String> = std::env::args().skip(1).collect();
        let wish = Wish::parse(&line);
        let names = group.tests.iter().map(|path| test_name(path));
        let mut args: Vec<String> =
            names.filter(|name| *name == first || wish.wants(name)).map(str::to_owned).collect();
        args.extend(["--exact", "--nocapture", "--test-threads=1", "--color=never"].map(str::to_owned));
        args.extend(wish.ignored.clone());
        let exec = std::env::current_exe().map_err(|e| format!("cannot tell the path of this test: {e}"))?;
        let patience = patience();
        let machine =
            Machine::start(&Program { exec, args, env: Vec::new(), patience, limit: patience * 10 })?;
        let run = machine.wait(|piece| {
            if wish.is_live {
                // Only a convenience for who watches; the output is kept anyway.
                let _ = std::io::stderr().write_all(piece);
            }
        });
        Ok(Self { records: record::read_records(&run.output), run })
    }

    /// Prints what the test wrote; panics if it did not pass.
    fn report(&self, test: &str) {
        let record = self.records.iter().find(|record| record.test == test);
        if let Some(record) = record {
            print!("{}", String::from_utf8_lossy(&record.output));
        }
        match self.judge(record) {
            Ok(()) => {}
            Err(Fault::OfTheBody) => {
                let why = record.and_then(|record| first_panic(&record.output)).unwrap_or_default();
                panic!("{test} failed inside the test kernel; its output is above\n{why}")
            }
            Err(Fault::OfTheKernel(why)) => panic!("{test}: {why}\n{}", self.epitaph()),
        }
    }

    fn judge(&self, record: Option<&Record>) -> Result<(), Fault> {
        let status = &self.run.status;
        let is_orderly = matches!(status, Status::Exited(0 | LIBTEST_FAILED));
        match (record.map(|record| record.end), record::unfinished(&self.records)) {
            (Some(Some(End::Failed)), _) => Err(Fault::OfTheBody),
            (Some(Some(End::Passed)), None) if !is_orderly => {
                Err(Fault::OfTheKernel(format!("passed, but after the last test: {status}")))
            }
            (Some(Some(End::Passed)), _) => Ok(()),
            (Some(None), _) => Err(Fault::OfTheKernel(format!("did not end: {status}"))),
            (None, Some(other)) => Err(Fault::OfTheKernel(format!("not reached: {status} during {other}"))),
            (None, None) => Err(Fault::OfTheKernel(format!("never started: {status}"))),
        }
    }

    /// What there is to see when a test kernel fails as a whole.
    fn epitaph(&self) -> String {
        format!(
            "--- console of the test kernel, after {:.1} s\n{}\n--- end of its output\n{}\n---",
            self.run.took.as_secs_f32(),
            tail(&self.run.console),
            tail(&String::from_utf8_lossy(&self.run.output)),
        )
    }
}

/// What a test that failed said first, as libtest has it: where a log keeps only the end, this is what has to be there.
fn first_panic(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let begins = text.lines().position(|line| line.contains(" panicked at "))?;
    let said = text.lines().skip(begins).take_while(|line| !line.starts_with("stack backtrace:"));
    Some(said.take(PANIC_LINES).collect::<Vec<_>>().join("\n"))
}

/// As many lines as the two sides of a comparison mostly take.
const PANIC_LINES: usize = 12;

/// Who is to blame when a test did not pass.
enum Fault {
    OfTheBody,
    OfTheKernel(String),
}

/// What the command line of this test binary asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    filters: Vec<String>,
    skips: Vec<String>,
    ignored: Option<String>,
    is_exact: bool,
    is_live: bool,
}

impl Wish {
    fn parse(args: &[String]) -> Self {
        let mut wish = Self { is_live: std::env::var_os("RUST_TEST_NOCAPTURE").is_some(), ..Self::default() };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--exact" => wish.is_exact = true,
                "--nocapture" | "--no-capture" => wish.is_live = true,
                "--ignored" | "--include-ignored" => wish.ignored = Some(arg.clone()),
                "--skip" => wish.skips.extend(args.next().cloned()),
                option if TAKE_A_VALUE.contains(&option) => drop(args.next()),
                option if option.starts_with('-') => {}
                filter => wish.filters.push(filter.to_owned()),
            }
        }
        wish
    }

    fn wants(&self, name: &str) -> bool {
        let fits =
            |filter: &String| if self.is_exact { name == filter } else { name.contains(filter.as_str()) };
        (self.filters.is_empty() || self.filters.iter().any(fits)) && !self.skips.iter().any(fits)
    }
}

fn tail(text: &str) -> &str {
    let lines: Vec<_> = text.rmatch_indices('\n').take(TAIL_LINES).collect();
    lines.last().filter(|_| lines.len() == TAIL_LINES).map_or(text, |(at, _)| &text[at + 1..])
}

/// Longer than any test takes; a boot takes less than a second.
const PATIENCE_SECS: u64 = 120;

/// The exit code of a libtest binary in which a test failed.
const LIBTEST_FAILED: i32 = 101;

/// Options of libtest that take the next argument.
const TAKE_A_VALUE: [&str; 6] =
    ["--test-threads", "--format", "--color", "--logfile", "--shuffle-seed", "-Z"];

/// Modules without which no kernel test can run.
const NEEDED: [&str; 3] = ["openvswitch", "8021q", "bridge"];

const TAIL_LINES: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(line: &str) -> Wish {
        Wish::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_command_line_selects_as_libtest_does() {
        for (line, name, expected) in [
            ("", "trunks::a", true),
            ("trunks", "trunks::a", true),
            ("--test-threads 8 --format pretty", "trunks::a", true),
            ("other", "trunks::a", false),
            ("a --exact", "trunks::a", false),
            ("trunks::a --exact", "trunks::a", true),
            ("trunks --skip ::a", "trunks::a", false),
        ] {
            assert_eq!(wish(line).wants(name), expected, "line `{line}`, test {name}");
        }
    }

    #[test]
    fn the_tail_is_the_last_lines() {
        let long: String = (0..100).map(|n| format!("{n}\n")).collect();
        assert!(tail(&long).starts_with("61\n") && tail(&long).ends_with("99\n"), "{}", tail(&long));
        assert_eq!(tail("a\nb"), "a\nb");
    }

    #[test]
    fn what_a_test_said_when_it_failed_is_told_again() {
        let output = b"lab start a\nthread 'a' (7) panicked at a.rs:1:2:\nleft: 1\nright: 2\nstack backtrace:\n   0: x\n";
        let said = first_panic(output).unwrap();
        assert_eq!(said, "thread 'a' (7) panicked at a.rs:1:2:\nleft: 1\nright: 2");
        assert_eq!(first_panic(b"a process that was killed\n"), None);
    }

    #[test]
    fn a_crash_is_laid_to_the_test_that_ran() {
        let record = |test: &str, end| Record { test: test.into(), output: Vec::new(), end };
        let records = vec![record("a", Some(End::Passed)), record("b", None)];
        let run = Run {
            status: Status::KernelDied,
            output: Vec::new(),
            console: String::new(),
            took: Duration::ZERO,
        };
        let session = Session { run, records: records.clone() };
        assert!(session.judge(records.first()).is_ok());
        assert!(
            matches!(session.judge(records.get(1)), Err(Fault::OfTheKernel(why)) if why.starts_with("did not end"))
        );
        assert!(matches!(session.judge(None), Err(Fault::OfTheKernel(why)) if why.ends_with("during b")));
    }
}
