//! A node with a login and a certificate, as a client sees it that checks both.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use servers::{CASSANDRA_ROLE, CassandraOptions};

use crate::{make_table, put, start};

#[test]
fn a_node_has_roles_and_proves_who_it_is() {
    let Some(node) = start(CassandraOptions::plain().login().tls()) else { return };
    make_table(&node);
    put(&node, "a", "as the first role").unwrap();
    let roles = node.run("LIST ROLES").unwrap();
    assert!(roles.windows(CASSANDRA_ROLE.len()).any(|bytes| bytes == CASSANDRA_ROLE.as_bytes()));

    let certificates = node.certificates().unwrap();
    for address in [node.contact_point(), node.relay().address()] {
        assert!(is_proven(address, &certificates.authority), "{address}");
        assert!(!is_proven(address, &certificates.other_authority), "{address}");
    }
    assert!(!answers_in_the_clear(node.contact_point()));
}

#[test]
fn a_node_with_a_login_takes_no_statement_without_it() {
    let Some(node) = start(CassandraOptions::plain().login()) else { return };
    assert!(answers_in_the_clear(node.contact_point()));
    let mut stream = TcpStream::connect(node.contact_point()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    // STARTUP with CQL_VERSION 3.0.0; AUTHENTICATE is the answer. A wrong password is an ERROR.
    stream.write_all(b"\x04\0\0\0\x01\0\0\0\x16\0\x01\0\x0bCQL_VERSION\0\x053.0.0").unwrap();
    assert_eq!(frame(&mut stream), 0x03);
    stream.write_all(b"\x04\0\0\0\x0f\0\0\0\x14\0\0\0\x10\0cassandra\0wrong").unwrap();
    assert_eq!(frame(&mut stream), 0x00);
}

/// The opcode of the next frame, which is read whole.
fn frame(stream: &mut TcpStream) -> u8 {
    let mut head = [0; 9];
    stream.read_exact(&mut head).unwrap();
    let length = u32::from_be_bytes(head[5..].try_into().unwrap());
    stream.read_exact(&mut vec![0; length as usize]).unwrap();
    head[4]
}

/// Whether a client that trusts this authority alone believes that it reaches this address.
fn is_proven(address: SocketAddr, authority: &Path) -> bool {
    let mut client = Command::new("openssl");
    client.args(["s_client", "-verify_return_error", "-verify_ip", &address.ip().to_string()]);
    client.arg("-connect").arg(address.to_string()).arg("-CAfile").arg(authority);
    client.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    client.status().unwrap().success()
}

/// Whether OPTIONS that are not encrypted are answered by SUPPORTED.
fn answers_in_the_clear(address: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(&[4, 0, 0, 0, 5, 0, 0, 0, 0]).unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).is_ok() && head[4] == 0x06
}

const LONG: Duration = Duration::from_secs(10);
