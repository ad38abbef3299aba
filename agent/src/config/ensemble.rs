//! How an ensemble is reached: what `[nsdb]` says, with the login from its file and the number of this machine.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nsdb::zookeeper::{Login, ZooKeeperSettings};

use super::store::Nsdb;

/// The settings of an ensemble; `None` of a store of this host alone.
///
/// # Errors
/// The file with the login cannot be read, is open to others, or has something else in it; this machine has no number.
pub fn settings(nsdb: &Nsdb) -> Result<Option<ZooKeeperSettings>, String> {
    let Nsdb::ZooKeeper { servers, root, auth_file, .. } = nsdb else { return Ok(None) };
    let servers = servers.iter().map(ToString::to_string).collect();
    let login = auth_file.as_deref().map(login).transpose()?;
    Ok(Some(ZooKeeperSettings { login, ..ZooKeeperSettings::new(servers, root, machine()?) }))
}

/// Reads a login. Its file is for its owner's eyes, or for a group's.
///
/// # Errors
/// It cannot be read, everybody can read it, or it is not `user:password`.
pub fn login(path: &Path) -> Result<Login, String> {
    let told = |why: String| format!("auth-file {}: {why}", path.display());
    let (text, mode) = read(path).map_err(|error| told(error.to_string()))?;
    if mode & EVERYBODY != 0 {
        let mode = mode & 0o777;
        return Err(told(format!(
            "it has mode {mode:03o}, and everybody can read the password: `chmod 600` it"
        )));
    }
    Login::parse(&text).map_err(|allowed| told(allowed.to_owned()))
}

fn read(path: &Path) -> io::Result<(String, u32)> {
    let file = File::open(path)?;
    let mode = file.metadata()?.mode();
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text)?;
    Ok((text, mode))
}

/// The number that this machine has since it was installed (machine-id(5)), and that of its start (random(4)): a copy that kept the first
/// has another of the second.
fn machine() -> Result<String, String> {
    let read = std::fs::read_to_string(MACHINE_ID).map(|id| id.trim().to_owned());
    let id = match read {
        Ok(id) if !id.is_empty() => id,
        Ok(_) => return Err(format!("{MACHINE_ID} is empty: `systemd-machine-id-setup` fills it")),
        Err(error) => return Err(format!("{MACHINE_ID}: {error}; `systemd-machine-id-setup` makes it")),
    };
    let boot = std::fs::read_to_string(BOOT_ID).map_err(|error| format!("{BOOT_ID}: {error}"))?;
    Ok(format!("{id}, booted as {}", boot.trim()))
}

const MACHINE_ID: &str = "/etc/machine-id";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The permission of everybody to read or write a file.
const EVERYBODY: u32 = 0o006;

/// Longer than any login.
const LONGEST: u64 = 4_096;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_login_is_read_from_a_file_that_not_everybody_can_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("zookeeper.auth");
        let with = |text: &str, mode| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            login(&path).map_err(|why| why.replace(&*path.to_string_lossy(), "F"))
        };
        assert_eq!(with("gateway:secret\n", 0o600).unwrap().user, "gateway");
        assert_eq!(with("gateway:secret\n", 0o640).unwrap().user, "gateway");
        let refused = with("gateway:secret\n", 0o644).unwrap_err();
        assert_eq!(
            refused,
            "auth-file F: it has mode 644, and everybody can read the password: `chmod 600` it"
        );
        assert_eq!(with("gateway\n", 0o600).unwrap_err(), "auth-file F: allowed is one line, user:password");
        std::fs::remove_file(&path).unwrap();
        let refused = login(&path).unwrap_err();
        assert!(refused.contains("No such file"), "{refused}");
    }
}
