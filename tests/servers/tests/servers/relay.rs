//! A relay forwards, holds back, delivers late, closes and refuses.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use servers::{Relay, Traffic};

use crate::{SOON, until};

/// A relay on an address of its own in front of a listener, and the connections that reach that.
struct Rig {
    relay: Relay,
    reached: Receiver<TcpStream>,
}

impl Rig {
    fn new() -> Rig {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Relay::to(listener.local_addr().unwrap()).unwrap();
        let (tell, reached) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                stream.set_read_timeout(Some(SOON)).unwrap();
                if tell.send(stream).is_err() {
                    return;
                }
            }
        });
        Rig { relay, reached }
    }

    /// A connection through the relay: its two ends.
    fn pair(&self) -> (TcpStream, TcpStream) {
        let client = connect(self.relay.address()).unwrap();
        (client, self.reached.recv_timeout(SOON).unwrap())
    }
}

#[test]
fn bytes_and_ends_pass_both_ways_and_are_counted() {
    let rig = Rig::new();
    let (mut client, mut server) = rig.pair();
    pass(&mut client, &mut server, b"there");
    pass(&mut server, &mut client, b"back");
    // They are counted right after they are passed on.
    until(|| rig.relay.traffic() == Traffic { accepted: 1, open: 1, to_server: 5, to_client: 4 });
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(server.read(&mut [0; 1]).unwrap(), 0, "the client's end");
    pass(&mut server, &mut client, b"still");
    drop(server);
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0, "the server's end");
    until(|| rig.relay.traffic().open == 0);
}

#[test]
fn what_is_held_back_is_delivered_late() {
    for hold in HOLDS {
        let rig = Rig::new();
        let (mut client, mut server) = rig.pair();
        pass(&mut client, &mut server, b"before");
        hold(&rig.relay);
        client.write_all(b"late").unwrap();
        server.write_all(b"word").unwrap();
        assert!(is_silent(&mut client) && is_silent(&mut server));
        rig.relay.heal();
        assert_eq!(read(&mut server, 4), b"late");
        assert_eq!(read(&mut client, 4), b"word");
    }
}

#[test]
fn who_connects_meanwhile_hangs_or_is_not_answered() {
    let rig = Rig::new();
    rig.relay.drop_packets();
    assert_eq!(connects(&rig.relay), Err(io::ErrorKind::TimedOut), "neither accepted nor refused");
    rig.relay.fall_silent();
    assert_eq!(connects(&rig.relay), Ok(()));
    assert!(rig.reached.try_recv().is_err(), "nobody reaches the server");
}

#[test]
fn who_hangs_when_it_heals_gets_through() {
    for hold in HOLDS {
        let rig = Rig::new();
        hold(&rig.relay);
        let address = rig.relay.address();
        let waiting = std::thread::spawn(move || connect(address).unwrap());
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(waiting.is_finished(), connects(&rig.relay).is_ok());
        rig.relay.heal();
        let mut client = waiting.join().unwrap();
        client.write_all(b"new").unwrap();
        // What connected and went away meanwhile reaches the server as well, with nothing to say.
        let reached = rig.reached.iter().map(|mut server| read(&mut server, 3));
        assert_eq!(reached.take(2).find(|said| !said.is_empty()).unwrap(), b"new");
    }
}

#[test]
fn an_end_is_held_back_like_any_byte() {
    let rig = Rig::new();
    let (client, mut server) = rig.pair();
    rig.relay.drop_packets();
    drop(client);
    assert!(is_silent(&mut server), "it is not told that the client is gone");
    rig.relay.heal();
    assert_eq!(server.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn who_is_cut_off_is_closed_and_refused_until_it_heals() {
    let rig = Rig::new();
    let (mut client, mut server) = rig.pair();
    rig.relay.cut();
    assert!(is_closed(&mut client) && is_closed(&mut server));
    assert_eq!(connect(rig.relay.address()).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    rig.relay.heal();
    let (mut client, mut server) = rig.pair();
    pass(&mut client, &mut server, b"again");
    rig.relay.disconnect();
    assert!(is_closed(&mut client) && is_closed(&mut server));
    rig.pair();
}

#[test]
fn faults_follow_each_other_in_any_order() {
    type Fault = fn(&Relay);
    let faults: [Fault; 4] = [Relay::drop_packets, Relay::fall_silent, Relay::cut, Relay::heal];
    let rig = Rig::new();
    for first in faults {
        for second in faults {
            first(&rig.relay);
            second(&rig.relay);
            rig.relay.heal();
            let (mut client, mut server) = rig.pair();
            pass(&mut client, &mut server, b"through");
        }
    }
}

#[test]
fn a_relay_whose_server_is_gone_closes() {
    let other = Relay::to(SocketAddr::from(([127, 0, 0, 1], 1))).unwrap();
    other.cut();
    let relay = Relay::to(other.address()).unwrap();
    assert!(is_closed(&mut connect(relay.address()).unwrap()));
    let address = relay.address();
    drop(relay);
    assert_eq!(connect(address).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, SOON)?;
    stream.set_read_timeout(Some(SOON))?;
    Ok(stream)
}

fn pass(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8]) {
    from.write_all(bytes).unwrap();
    assert_eq!(read(to, bytes.len()), bytes);
}

/// So many bytes, or fewer if the stream ends.
fn read(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.take(length as u64).read_to_end(&mut bytes).unwrap();
    bytes
}

/// Whether it says nothing, not even that it ends.
fn is_silent(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let read = stream.peek(&mut [0; 1]);
    stream.set_read_timeout(Some(SOON)).unwrap();
    read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 1]) {
        Ok(length) => length == 0,
        Err(error) => matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe),
    }
}

/// Whether a connection that is asked for now is made, within a time in which no SYN is repeated.
fn connects(relay: &Relay) -> Result<(), io::ErrorKind> {
    let tried = TcpStream::connect_timeout(&relay.address(), Duration::from_millis(300));
    tried.map(drop).map_err(|error| error.kind())
}

const HOLDS: [fn(&Relay); 2] = [Relay::drop_packets, Relay::fall_silent];
