//! A disk that gets full: a small tmpfs in a user and mount namespace of its own.
//!
//! Nothing of it is seen outside. A process that does nothing holds the namespaces, so what is on the disk survives the server that
//! wrote it. The kernel shows the disk to us below `/proc/PID/root`.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::ServersError;
use crate::launch::{Namespaces, launch};

/// A server's small disk. It is gone when this is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    holder: Child,
    mount: PathBuf,
}

impl SmallDisk {
    /// Mounts one of `bytes` on a folder, for processes in its namespaces alone.
    ///
    /// # Errors
    /// The kernel gives this user no user namespace, or a program is missing.
    pub(crate) fn make(mount: &Path, bytes: u64) -> Result<SmallDisk, ServersError> {
        let what = || format!("mount a disk of {bytes} bytes in a user namespace");
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "--propagation", "private", "sh", "-c", HOLD]);
        command.arg("sh").arg(format!("size={bytes}")).arg(mount);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let holder = launch(command, None).map_err(ServersError::system(what()))?;
        let mut disk = SmallDisk { holder, mount: mount.to_owned() };
        let mut said = String::new();
        let stdout = disk.holder.stdout.as_mut().ok_or_else(|| io::Error::other("no pipe"));
        let read = stdout.and_then(|stdout| BufReader::new(stdout).read_line(&mut said));
        match read.map_err(ServersError::system(what()))? {
            0 => Err(ServersError::system(what())(io::Error::other(
                "unshare or mount failed; stderr says why",
            ))),
            _ => Ok(disk),
        }
    }

    /// The disk as it is seen from here.
    pub fn path(&self) -> PathBuf {
        let mount = self.mount.strip_prefix("/").unwrap_or(&self.mount);
        Path::new("/proc").join(self.holder.id().to_string()).join("root").join(mount)
    }

    /// Writes until nothing more can be written, and says how many bytes that took.
    ///
    /// # Errors
    /// The disk refuses for another reason than that it is full.
    pub fn fill(&self) -> Result<u64, ServersError> {
        let what = "fill a small disk";
        let opened = File::options().create(true).append(true).open(self.ballast());
        let mut file = opened.map_err(ServersError::system(what))?;
        let mut written = 0;
        for piece in [&[0; 4096][..], &[0; 1][..]] {
            loop {
                match file.write(piece) {
                    Ok(bytes) => written += bytes as u64,
                    Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
                    Err(error) => return Err(ServersError::system(what)(error)),
                }
            }
        }
        Ok(written)
    }

    /// Removes what [`SmallDisk::fill()`] wrote; nothing if it wrote nothing.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn free(&self) -> Result<(), ServersError> {
        match fs::remove_file(self.ballast()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(ServersError::system("free a small disk")(error))
            }
            _ => Ok(()),
        }
    }

    /// What a process enters to see the disk.
    pub(crate) fn namespaces(&self) -> Result<Namespaces, ServersError> {
        let open = |name: &str| File::open(format!("/proc/{}/ns/{name}", self.holder.id()));
        let both = open("user").and_then(|user| Ok(Namespaces { user, mount: open("mnt")? }));
        both.map_err(ServersError::system("open the namespaces of a small disk"))
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// `sh -c` with the size and the folder. It ends when its standard input does.
const HOLD: &str = r#"mount -t tmpfs -o "$1" tmpfs "$2" && echo mounted && exec cat"#;
