//! PID 1 of a machine of [`super::guest`]: modules, the host's files as root, places to write to, one program, its end.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::termios::tcdrain;

use crate::lab::console;
use crate::lab::job::Job;

/// Goes before the exit code, on a line of its own.
pub const EXIT_MARK: &str = "\u{1e}exit ";

/// What the host's files are read with.
pub const ROOT_MODULES: [&str; 3] = ["virtio_pci", "9pnet_virtio", "9p"];

/// Where the module of this number is in the initramfs.
pub fn module_path(number: usize) -> PathBuf {
    PathBuf::from(format!("/modules/{number:03}.ko"))
}

/// Runs the job and powers off.
pub fn run() {
    let outcome = std::panic::catch_unwind(run_job);
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(why)) => eprintln!("bench-init: {why}"),
        Err(_) => eprintln!("bench-init: panicked"),
    }
    let Err(errno) = reboot(RebootMode::RB_POWER_OFF);
    eprintln!("bench-init: cannot power off: {errno}");
}

fn run_job() -> Result<(), String> {
    mount_at("devtmpfs", "/dev", "")?;
    insert_modules()?;
    let job = Job::read(Path::new("/")).map_err(|e| format!("cannot read the job: {e}"))?;
    mount_from(
        "host",
        "9p",
        "/host",
        MsFlags::MS_RDONLY,
        "trans=virtio,version=9p2000.L,cache=loose,msize=524288",
    )?;
    nix::unistd::chroot("/host").map_err(|e| format!("cannot make the host's files the root: {e}"))?;
    nix::unistd::chdir("/").map_err(|e| format!("cannot enter the root: {e}"))?;
    mount_machine(&job)?;
    crate::lab::netns::Netns::current("init").links().set_up("lo");
    let console = console::open(CONSOLE)?;
    let said = run_program(&job, &console)?;
    fs::write(CONSOLE, format!("{EXIT_MARK}{said}\n")).map_err(|e| format!("{CONSOLE}: {e}"))?;
    tcdrain(&console).map_err(|e| format!("cannot drain the output: {e}"))
}

fn insert_modules() -> Result<(), String> {
    for path in (0..).map(module_path).take_while(|path| path.exists()) {
        let file = File::open(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        match finit_module(&file, c"", ModuleInitFlags::empty()) {
            // ENODEV: a faster twin of something for a processor that this is not (crc32c_intel).
            Ok(()) | Err(Errno::EEXIST | Errno::ENODEV) => {}
            Err(errno) => return Err(format!("kernel refused module {}: {errno}", path.display())),
        }
    }
    Ok(())
}

fn mount_machine(job: &Job) -> Result<(), String> {
    mount_at("proc", "/proc", "")?;
    mount_at("sysfs", "/sys", "")?;
    mount_at("devtmpfs", "/dev", "")?;
    // A directory that a tmpfs hides is held open until it can be shown again at its own path.
    let hidden = job.windows.iter().filter(|window| HIDDEN.iter().any(|place| window.starts_with(place)));
    let held: Vec<(&PathBuf, Option<File>)> =
        hidden.map(|window| (window, File::open(window).ok())).collect();
    HIDDEN.iter().try_for_each(|directory| mount_at("tmpfs", directory, "mode=1777"))?;
    for (window, file) in held {
        let file = file.ok_or_else(|| format!("there is no {}", window.display()))?;
        fs::create_dir_all(window).map_err(|e| format!("cannot make {}: {e}", window.display()))?;
        let from = format!("/proc/self/fd/{}", file.as_raw_fd());
        mount_from(&from, "", &window.to_string_lossy(), MsFlags::MS_BIND, "")?;
    }
    Ok(())
}

fn mount_at(kind: &str, target: &str, options: &str) -> Result<(), String> {
    mount_from("none", kind, target, MsFlags::empty(), options)
}

fn mount_from(from: &str, kind: &str, target: &str, flags: MsFlags, options: &str) -> Result<(), String> {
    match mount(Some(from), target, Some(kind), flags, Some(options)) {
        Ok(()) | Err(Errno::EBUSY) => Ok(()),
        Err(errno) => Err(format!("cannot mount {from} ({kind} {options}) at {target}: {errno}")),
    }
}

/// How the program ended: its exit code, or in words.
fn run_program(job: &Job, console: &File) -> Result<String, String> {
    let status = console::program(job, console)?.status().map_err(|e| console::cannot_run(job, &e))?;
    Ok(status.code().map_or_else(|| status.to_string(), |code| code.to_string()))
}

const CONSOLE: &str = "/dev/ttyS1";

/// Places that programs write to, each a tmpfs of its own.
const HIDDEN: [&str; 6] = ["/tmp", "/run", "/root", "/var/log", "/var/tmp", "/mnt"];
