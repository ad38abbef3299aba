//! What an ensemble is started with.

use std::path::PathBuf;
use std::time::Duration;

use crate::ServersError;

/// What an ensemble is started with. The defaults are for quick tests: short ticks, no fsync, a small heap.
#[derive(Debug, Clone)]
pub struct Options {
    pub(crate) servers: usize,
    pub(crate) tick: Duration,
    pub(crate) sync_limit: Duration,
    pub(crate) sessions: (Duration, Duration),
    pub(crate) heap_mib: u32,
    pub(crate) pre_alloc_kib: u32,
    pub(crate) forces_sync: bool,
    pub(crate) data: Option<PathBuf>,
    pub(crate) disk_bytes: Option<u64>,
    pub(crate) properties: Vec<(String, String)>,
    pub(crate) lines: Vec<(String, String)>,
}

impl Options {
    /// One server alone.
    pub fn one() -> Options {
        Options {
            servers: 1,
            tick: Duration::from_millis(200),
            sync_limit: Duration::from_secs(4),
            sessions: (Duration::from_millis(400), Duration::from_secs(120)),
            heap_mib: 128,
            pre_alloc_kib: 64,
            forces_sync: false,
            data: None,
            disk_bytes: None,
            properties: Vec::new(),
            lines: Vec::new(),
        }
    }

    /// An ensemble of three.
    pub fn three() -> Options {
        Options { servers: 3, ..Options::one() }
    }

    /// The unit of a server's time, 10 ms to 10 s, 200 ms unless told. Sessions expire at its multiples.
    pub fn tick(self, tick: Duration) -> Options {
        Options { tick, ..self }
    }

    /// How long a leader and a follower wait for each other before they elect anew, 4 s unless told. It is rounded up to ticks.
    pub fn sync_limit(self, sync_limit: Duration) -> Options {
        Options { sync_limit, ..self }
    }

    /// The shortest and the longest session timeout that a client gets, 400 ms and 120 s unless told.
    pub fn sessions(self, shortest: Duration, longest: Duration) -> Options {
        Options { sessions: (shortest, longest), ..self }
    }

    /// The most that Java's heap of each server takes, 128 MiB unless told. It is taken as it is needed.
    pub fn heap_mib(self, heap_mib: u32) -> Options {
        Options { heap_mib, ..self }
    }

    /// By how much a log file grows at a time, 64 KiB unless told (`zookeeper.preAllocSize`).
    pub fn pre_alloc_kib(self, pre_alloc_kib: u32) -> Options {
        Options { pre_alloc_kib, ..self }
    }

    /// Each write is on the disk before it is answered, as in production. Without it a write survives the server's end, not the machine's.
    pub fn force_sync(self) -> Options {
        Options { forces_sync: true, ..self }
    }

    /// The servers keep their data below this folder, each in one named by its number, and what is there is taken up. It stays when the
    /// ensemble is dropped.
    pub fn data(self, folder: impl Into<PathBuf>) -> Options {
        Options { data: Some(folder.into()), ..self }
    }

    /// Each server's data is on a disk of its own of this many bytes, 256 KiB at least: [`crate::SmallDisk`].
    pub fn small_disk(self, bytes: u64) -> Options {
        Options { disk_bytes: Some(bytes), ..self }
    }

    /// The user `super` may do anything, with [`SUPER_PASSWORD`] (scheme `digest`).
    pub fn super_user(self) -> Options {
        self.property("zookeeper.DigestAuthenticationProvider.superDigest", SUPER_DIGEST)
    }

    /// One more system property of Java: `jute.maxbuffer`, say.
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Options {
        self.properties.push((name.into(), value.into()));
        self
    }

    /// One more line of the configuration: `snapCount`, say.
    pub fn line(mut self, name: impl Into<String>, value: impl Into<String>) -> Options {
        self.lines.push((name.into(), value.into()));
        self
    }

    /// Whether there is such an ensemble.
    pub(crate) fn check(&self) -> Result<(), ServersError> {
        let wrong = |what, value: String, allowed| Err(ServersError::Options { what, value, allowed });
        if self.tick < TICKS.0 || self.tick > TICKS.1 {
            return wrong("tick", format!("{:?}", self.tick), "10 ms to 10 s");
        }
        if self.sessions.0 > self.sessions.1 || self.sessions.0.is_zero() {
            return wrong("shortest session", format!("{:?}", self.sessions.0), "1 ms to the longest");
        }
        match self.disk_bytes {
            Some(bytes) if bytes < MIN_DISK => wrong("small disk", bytes.to_string(), "262144 bytes or more"),
            Some(_) if self.data.is_some() => {
                wrong("small disk", "asked for with a data folder".into(), "one of the two")
            }
            _ => Ok(()),
        }
    }
}

/// The password of the user `super`, where [`Options::super_user()`] makes one.
pub const SUPER_PASSWORD: &str = "for-tests";

/// base64(SHA-1("super:for-tests")), as ZooKeeper's DigestAuthenticationProvider makes it.
const SUPER_DIGEST: &str = "super:IaTofAVMszWEyynlNUTvLEZI6kk=";

const TICKS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(10));

/// A snapshot and a log, with something to spare.
const MIN_DISK: u64 = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_not_is_refused_with_what_there_is() {
        let ms = Duration::from_millis;
        for (options, told) in [
            (Options::one().tick(ms(9)), "tick is 9ms: allowed are 10 ms to 10 s"),
            (
                Options::one().sessions(ms(2), ms(1)),
                "shortest session is 2ms: allowed are 1 ms to the longest",
            ),
            (Options::one().small_disk(1), "small disk is 1: allowed are 262144 bytes or more"),
            (
                Options::one().small_disk(1 << 20).data("/x"),
                "small disk is asked for with a data folder: allowed are one of the two",
            ),
        ] {
            assert_eq!(options.check().unwrap_err().to_string(), told);
        }
        for options in [Options::one().tick(ms(10)), Options::three().small_disk(MIN_DISK)] {
            options.check().unwrap();
        }
    }
}
