//! The verbs that ask or tell a running daemon something about itself: `trace` without a file, `flush` and `unblock`.

use std::io::{self, Write};
use std::sync::Arc;

use agent::admin::TraceQuestion;
use agent::input::Command;
use agent::revisions::Published;
use agent::view::{StatusView, TraceView, TrunkView, of_another_host};
use vlan::model::port::Port;
use vlan::model::shown::printable;
use vlan::model::topology::Topology;
use vlan::tag::Tpid;

use crate::cli::args::{At, Flushed, TraceRequest};
use crate::cli::client::{Client, ClientError};
use crate::cli::failure::say;
use crate::cli::lines::Lines;
use crate::cli::trace::across;
use crate::cli::trace::assumed::Assumed;
use crate::cli::{DONE, WRONG_USAGE, trace as answers};

/// `l2gw trace` without a file: what the daemon would do with a frame, or with each frame of a capture, as it stands.
///
/// # Errors
/// The answer cannot be written.
pub fn trace(request: &TraceRequest, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    let client = Client::new(&request.at.socket);
    // Without it the story is the same.
    let whole = Whole::read(&client);
    if let Some(why) = whole.why_not_here(&request.port) {
        say(&why, err)?;
        return Ok(WRONG_USAGE);
    }
    let ask = |frame| ask(&client, &whole, &request.port, frame);
    if let Some(path) = &request.pcap {
        let answer = ask;
        return match answers::tell_capture(path, request.at.json, out, err, answer)? {
            Ok(code) => Ok(code),
            Err(error) => refuse(&error, err),
        };
    }
    let frame = match answers::frame_of(request, [Tpid::Customer; 2]) {
        Ok(frame) => frame,
        Err(error) => {
            say(&error, err)?;
            return Ok(error.exit_code());
        }
    };
    match ask(frame) {
        Ok(answer) => {
            answers::print(&answer, request.at.json, out)?;
            Ok(DONE)
        }
        Err(error) => refuse(&error, err),
    }
}

fn ask(client: &Client, whole: &Whole, port: &str, frame: Vec<u8>) -> Result<TraceView, ClientError> {
    let mut story = client.send("/v1/trace", &TraceQuestion { port: port.to_owned(), frame })?;
    if let Some(Built { topology, host, assumed }) = &whole.built {
        across::follow_by_topology(topology, host, assumed, &mut story);
    }
    whole.lines.add_to(&mut story);
    Ok(story)
}

/// What the newest revision as a whole says, of which a host has its share.
#[derive(Default)]
struct Whole {
    lines: Lines,
    built: Option<Built>,
}

/// The whole topology, as it is in force on the host that is asked.
struct Built {
    topology: Arc<Topology>,
    /// That host's name.
    host: String,
    assumed: Assumed,
}

impl Whole {
    /// Nothing of it where the store is away, or where another revision is in force on the host.
    fn read(client: &Client) -> Whole {
        let Ok(published) = client.read::<Published>("/v1/topology") else { return Whole::default() };
        let status = client.read::<StatusView>("/v1/status").ok();
        let in_force = status.filter(|status| status.revision == published.revision);
        let built = in_force.and_then(|status| {
            let topology = built(&published)?;
            let trunks: Vec<TrunkView> = client.read("/v1/trunks").ok()?;
            let assumed = Assumed::others_up(&topology, &status.host, &trunks);
            Some(Built { topology, host: status.host, assumed })
        });
        Whole { lines: Lines::of_revision(&published), built }
    }

    /// Why the host that is asked knows nothing of a port, or of a link of this name: it is another host's.
    fn why_not_here(&self, name: &str) -> Option<String> {
        let Built { topology, host, .. } = self.built.as_ref()?;
        let here = topology.host_named(host);
        let is_here = |port: &&Port| Some(port.host) == here || topology.is_vtep(port.host);
        let of_name = topology.port_named(name);
        let mut on_link =
            topology.ports().iter().filter(|port| port.link == name && !topology.is_vtep(port.host));
        if of_name.is_none() && on_link.clone().any(|port| is_here(&port)) {
            return None;
        }
        let port = of_name.or_else(|| on_link.next()).filter(|port| !is_here(port))?;
        let there = &topology.hosts()[port.host.0 as usize].name;
        Some(of_another_host(&port.name, there, host))
    }
}

fn built(published: &Published) -> Option<Arc<Topology>> {
    let description = published.topology.description().ok()?;
    let numbers = published.numbers.as_ref()?;
    Topology::with_numbers(&description, numbers).ok().map(Arc::new)
}

/// `l2gw flush`.
///
/// # Errors
/// The answer cannot be written.
pub fn flush(
    what: Flushed,
    port: Option<String>,
    at: &At,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<u8> {
    let Flushed::Macs = what;
    let done = match &port {
        Some(port) => format!("the addresses learned at {port} are forgotten"),
        None => "all learned addresses are forgotten".to_owned(),
    };
    command(&Command::FlushAddresses { port }, &done, at, out, err)
}

/// `l2gw unblock`.
///
/// # Errors
/// The answer cannot be written.
pub fn unblock(port: String, at: &At, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    let done = format!("{port} is not blocked any more");
    command(&Command::Unblock { port }, &done, at, out, err)
}

fn command(
    command: &Command,
    done: &str,
    at: &At,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<u8> {
    match Client::new(&at.socket).send::<()>("/v1/command", command) {
        Ok(()) => {
            if at.json {
                writeln!(out, "{}", serde_json::json!({ "done": done }))?;
            } else {
                writeln!(out, "{}", printable(done))?;
            }
            Ok(DONE)
        }
        Err(error) => refuse(&error, err),
    }
}

fn refuse(error: &ClientError, err: &mut impl Write) -> io::Result<u8> {
    say(error, err)?;
    Ok(error.exit_code())
}
