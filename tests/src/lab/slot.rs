//! At most two test kernels at a time on one machine, one per CPU.
//!
//! A test kernel that is not pinned to one CPU is five to twenty times slower, and two on one CPU starve each other. A slot
//! is an exclusive lock on a file named by the CPU; it is free again when the process that holds it is gone, however it
//! went. The file names the process group of the kernel in the slot, so that the next holder can end a kernel whose owner
//! was killed.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getuid};

/// The right to run one test kernel on one CPU, until it is dropped.
#[derive(Debug)]
pub struct Slot {
    cpu: usize,
    lock: Flock<File>,
}

impl Slot {
    /// Waits until a slot is free and takes it.
    ///
    /// # Panics
    /// The lock files cannot be made.
    pub fn take() -> Self {
        loop {
            if let Some(slot) = usable_cpus().into_iter().find_map(Self::try_take) {
                return slot;
            }
            std::thread::sleep(RETRY);
        }
    }

    /// Takes the slot of this CPU if it is free.
    ///
    /// # Panics
    /// The lock file cannot be made.
    pub fn try_take(cpu: usize) -> Option<Self> {
        let path = slot_path(cpu);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
            .unwrap_or_else(|e| panic!("cannot open {}: {e}", path.display()));
        // What it says is acted on, so nobody else may have written it.
        let owner = file.metadata().map(|metadata| metadata.uid()).ok();
        assert_eq!(owner, Some(getuid().as_raw()), "{} belongs to another user", path.display());
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).ok()?;
        let mut slot = Self { cpu, lock };
        slot.end_orphan();
        Some(slot)
    }

    /// The CPU of this slot.
    pub fn cpu(&self) -> usize {
        self.cpu
    }

    /// Writes down which process group runs here, and its job directory, which tells it from a later group of that number.
    pub(super) fn occupy(&mut self, group: u32, directory: &str) {
        self.write(&format!("{group} {directory}\n"));
    }

    /// Kills the test kernel that a killed test process left in this slot.
    fn end_orphan(&mut self) {
        let mut text = String::new();
        if self.lock.seek(SeekFrom::Start(0)).is_err() || self.lock.read_to_string(&mut text).is_err() {
            return;
        }
        if let Some((group, directory)) = text.trim().split_once(' ')
            && let Ok(group) = group.parse::<i32>()
            && is_running(group, directory)
        {
            eprintln!("lab: ending test kernel {group}, left behind by a killed test");
            // It may end by itself in between, and its directory with it: then there is nothing left to do.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
            let _ = std::fs::remove_dir_all(directory);
        }
        self.write("");
    }

    /// A slot file that cannot be written only loses the note about an orphan; the lock still holds.
    fn write(&mut self, text: &str) {
        let _ = self.lock.set_len(0);
        let _ = self.lock.seek(SeekFrom::Start(0));
        let _ = self.lock.write_all(text.as_bytes());
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.write("");
    }
}

/// The first `SLOTS` CPUs that this process may use.
pub fn usable_cpus() -> Vec<usize> {
    let set = sched_getaffinity(Pid::from_raw(0)).unwrap_or_default();
    let usable: Vec<usize> =
        (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).take(SLOTS).collect();
    if usable.is_empty() { vec![0] } else { usable }
}

fn slot_path(cpu: usize) -> PathBuf {
    PathBuf::from(format!("/tmp/l2gw-lab-{}-cpu{cpu}.lock", getuid()))
}

/// Whether a process of this group still runs with `mark` in its arguments.
fn is_running(group: i32, mark: &str) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    processes.flatten().any(|entry| {
        let path = entry.path();
        let stat = std::fs::read_to_string(path.join("stat")).unwrap_or_default();
        process_group(&stat) == Some(group)
            && std::fs::read(path.join("cmdline")).is_ok_and(|line| contains(&line, mark.as_bytes()))
    })
}

/// proc(5), `/proc/pid/stat`: `pid (comm) state ppid pgrp …`, where comm may hold anything.
fn process_group(stat: &str) -> Option<i32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(2)?.parse().ok()
}

fn contains(line: &[u8], mark: &[u8]) -> bool {
    !mark.is_empty() && line.windows(mark.len()).any(|part| part == mark)
}

/// Test kernels at a time; more only take CPU time from each other and from the build.
const SLOTS: usize = 2;

const RETRY: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_found_behind_any_name() {
        assert_eq!(process_group("12 (a) b (c)) S 1 77 12 0 -1"), Some(77));
        assert_eq!(process_group("12 (x"), None);
    }

    #[test]
    fn there_is_a_cpu_for_at_least_one_slot_and_at_most_two() {
        assert!((1..=SLOTS).contains(&usable_cpus().len()), "{:?}", usable_cpus());
    }
}
