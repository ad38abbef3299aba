//! What a node is asked over a connection of CQL's native protocol, version 4 (`native_protocol_v4.spec` of Cassandra): as much of it as shows that it serves.
//!
//! A frame is a head of nine bytes (version, flags, stream of two bytes, opcode, length of four bytes) and a body.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::launch::launch;

/// Where a node is, and how it is spoken to.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) address: SocketAddr,
    pub(super) is_encrypted: bool,
    /// A role, which has its own name as its password.
    pub(super) role: Option<&'static str>,
}

impl Node {
    /// Whether it says what protocol it speaks.
    ///
    /// # Errors
    /// It refuses, is silent for `patience`, or answers otherwise.
    pub(super) fn is_there(&self, patience: Duration) -> io::Result<()> {
        let mut connection = Connection::open(self, patience)?;
        connection.ask(OPTIONS, &[], SUPPORTED).map(drop)
    }

    /// Logs in, if it is to, and has a statement carried out. What comes back is the body of a RESULT.
    ///
    /// # Errors
    /// As for [`Node::is_there()`]; what Cassandra says is in the error's text.
    pub(super) fn run(&self, statement: &str, patience: Duration) -> io::Result<Vec<u8>> {
        let mut connection = Connection::open(self, patience)?;
        let expected = if self.role.is_some() { AUTHENTICATE } else { READY };
        connection.ask(STARTUP, STARTUP_BODY, expected)?;
        if let Some(role) = self.role {
            let login = format!("\0{role}\0{role}");
            connection.ask(AUTH_RESPONSE, &long(login.as_bytes()), AUTH_SUCCESS)?;
        }
        let body = [&long(statement.as_bytes())[..], &CONSISTENCY_ONE, &[0]].concat();
        connection.ask(QUERY, &body, RESULT)
    }
}

/// Bytes with their length, in four bytes, before them.
fn long(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], bytes].concat()
}

/// A connection, and the `openssl` that encrypts it if it is to be.
struct Connection {
    stream: Box<dyn Stream>,
    openssl: Option<Child>,
}

trait Stream: Read + Write {}
impl Stream for TcpStream {}
impl Stream for UnixStream {}

impl Connection {
    fn open(node: &Node, patience: Duration) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&node.address, patience)?;
        if !node.is_encrypted {
            stream.set_read_timeout(Some(patience))?;
            return Ok(Connection { stream: Box::new(stream), openssl: None });
        }
        // Whether the certificate is right is for the test's own client to find out.
        let (ours, its) = UnixStream::pair()?;
        ours.set_read_timeout(Some(patience))?;
        let mut command = Command::new("openssl");
        command.args(["s_client", "-quiet", "-connect"]).arg(node.address.to_string());
        command.stdin(OwnedFd::from(its.try_clone()?)).stdout(OwnedFd::from(its)).stderr(Stdio::null());
        let openssl = launch(command, None)?;
        Ok(Connection { stream: Box::new(ours), openssl: Some(openssl) })
    }

    /// Sends a frame and reads the next, whose opcode must be this one; its body is the answer.
    fn ask(&mut self, opcode: u8, body: &[u8], expected: u8) -> io::Result<Vec<u8>> {
        let head = [VERSION, 0, 0, 0, opcode];
        self.stream.write_all(&[&head[..], &long(body)].concat())?;
        let mut head = [0; 9];
        self.stream.read_exact(&mut head)?;
        let [_, _, _, _, answered, length @ ..] = head;
        let mut answer = Vec::new();
        let length = u64::from(u32::from_be_bytes(length));
        Read::by_ref(&mut self.stream).take(length).read_to_end(&mut answer)?;
        match answered == expected {
            true => Ok(answer),
            // An ERROR has four bytes of a code and two of a length before its text.
            false => {
                let text = String::from_utf8_lossy(answer.get(6..).unwrap_or_default()).into_owned();
                Err(io::Error::other(format!("opcode {answered:#04x} came after {opcode:#04x}: {text}")))
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(openssl) = &mut self.openssl {
            // Both fail only if it is gone already.
            let _ = openssl.kill();
            let _ = openssl.wait();
        }
    }
}

const VERSION: u8 = 4;

/// Opcodes of frames.
const STARTUP: u8 = 0x01;
const READY: u8 = 0x02;
const AUTHENTICATE: u8 = 0x03;
const OPTIONS: u8 = 0x05;
const SUPPORTED: u8 = 0x06;
const QUERY: u8 = 0x07;
const RESULT: u8 = 0x08;
const AUTH_RESPONSE: u8 = 0x0f;
const AUTH_SUCCESS: u8 = 0x10;

/// A map of one entry.
const STARTUP_BODY: &[u8] = b"\0\x01\0\x0bCQL_VERSION\0\x053.0.0";

const CONSISTENCY_ONE: [u8; 2] = [0, 1];

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Asks somebody who answers with these bytes.
    fn asked(answer: &'static [u8]) -> (io::Result<()>, [u8; 9]) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let node = Node { address: listener.local_addr().unwrap(), is_encrypted: false, role: None };
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut frame = [0; 9];
            stream.read_exact(&mut frame).unwrap();
            stream.write_all(answer).unwrap();
            frame
        });
        let outcome = node.is_there(Duration::from_secs(10));
        (outcome, server.join().unwrap())
    }

    #[test]
    fn only_what_is_supported_is_an_answer() {
        let (outcome, sent) = asked(b"\x84\0\0\0\x06\0\0\0\x02\0\0");
        outcome.unwrap();
        assert_eq!(sent, [4, 0, 0, 0, 5, 0, 0, 0, 0]);
        let (outcome, _) = asked(b"\x84\0\0\0\0\0\0\0\x09\0\0\0\x0a\0\x03bad");
        assert_eq!(outcome.unwrap_err().to_string(), "opcode 0x00 came after 0x05: bad");
    }
}
