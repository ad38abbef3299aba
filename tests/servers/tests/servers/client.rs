//! As much of a ZooKeeper client as is needed to have a session with something in it: the bytes of ZooKeeper 3.8's jute records.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A session on one connection. It sends no pings.
pub(crate) struct Client {
    stream: TcpStream,
    /// Its session.
    pub(crate) session: u64,
}

impl Client {
    /// A new session.
    pub(crate) fn connect(server: SocketAddr, timeout: Duration) -> io::Result<Client> {
        let mut client = Client { stream: TcpStream::connect_timeout(&server, PATIENCE)?, session: 0 };
        client.stream.set_read_timeout(Some(PATIENCE))?;
        // ConnectRequest: protocol, last zxid, timeout, session, password, may be read-only.
        let timeout = u32::try_from(timeout.as_millis()).unwrap().to_be_bytes();
        let ask = [&[0; 12][..], &timeout, &[0; 8], &16_u32.to_be_bytes(), &[0; 16], &[0]].concat();
        let answer = client.call(&ask)?;
        client.session = u64::from_be_bytes(answer[8..16].try_into().unwrap());
        Ok(client)
    }

    /// Makes an ephemeral node that anybody may change.
    pub(crate) fn create(&mut self, path: &str) -> io::Result<()> {
        let acl = [&1_u32.to_be_bytes()[..], &31_u32.to_be_bytes(), &text("world"), &text("anyone")].concat();
        self.request(1, &[&text(path)[..], &text(""), &acl, &1_u32.to_be_bytes()].concat())
    }

    /// Says who it is: `user:password`.
    pub(crate) fn authenticate(&mut self, who: &str) -> io::Result<()> {
        self.request(100, &[&0_u32.to_be_bytes()[..], &text("digest"), &text(who)].concat())
    }

    /// Watches a node that is there.
    pub(crate) fn watch(&mut self, path: &str) -> io::Result<()> {
        self.request(3, &[&text(path)[..], &[1]].concat())
    }

    /// RequestHeader (xid, type) and the request; ReplyHeader is xid, zxid and error.
    fn request(&mut self, kind: u32, body: &[u8]) -> io::Result<()> {
        let answer = self.call(&[&1_u32.to_be_bytes()[..], &kind.to_be_bytes(), body].concat())?;
        match i32::from_be_bytes(answer[12..16].try_into().unwrap()) {
            0 => Ok(()),
            error => Err(io::Error::other(format!("error {error}"))),
        }
    }

    fn call(&mut self, ask: &[u8]) -> io::Result<Vec<u8>> {
        self.stream.write_all(&[&u32::try_from(ask.len()).unwrap().to_be_bytes()[..], ask].concat())?;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut answer)?;
        Ok(answer)
    }
}

/// A string or buffer: its length, then it.
fn text(text: &str) -> Vec<u8> {
    [&u32::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat()
}

const PATIENCE: Duration = Duration::from_secs(10);
