//! A machine in QEMU, without acceleration. Of one shape its clock counts instructions, `-icount shift=0,sleep=off`: one instruction is a
//! nanosecond of its time, and while nothing is to be done its clock jumps to the next timer. The other has two CPUs.
//!
//! ```text
//!   initramfs: this program as /init, the libraries it has loaded, modules in order, the job
//!   root:      the host's own file system by 9p, read-only
//!   ttyS0:     the kernel and init ──► kept for when something fails
//!   ttyS1:     the program's output ──► the caller, line by line
//! ```

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::cpio::Archive;
use super::init::{self, EXIT_MARK};
use crate::lab::job::{JOB_FILE, Job};

/// A kernel package, unpacked, with its image as an ELF file beside (tests/setup/bench.sh).
#[derive(Debug, Clone)]
pub struct Kernel {
    directory: PathBuf,
    release: String,
}

impl Kernel {
    /// The kernel in a directory.
    ///
    /// # Errors
    /// There is none; the text says what is missing.
    pub fn find(directory: &Path) -> Result<Kernel, String> {
        let modules = directory.join("lib/modules");
        let first = fs::read_dir(&modules).ok().and_then(|mut entries| entries.next()?.ok());
        let release = first.ok_or_else(|| format!("no {}; {ADVICE}", modules.display()))?.file_name();
        let kernel =
            Kernel { directory: directory.to_owned(), release: release.to_string_lossy().into_owned() };
        if !kernel.image().is_file() {
            return Err(format!("no {}; {ADVICE}", kernel.image().display()));
        }
        Ok(kernel)
    }

    /// Its release, as `uname -r` has it.
    pub fn release(&self) -> &str {
        &self.release
    }

    fn image(&self) -> PathBuf {
        self.directory.join("vmlinux")
    }

    /// The files of these modules and of all they need, in the order in which they are to be inserted.
    fn module_files(&self, names: &[String]) -> Result<Vec<PathBuf>, String> {
        let mut files = Vec::new();
        for name in names {
            let mut modprobe = Command::new("modprobe");
            modprobe.env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin").arg("-d").arg(&self.directory);
            modprobe.args(["-S", &self.release, "--show-depends", name]);
            let output = modprobe.output().map_err(|e| format!("cannot run modprobe: {e}; install kmod"))?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            if !output.status.success() {
                return Err(format!("module {name}: {}", String::from_utf8_lossy(&output.stderr).trim()));
            }
            let paths = text.lines().filter_map(|line| line.strip_prefix("insmod "));
            for path in paths.map(|path| PathBuf::from(path.trim())) {
                if !files.contains(&path) {
                    files.push(path);
                }
            }
        }
        Ok(files)
    }
}

/// What a machine is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One CPU, and a clock of instructions.
    Counted,
    /// Two CPUs, each a thread of the host, and the host's clock.
    TwoCpus,
}

impl Shape {
    /// The plain `pc` machine and CPU model of QEMU where instructions are counted: another one counts differently.
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Shape::Counted => &[
                "-cpu",
                "qemu64",
                "-accel",
                "tcg",
                "-icount",
                "shift=0,sleep=off",
                "-smp",
                "1",
                "-rtc",
                "clock=vm",
            ],
            Shape::TwoCpus => &["-cpu", "max", "-accel", "tcg,thread=multi", "-smp", "2"],
        }
    }

    fn command_line(self) -> String {
        let more = if self == Shape::TwoCpus { " no_timer_check mitigations=off" } else { "" };
        format!("{COMMAND_LINE}{more}")
    }
}

/// A machine that runs. Dropping it kills it.
#[derive(Debug)]
pub struct Guest {
    child: Child,
    directory: TempDir,
}

impl Guest {
    /// Boots a machine that runs `job` as its only task and then powers off. The job's modules are inserted in the order named.
    ///
    /// # Errors
    /// QEMU is missing, or the initramfs cannot be made.
    pub fn boot(kernel: &Kernel, job: &Job, shape: Shape) -> Result<Guest, String> {
        let directory = tempfile::Builder::new().prefix("l2gw-bench-").tempdir();
        let directory = directory.map_err(|e| format!("cannot make a directory: {e}"))?;
        let initramfs = directory.path().join("initramfs");
        fs::write(&initramfs, archive(kernel, job)?).map_err(|e| format!("{}: {e}", initramfs.display()))?;
        let mut command = Command::new(QEMU);
        command
            .args(MACHINE)
            .args(shape.arguments())
            .arg("-kernel")
            .arg(kernel.image())
            .arg("-initrd")
            .arg(&initramfs);
        command.arg("-append").arg(shape.command_line());
        command.arg("-serial").arg(format!("file:{}", directory.path().join(CONSOLE).display()));
        command.args(["-serial", "stdio"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = spawn_bound(&mut command).map_err(|e| format!("cannot run {QEMU}: {e}; {ADVICE}"))?;
        Ok(Guest { child, directory })
    }

    /// Waits for the end; `heed` gets each line of the program's output.
    ///
    /// # Errors
    /// The program did not end with exit code 0; what the machine said is in the text.
    pub fn wait(mut self, mut heed: impl FnMut(&str)) -> Result<(), String> {
        let mut exit = None;
        let output = self.child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines());
        for line in output.map_while(Result::ok) {
            match line.split_once(EXIT_MARK) {
                Some((before, code)) => {
                    if !before.is_empty() {
                        heed(before);
                    }
                    exit = Some(code.trim().to_owned());
                }
                None => heed(&line),
            }
        }
        let _ = self.child.wait();
        match exit.as_deref() {
            Some("0") => Ok(()),
            Some(other) => Err(format!("the program in the guest ended with {other}; {}", self.console())),
            None => Err(format!("the guest ended without a word; {}", self.console())),
        }
    }

    fn console(&mut self) -> String {
        let mut said = fs::read_to_string(self.directory.path().join(CONSOLE)).unwrap_or_default();
        if let Some(mut stderr) = self.child.stderr.take() {
            let _ = std::io::Read::read_to_string(&mut stderr, &mut said);
        }
        let tail: Vec<&str> = said.lines().rev().take(TAIL).collect();
        format!("its console:\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn archive(kernel: &Kernel, job: &Job) -> Result<Vec<u8>, String> {
    let read = |path: &Path| fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()));
    let own = std::env::current_exe().map_err(|e| format!("cannot tell the path of this program: {e}"))?;
    let mut archive = Archive::default();
    ["proc", "dev", "host"].iter().for_each(|directory| archive.add_directory(directory));
    archive.add_file(Path::new("/init"), &read(&own)?);
    for (inside, library) in libraries()? {
        archive.add_file(&inside, &read(&library)?);
    }
    let first: Vec<String> = init::ROOT_MODULES.iter().map(|name| (*name).to_owned()).collect();
    let files = kernel.module_files(&[&first[..], &job.modules[..]].concat())?;
    for (number, file) in files.iter().enumerate() {
        archive.add_file(&init::module_path(number), &read(file)?);
    }
    let job = serde_json::to_vec(job).map_err(|e| format!("cannot write the job: {e}"))?;
    archive.add_file(&Path::new("/").join(JOB_FILE), &job);
    Ok(archive.finish())
}

/// The shared libraries that this program runs with, and its loader: where they are to be, and where they are.
fn libraries() -> Result<Vec<(PathBuf, PathBuf)>, String> {
    let maps = fs::read_to_string("/proc/self/maps").map_err(|e| format!("/proc/self/maps: {e}"))?;
    let paths = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
    let mut found: Vec<PathBuf> = paths.filter(|path| path.contains(".so")).map(PathBuf::from).collect();
    found.sort();
    found.dedup();
    let place = |library: PathBuf| {
        let name = library.file_name().unwrap_or_default().to_owned();
        let is_loader = name.to_string_lossy().starts_with("ld-linux");
        (Path::new(if is_loader { "/lib64" } else { "/usr/lib" }).join(name), library)
    };
    Ok(found.into_iter().map(place).collect())
}

/// Starts a program that is killed when the thread that called this ends.
// The child changes itself between fork and exec, which the standard library offers as `pre_exec` only.
#[allow(unsafe_code)]
fn spawn_bound(command: &mut Command) -> std::io::Result<Child> {
    // SAFETY: prctl is a plain system call: no allocation, no lock.
    unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) };
    command.spawn()
}

const QEMU: &str = "qemu-system-x86_64";

/// Of every shape: the host's files, and nothing that is not needed.
const MACHINE: [&str; 15] = [
    "-nodefaults",
    "-no-user-config",
    "-no-reboot",
    "-display",
    "none",
    "-machine",
    "pc",
    "-m",
    "1536",
    "-fsdev",
    "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap",
    "-device",
    "virtio-9p-pci,fsdev=host,mount_tag=host",
    "-monitor",
    "none",
];

const COMMAND_LINE: &str = "console=ttyS0 loglevel=4 panic=-1 random.trust_cpu=on tsc=reliable nokaslr";

const CONSOLE: &str = "console";
const TAIL: usize = 40;
const ADVICE: &str = "tests/setup/bench.sh kernel installs it";
