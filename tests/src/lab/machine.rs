//! One test kernel: started, watched, ended.
//!
//! ```text
//!  wait for a slot ─► boot (0.5–0.7 s) ─► lab-init ─► program ─► status ─► power off
//!                        └── silent for too long, or dropped ──► its process group is killed
//! ```
//! The linux.uml process always exits 0; how the program ended is in the status that `lab-init` wrote.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::captures;
use super::job::{INSIDE_VARIABLE, JOB_VARIABLE, Job, Status};
use super::slot::Slot;
use super::{shim, spawn};

/// What to run in a test kernel, and for how long.
#[derive(Debug, Clone)]
pub struct Program {
    /// The program, as an absolute path.
    pub exec: PathBuf,
    /// Its arguments, without the name of the program.
    pub args: Vec<String>,
    /// Environment besides that of this process.
    pub env: Vec<(String, String)>,
    /// How long it may write nothing before it is killed, boot included; whole seconds.
    pub patience: Duration,
    /// How long it may run at all before it is killed, boot excluded; whole seconds, 0 for ever.
    pub limit: Duration,
}

/// What came of a program in a test kernel.
#[derive(Debug)]
pub struct Run {
    /// How the program ended.
    pub status: Status,
    /// What it wrote to standard output and standard error, in the order written.
    pub output: Vec<u8>,
    /// What the kernel and its PID 1 wrote to the first console.
    pub console: String,
    /// From start to power off, without the wait for a slot.
    pub took: Duration,
}

/// A test kernel that runs. Dropping it kills it.
#[derive(Debug)]
pub struct Machine {
    child: Child,
    slot: Slot,
    directory: TempDir,
    pieces: Receiver<Vec<u8>>,
    patience: Duration,
    started: Instant,
}

impl Machine {
    /// Waits for a slot and starts a test kernel that runs `program` as its only task.
    ///
    /// # Errors
    /// There is no linux.uml, the job cannot be written, or the processor needs a shim that cannot be compiled.
    pub fn start(program: &Program) -> Result<Self, String> {
        let kernel = find_kernel().ok_or("no linux.uml; install the package user-mode-linux")?;
        let shim = shim::shim_for_this_processor()?;
        let mut slot = Slot::take();
        let directory = tempfile::Builder::new()
            .prefix("l2gw-lab-")
            .tempdir()
            .map_err(|e| format!("cannot make a job directory: {e}"))?;
        write_job(program, directory.path())?;
        let started = Instant::now();
        let mut command = boot_command(&kernel, directory.path())?;
        if let Some(shim) = shim {
            command.env("LD_PRELOAD", shim);
        }
        let mut child = spawn::spawn_pinned(&mut command, slot.cpu())
            .map_err(|e| format!("cannot run {} on cpu {}: {e}", kernel.display(), slot.cpu()))?;
        slot.occupy(child.id(), &directory.path().to_string_lossy());
        let pieces = read_in_pieces(child.stdout.take());
        Ok(Self { child, slot, directory, pieces, patience: program.patience, started })
    }

    /// The CPU that it is pinned to.
    pub fn cpu(&self) -> usize {
        self.slot.cpu()
    }

    /// The process that leads its process group.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What ends it from another thread, where this process is to exit.
    pub fn ending(&self) -> Ending {
        Ending { group: self.child.id(), directory: self.directory.path().to_owned() }
    }

    /// Waits for the end. `heed` sees each piece of output as it comes.
    pub fn wait(mut self, mut heed: impl FnMut(&[u8])) -> Run {
        let mut output = Vec::new();
        let mut heard = Instant::now();
        let status = loop {
            match self.pieces.recv_timeout(LOOK) {
                Ok(piece) => {
                    heard = Instant::now();
                    heed(&piece);
                    output.extend(piece);
                }
                Err(RecvTimeoutError::Timeout) if !self.is_over() => {
                    if heard.elapsed() >= self.patience {
                        break Status::TimedOut(self.patience.as_secs());
                    }
                }
                Err(_) => break Status::read(self.directory.path()),
            }
        };
        let console = std::fs::read(self.directory.path().join(CONSOLE_FILE)).unwrap_or_default();
        let console = String::from_utf8_lossy(&console).into_owned();
        Run { status, output, console, took: self.started.elapsed() }
    }

    /// A helper that outlives linux.uml holds the output open, so its end is not enough.
    fn is_over(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }
}

impl Drop for Machine {
    /// A killed linux.uml leaves helpers behind, so its whole process group goes.
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(self.child.id() as i32), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// Ends a test kernel whose owner waits for it.
#[derive(Debug, Clone)]
pub struct Ending {
    group: u32,
    directory: PathBuf,
}

impl Ending {
    /// Kills the kernel and removes its job directory.
    pub fn end(&self) {
        let _ = killpg(Pid::from_raw(self.group as i32), Signal::SIGKILL);
        // While its processes end, a file may come into it.
        for _ in 0..REMOVALS {
            if !self.directory.exists() || std::fs::remove_dir_all(&self.directory).is_ok() {
                return;
            }
            std::thread::sleep(REMOVAL);
        }
    }
}

/// The test kernel's binary, if it is installed.
pub fn find_kernel() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|directory| directory.join(KERNEL)).find(|file| file.is_file())
}

/// The directory that cargo puts binaries into: this test's own, without `deps`.
///
/// # Errors
/// This process cannot tell its own path.
pub fn build_directory() -> Result<PathBuf, String> {
    let exe = std::env::current_exe().map_err(|e| format!("cannot tell the path of this test: {e}"))?;
    let directory = exe.parent().unwrap_or(Path::new("/"));
    let is_deps = directory.file_name().is_some_and(|name| name == "deps");
    Ok(if is_deps { directory.parent().unwrap_or(directory) } else { directory }.to_owned())
}

fn write_job(program: &Program, directory: &Path) -> Result<(), String> {
    let cwd = std::env::current_dir().map_err(|e| format!("no working directory: {e}"))?;
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/")).to_owned();
    let mut seen = vec![workspace, build_directory()?, cwd.clone(), parent(&program.exec)];
    seen.extend(Some(captures::directory()).filter(|directory| directory.is_dir()));
    let job = Job {
        windows: windows(seen),
        exec: program.exec.clone(),
        args: program.args.clone(),
        env: environment(&program.env),
        cwd,
        modules: MODULES.iter().map(|name| (*name).to_owned()).collect(),
        limit_secs: program.limit.as_secs(),
    };
    job.write(directory).map_err(|e| format!("cannot write the job into {}: {e}", directory.display()))
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("/")).to_owned()
}

/// Each directory once, without those that lie in another.
fn windows(mut directories: Vec<PathBuf>) -> Vec<PathBuf> {
    directories.sort();
    directories.dedup_by(|inner, outer| inner.starts_with(&*outer));
    directories
}

/// This process's environment, with the machine's own places instead of the host's.
fn environment(more: &[(String, String)]) -> Vec<(String, String)> {
    let own = std::env::vars().filter(|(name, _)| !HOST_ONLY.contains(&name.as_str()));
    let fixed = [(INSIDE_VARIABLE, "1"), ("HOME", "/root"), ("RUST_TEST_THREADS", "1")];
    own.filter(|(name, _)| !fixed.iter().any(|(mine, _)| mine == name))
        .chain(fixed.map(|(name, value)| (name.to_owned(), value.to_owned())))
        .chain(more.iter().cloned())
        .collect()
}

fn boot_command(kernel: &Path, directory: &Path) -> Result<Command, String> {
    let init = build_directory()?.join("lab-init");
    if !init.is_file() {
        return Err(format!("no {}; build it with `cargo build -p tests --bin lab-init`", init.display()));
    }
    let console = File::create(directory.join(CONSOLE_FILE)).map_err(|e| format!("{CONSOLE_FILE}: {e}"))?;
    let mut command = Command::new(kernel);
    command
        .arg(format!("mem={}", std::env::var("LAB_MEM").unwrap_or_else(|_| "512M".into())))
        .arg(format!("uml_dir={}", directory.join("umid").display()))
        .arg(format!("init={}", init.display()))
        .args(BOOT_LINE)
        .arg(format!("{JOB_VARIABLE}={}", directory.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(console);
    Ok(command)
}

/// Reads the second console in a thread of its own, so that waiting for it can have an end.
fn read_in_pieces(stream: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let Some(mut stream) = stream else { return };
        let mut buffer = vec![0; 65_536];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            if sender.send(buffer[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// How often, and how far apart, it is tried to remove the directory of a machine that was killed.
const REMOVALS: usize = 10;
const REMOVAL: Duration = Duration::from_millis(20);

/// How often a silent machine is looked at.
const LOOK: Duration = Duration::from_millis(250);

const KERNEL: &str = "linux.uml";

const CONSOLE_FILE: &str = "console";

/// Where things are on the host, which is wrong inside.
const HOST_ONLY: [&str; 6] =
    ["TMPDIR", "XDG_RUNTIME_DIR", "LD_PRELOAD", "PWD", "OLDPWD", "RUST_TEST_NOCAPTURE"];

/// Without the initcalls named here, which benchmark checksums and set up file systems, a boot takes twice as long.
const BOOT_LINE: [&str; 14] = [
    "umid=u",
    "root=/dev/root",
    "rootfstype=hostfs",
    "ro",
    "con=null",
    "con0=null,fd:2",
    "con1=null,fd:1",
    "quiet",
    "loglevel=1",
    "noreboot",
    "initcall_blacklist=raid6_select_algo,raid6_init,init_btrfs_fs,init_xfs_fs,init_jfs_fs,init_zswap,strp_dev_init,\
     calibrate_xor_blocks",
    "pty.legacy_count=0",
    "lpj=24000000",
    "random.trust_cpu=on",
];

/// What the tests' networks are made of.
const MODULES: [&str; 13] = [
    "af_packet",
    "ipv6",
    "veth",
    "8021q",
    "bridge",
    "openvswitch",
    "vxlan",
    "vport_vxlan",
    "?tun",
    "?bonding",
    "?dummy",
    "?nlmon",
    "?sch_netem",
];
