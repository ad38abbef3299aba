//! Runs a program on a kernel that has openvswitch.ko: `lab-run [--limit SECONDS] PROGRAM [ARGUMENT…]`. The running kernel if it can and this
//! is root, else a test kernel that boots for it, in which the program has 110 s unless told. Exits as the program does; interrupted, it
//! ends the test kernel and leaves nothing of it.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tests::lab::job::Status;
use tests::lab::machine::{Ending, Machine, Program};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let limit = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--limit", seconds, _, ..] => {
            seconds.parse().ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
        }
        [first, ..] if !first.starts_with('-') => Some(LIMIT),
        _ => None,
    };
    let Some(limit) = limit else {
        eprintln!("lab-run: usage: lab-run [--limit SECONDS] PROGRAM [ARGUMENT…]");
        return ExitCode::from(64);
    };
    if words[0] == "--limit" {
        words.drain(..2);
    }
    let program = words.remove(0);
    if Path::new("/sys/module/openvswitch").exists() && nix::unistd::geteuid().is_root() {
        let error = Command::new(&program).args(&words).exec();
        eprintln!("lab-run: cannot run {program}: {error}");
        return ExitCode::FAILURE;
    }
    let Ok(exec) = std::fs::canonicalize(PathBuf::from(&program)) else {
        eprintln!("lab-run: there is no {program}");
        return ExitCode::from(64);
    };
    eprintln!("lab-run: the running kernel has no openvswitch.ko, a test kernel boots for this");
    run_in_test_kernel(&Program { exec, args: words, env: Vec::new(), patience: SILENCE, limit })
}

fn run_in_test_kernel(program: &Program) -> ExitCode {
    let begun = Arc::new(Mutex::new(None));
    if let Err(error) = end_when_interrupted(Arc::clone(&begun)) {
        eprintln!("lab-run: cannot listen for signals: {error}");
        return ExitCode::FAILURE;
    }
    let machine = match Machine::start(program) {
        Ok(machine) => machine,
        Err(error) => {
            eprintln!("lab-run: {error}");
            return ExitCode::FAILURE;
        }
    };
    *begun.lock().unwrap_or_else(PoisonError::into_inner) = Some(machine.ending());
    let run = machine.wait(|piece| {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(piece).and_then(|()| out.flush());
    });
    // Who ends it keeps this until the process is gone.
    let _over = begun.lock().unwrap_or_else(PoisonError::into_inner);
    match run.status {
        Status::Exited(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        other => {
            eprintln!("lab-run: {other}\n{}", run.console);
            ExitCode::FAILURE
        }
    }
}

/// Has SIGINT, SIGTERM and SIGHUP end the test kernel, if one has begun, and this process.
fn end_when_interrupted(begun: Arc<Mutex<Option<Ending>>>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [mut int, mut term, mut hup] = runtime.block_on(async {
        let [int, term, hup] = kinds.map(signal);
        Ok::<_, std::io::Error>([int?, term?, hup?])
    })?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = int.recv() => {}
                _ = term.recv() => {}
                _ = hup.recv() => {}
            }
        });
        let begun = begun.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ending) = begun.as_ref() {
            ending.end();
        }
        eprintln!("lab-run: interrupted; nothing of it is left");
        std::process::exit(1);
    });
    Ok(())
}

/// How long a program may run, unless told.
const LIMIT: Duration = Duration::from_secs(110);
/// How long it may write nothing.
const SILENCE: Duration = Duration::from_secs(60);
