//! Certificates for tests of encrypted connections, made by the `openssl` command. They last two days.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::ServersError;

/// Two authorities, and for the same addresses a certificate of each. All are PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificates {
    /// The authority that clients trust.
    pub authority: PathBuf,
    /// A node's key (PKCS#8) and certificate, by that authority.
    pub node: PathBuf,
    /// Another authority, which has not certified the node.
    pub other_authority: PathBuf,
    /// The key and the certificate of somebody who claims the node's addresses, by the other authority.
    pub stranger: PathBuf,
}

/// Makes them in a folder that is there, with these addresses in `subjectAltName`.
///
/// # Errors
/// There is no `openssl`, it fails, or the folder cannot be written.
pub fn certificates(folder: &Path, addresses: &[IpAddr]) -> Result<Certificates, ServersError> {
    let (authority, node) = pair(folder, "authority", "node", addresses)?;
    let (other_authority, stranger) = pair(folder, "other-authority", "stranger", addresses)?;
    Ok(Certificates { authority, node, other_authority, stranger })
}

/// An authority, and a key with the certificate that it gives for it.
fn pair(
    folder: &Path,
    authority: &str,
    node: &str,
    addresses: &[IpAddr],
) -> Result<(PathBuf, PathBuf), ServersError> {
    let file = |name: &str, kind: &str| format!("{name}.{kind}");
    let (ca, ca_key) = (file(authority, "pem"), file(authority, "key"));
    let (key, request, certificate) = (file(node, "key"), file(node, "request"), file(node, "certificate"));
    let names: Vec<String> = addresses.iter().map(|address| format!("IP:{address}")).collect();
    let names = format!("subjectAltName={}", names.join(","));
    let subject = format!("/CN=l2gw tests {authority}");

    let made = ["req", "-x509", "-days", "2", "-subj", &subject, "-keyout", &ca_key, "-out", &ca];
    openssl(folder, &[&made[..], &CURVE].concat())?;
    let asked = ["req", "-subj", "/CN=node", "-addext", &names, "-keyout", &key, "-out", &request];
    openssl(folder, &[&asked[..], &CURVE].concat())?;
    let by = ["-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial", "-copy_extensions", "copy", "-days", "2"];
    let signed = ["x509", "-req", "-in", &request, "-out", &certificate];
    openssl(folder, &[&signed[..], &by].concat())?;

    let join = || -> io::Result<PathBuf> {
        let both = [fs::read(folder.join(&key))?, fs::read(folder.join(&certificate))?].concat();
        let path = folder.join(file(node, "pem"));
        fs::write(&path, both)?;
        Ok(path)
    };
    let joined = join().map_err(ServersError::system(format!("write {node}.pem")))?;
    Ok((folder.join(ca), joined))
}

/// Runs `openssl` in a folder.
fn openssl(folder: &Path, arguments: &[&str]) -> Result<(), ServersError> {
    let output = Command::new("openssl").args(arguments).current_dir(folder).stdin(Stdio::null()).output();
    let output = output.map_err(ServersError::system("run openssl, which make setup installs"))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(ServersError::system(format!("openssl {}: {said}", arguments[0]))(io::Error::other(said)))
        }
    }
}

const CURVE: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_has_certified_its_own_node_alone() {
        let folder = tempfile::tempdir().unwrap();
        let made = certificates(folder.path(), &[[127, 0, 0, 1].into()]).unwrap();
        let verify = |authority: &Path, node: &Path, address: &str| {
            let (authority, node) = (authority.to_str().unwrap(), node.to_str().unwrap());
            openssl(folder.path(), &["verify", "-CAfile", authority, "-verify_ip", address, node]).is_ok()
        };
        assert!(verify(&made.authority, &made.node, "127.0.0.1"));
        assert!(!verify(&made.authority, &made.node, "127.0.0.2"), "another address");
        assert!(!verify(&made.authority, &made.stranger, "127.0.0.1"));
        assert!(verify(&made.other_authority, &made.stranger, "127.0.0.1"));
    }
}
