//! Runs a program on a kernel that has openvswitch.ko: `lab-run PROGRAM [ARGUMENT…]`. The running kernel if it can and this is
//! root, else a test kernel that boots for it. Exits as the program does.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use tests::lab::job::Status;
use tests::lab::machine::{Machine, Program};

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let Some(program) = words.next() else {
        eprintln!("lab-run: usage: lab-run PROGRAM [ARGUMENT…]");
        return ExitCode::from(64);
    };
    let arguments: Vec<String> = words.collect();
    if Path::new("/sys/module/openvswitch").exists() && nix::unistd::geteuid().is_root() {
        return run_here(&program, &arguments);
    }
    let Ok(path) = std::fs::canonicalize(PathBuf::from(&program)) else {
        eprintln!("lab-run: there is no {program}");
        return ExitCode::from(64);
    };
    eprintln!("lab-run: the running kernel has no openvswitch.ko, a test kernel boots for this");
    run_in_test_kernel(&Program {
        exec: path,
        args: arguments,
        env: Vec::new(),
        patience: Duration::from_secs(60),
        limit: Duration::from_secs(110),
    })
}

fn run_here(program: &str, arguments: &[String]) -> ExitCode {
    match Command::new(program).args(arguments).status() {
        Ok(status) => ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
        Err(error) => {
            eprintln!("lab-run: cannot run {program}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_in_test_kernel(program: &Program) -> ExitCode {
    let machine = match Machine::start(program) {
        Ok(machine) => machine,
        Err(error) => {
            eprintln!("lab-run: {error}");
            return ExitCode::FAILURE;
        }
    };
    let run = machine.wait(|piece| {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(piece).and_then(|()| out.flush());
    });
    match run.status {
        Status::Exited(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        other => {
            eprintln!("lab-run: {other}\n{}", run.console);
            ExitCode::FAILURE
        }
    }
}
