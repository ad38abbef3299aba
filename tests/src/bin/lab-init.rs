//! PID 1 of a test kernel: sets the machine up, runs one program, says how it ended, powers off.
//!
//! The root is the host's own, read-only. Everything writable is a tmpfs, except [`JOB_MOUNT`], the job directory on the
//! host. A program hidden by a tmpfs (a build directory under `/tmp`) is put back by a window: the same directory of the
//! host, mounted read-only at its own path.
//!
//! The program's output goes to the second console, which the lab reads raw; what PID 1 itself has to say goes to the
//! first one and, when it ends the run, into the status.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::tcdrain;
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::Pid;

use tests::lab::console;
use tests::lab::job::{JOB_MOUNT, JOB_VARIABLE, Job, Status};

fn main() {
    if std::process::id() != 1 {
        eprintln!("lab-init: runs as PID 1 of a test kernel only, not as process {}", std::process::id());
        std::process::exit(64);
    }
    let outcome = std::panic::catch_unwind(run_job);
    let status = match outcome {
        Ok(Ok(status)) => status,
        Ok(Err(why)) => Status::InitFailed(why),
        Err(_) => Status::InitFailed("panicked; the console has the place".into()),
    };
    if let Err(error) = status.write(Path::new(JOB_MOUNT)) {
        eprintln!("lab-init: {status}, and it cannot be written to {JOB_MOUNT}: {error}");
    }
    nix::unistd::sync();
    let Err(errno) = reboot(RebootMode::RB_POWER_OFF);
    eprintln!("lab-init: cannot power off: {errno}");
}

fn run_job() -> Result<Status, String> {
    mount_machine().map_err(|e| e.to_string())?;
    let directory = std::env::var(JOB_VARIABLE).map_err(|e| format!("{JOB_VARIABLE}: {e}"))?;
    mount_job(&directory)?;
    let job =
        Job::read(Path::new(JOB_MOUNT)).map_err(|e| format!("cannot read the job in {directory}: {e}"))?;
    for window in &job.windows {
        open_window(window)?;
    }
    ModuleTree::of_running_kernel()?.insert_all(&job.modules)?;
    bring_loopback_up()?;
    let console = console::open(CONSOLE)?;
    let status = run_program(&job, &console);
    tcdrain(&console).map_err(|e| format!("cannot drain the output: {e}"))?;
    status
}

/// Everything but the job: kernel file systems, and a tmpfs over each place that programs write to.
fn mount_machine() -> Result<(), MountError> {
    mount_at("proc", "/proc", "")?;
    mount_at("sysfs", "/sys", "")?;
    mount_at("devtmpfs", "/dev", "")?;
    for directory in ["/dev/pts", "/dev/shm"] {
        fs::create_dir_all(directory).map_err(|e| MountError(format!("cannot make {directory}: {e}")))?;
    }
    mount_at("devpts", "/dev/pts", "ptmxmode=0666")?;
    mount_at("tmpfs", "/dev/shm", "")?;
    HIDDEN.iter().try_for_each(|directory| mount_at("tmpfs", directory, "mode=1777"))
}

fn mount_job(directory: &str) -> Result<(), String> {
    fs::create_dir_all(JOB_MOUNT).map_err(|e| format!("cannot make {JOB_MOUNT}: {e}"))?;
    mount_at("hostfs", JOB_MOUNT, directory).map_err(|e| e.to_string())
}

/// Shows a directory of the host again if a tmpfs hides it.
fn open_window(window: &Path) -> Result<(), String> {
    if !HIDDEN.iter().any(|hidden| window.starts_with(hidden)) {
        return Ok(());
    }
    fs::create_dir_all(window).map_err(|e| format!("cannot make {}: {e}", window.display()))?;
    let flags = MsFlags::MS_RDONLY;
    mount(Some("none"), window, Some("hostfs"), flags, Some(window))
        .map_err(|e| format!("cannot mount the host's {} at its own path: {e}", window.display()))
}

/// What `mount` refused, with both ends named.
#[derive(Debug)]
struct MountError(String);

impl std::fmt::Display for MountError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn mount_at(kind: &str, target: &str, options: &str) -> Result<(), MountError> {
    match mount(Some("none"), target, Some(kind), MsFlags::empty(), Some(options)) {
        // The kernel mounts devtmpfs by itself before PID 1 starts.
        Ok(()) | Err(Errno::EBUSY) => Ok(()),
        Err(errno) => Err(MountError(format!("cannot mount {kind} ({options}) at {target}: {errno}"))),
    }
}

/// The modules of the running kernel and what each needs, from `modules.dep`.
struct ModuleTree {
    directory: PathBuf,
    lines: Vec<(String, Vec<String>)>,
    builtin: String,
}

impl ModuleTree {
    fn of_running_kernel() -> Result<Self, String> {
        let release =
            fs::read_to_string("/proc/sys/kernel/osrelease").map_err(|e| format!("osrelease: {e}"))?;
        let directory = Path::new(MODULES_ROOT).join(release.trim());
        let read = |name: &str| {
            let path = directory.join(name);
            fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))
        };
        let lines = read("modules.dep")?.lines().filter_map(parse_dependency).collect();
        let builtin = read("modules.builtin")?;
        Ok(Self { directory, lines, builtin })
    }

    fn insert_all(&self, names: &[String]) -> Result<(), String> {
        names.iter().try_for_each(|name| match name.strip_prefix('?') {
            Some(optional) if !self.has(optional) => Ok(()),
            Some(optional) => self.insert(optional),
            None => self.insert(name),
        })
    }

    fn has(&self, name: &str) -> bool {
        self.is_builtin(name) || self.find(name).is_some()
    }

    fn is_builtin(&self, name: &str) -> bool {
        self.builtin.lines().any(|path| module_name(path) == name)
    }

    fn find(&self, name: &str) -> Option<&(String, Vec<String>)> {
        self.lines.iter().find(|(path, _)| module_name(path) == name)
    }

    /// Inserts a module after everything it needs; `modules.dep` lists the deepest need last.
    fn insert(&self, name: &str) -> Result<(), String> {
        if self.is_builtin(name) {
            return Ok(());
        }
        let (path, needs) = self
            .find(name)
            .ok_or_else(|| format!("module {name}: not in {}/modules.dep", self.directory.display()))?;
        needs.iter().rev().chain([path]).try_for_each(|path| self.insert_file(path))
    }

    fn insert_file(&self, path: &str) -> Result<(), String> {
        let path = self.directory.join(path);
        let file = File::open(&path).map_err(|e| format!("module {}: {e}", path.display()))?;
        match finit_module(&file, c"", ModuleInitFlags::empty()) {
            Ok(()) | Err(Errno::EEXIST) => Ok(()),
            Err(errno) => Err(format!("kernel refused module {}: {errno}", path.display())),
        }
    }
}

/// `kernel/net/8021q/8021q.ko: kernel/net/802/garp.ko …`
fn parse_dependency(line: &str) -> Option<(String, Vec<String>)> {
    let (path, needs) = line.split_once(':')?;
    Some((path.to_owned(), needs.split_whitespace().map(str::to_owned).collect()))
}

/// The name as the kernel writes it: of the file, without `.ko`, with `_` for `-`.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split('.').next().unwrap_or(file).replace('-', "_")
}

fn bring_loopback_up() -> Result<(), String> {
    tests::lab::netns::Netns::current("init").links().set_up("lo");
    Ok(())
}

fn run_program(job: &Job, console: &File) -> Result<Status, String> {
    let child = console::program(job, console)?.spawn().map_err(|e| console::cannot_run(job, &e))?;
    let pid = Pid::from_raw(child.id() as i32);
    let is_late = kill_after(pid, job.limit_secs);
    let status = wait_for(pid)?;
    Ok(if is_late.load(Ordering::SeqCst) { Status::TimedOut(job.limit_secs) } else { status })
}

/// Kills the program when its time is up, and remembers that it did.
fn kill_after(pid: Pid, limit_secs: u64) -> Arc<AtomicBool> {
    let is_late = Arc::new(AtomicBool::new(false));
    if limit_secs > 0 {
        let late = Arc::clone(&is_late);
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(limit_secs));
            late.store(true, Ordering::SeqCst);
            kill(pid, Signal::SIGKILL)
        });
    }
    is_late
}

/// Waits for the program; PID 1 inherits orphans, whose ends are of no interest.
fn wait_for(program: Pid) -> Result<Status, String> {
    loop {
        match wait() {
            Ok(WaitStatus::Exited(pid, code)) if pid == program => return Ok(Status::Exited(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == program => {
                return Ok(Status::Signalled(signal as i32));
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => {
                return Err(format!("lost the program, process {program}: {}", io::Error::from(errno)));
            }
        }
    }
}

/// Debian's package `user-mode-linux` puts its modules here, by kernel release.
const MODULES_ROOT: &str = "/usr/lib/uml/modules";

/// `con1` of the boot line.
const CONSOLE: &str = "/dev/tty1";

/// Places that programs write to, each a tmpfs of its own.
const HIDDEN: [&str; 6] = ["/tmp", "/run", "/root", "/var/log", "/var/tmp", "/mnt"];
