//! What one event takes: a link, a first frame, a slice of statistics, a page of a list, a tick while much expires.

use std::sync::Arc;
use std::time::Duration;

use agent::engine::Engine;
use agent::input::Input;
use agent::list::Listed;
use agent::page::Selection;
use agent::view::{MacView, PortView};
use l2gw::config;
use vlan::time::Instant;

use super::host::Host;
use super::meter;
use super::reading::{Growth, Notes, Reading, median, part};
use super::sizes::Sizes;
use super::world::World;

/// All of them, at both sizes.
pub fn measure(sizes: &Sizes) -> Vec<Reading> {
    let mut readings = Vec::new();
    for world in sizes.worlds {
        readings.extend(of_ports(world, sizes.events));
    }
    for count in sizes.flows {
        readings.extend(of_flows(sizes.worlds[0], count));
    }
    for count in sizes.addresses {
        readings.extend(of_addresses(sizes.worlds[0], count));
    }
    readings
}

/// What should not depend on how many ports there are.
fn of_ports(world: World, events: usize) -> Vec<Reading> {
    let mut notes = Notes::at(world.ports(), "ports");
    let mut host = Host::new(world, Vec::new());
    // Each port has said something, so that a port that goes takes an address and flows with it.
    host.converse(world, world.ports() as u32);
    let ports: Vec<usize> = (0..events).map(|event| event * STRIDE % world.ports()).collect();
    let frames = ports.iter().zip(world.ports() as u32..).map(|(port, number)| {
        host.wire().inject(&world.port(*port), &world.first_frame(*port, number));
        let upcalls = host.upcalls(1).expect("a frame that no flow matches");
        host.take(Input::Upcalls(upcalls))
    });
    let frames: Vec<Duration> = frames.collect();
    notes.short("one first frame", median(&frames), Growth::Event);
    let (mut downs, mut ups) = (Vec::new(), Vec::new());
    for port in &ports {
        let link = world.port(*port);
        host.wire().change_link(&link, |link| link.has_carrier = false);
        downs.push(host.settle());
        host.wire().change_link(&link, |link| link.has_carrier = true);
        ups.push(host.settle());
    }
    notes.short("one link that loses its carrier", median(&downs), Growth::Event);
    notes.short("one link whose carrier is back", median(&ups), Growth::Event);
    let slices: Vec<Duration> = (0..events)
        .map(|_| {
            let slice = host.vport_slice();
            host.take(slice)
        })
        .collect();
    notes.short("one slice of 256 vports", median(&slices), Growth::Event);
    notes.short("one slice of 256 vports: the worst", part(&slices, 1.0), Growth::Told);
    let pages = pages_of::<PortView>(host.engine(), host.wire().now(), &Selection::default());
    notes.short("one page of `show ports`", median(&pages), Growth::Event);
    let status: Vec<Duration> = (0..events)
        .map(|_| meter::of_this_thread(|| host.engine().view().status(host.wire().now())).1)
        .collect();
    notes.short("one `show status` of the engine", median(&status), Growth::Told);
    // What first frames wait for; ports that are new are looked at bit by bit.
    let config = config::parse("bench", &world.file_with_more(50)).expect("a file that is right");
    let (description, built) = (Box::new(config.description), Some(Arc::new(config.topology)));
    let taken = host.take(Input::Topology { revision: 2, description, numbers: None, built });
    notes.time("another revision taken in, in one piece", taken, Growth::Whole);
    notes.at_most(50.0);
    let rest = host.settle();
    notes.time("another revision taken in, the rest in pieces", rest, Growth::Whole);
    notes.done()
}

/// What should not depend on how many flows there are.
fn of_flows(world: World, count: u32) -> Vec<Reading> {
    let mut notes = Notes::at(count as usize, "flows");
    let mut host = Host::new(world, Vec::new());
    host.converse(world, count);
    // Each is hit once more, so that there is something to be counted and refreshed.
    (0..count).for_each(|number| host.begin(world, number));
    host.wire().advance(Duration::from_secs(1));
    notes.short("one slice of 256 flows, all hit", median(&slices_of(&mut host)), Growth::Event);
    host.wire().advance(IDLE);
    let idle = slices_of(&mut host);
    notes.short("one slice of 256 flows, all idle", median(&idle), Growth::Event);
    notes.short("one slice of 256 flows, all idle: the worst", part(&idle, 1.0), Growth::Told);
    notes.done()
}

/// Every slice of one reading of the flows.
fn slices_of(host: &mut Host) -> Vec<Duration> {
    let mut spans = Vec::new();
    loop {
        let slice = host.flow_slice();
        let is_last = matches!(slice, Input::FlowStats { is_last: true, .. });
        spans.push(host.take(slice));
        if is_last {
            return spans;
        }
    }
}

/// What should not depend on how many addresses there are.
fn of_addresses(world: World, count: u32) -> Vec<Reading> {
    let mut notes = Notes::at(count as usize, "addresses");
    let mut host = Host::new(world, world.saved(count));
    let known = host.engine().view().status(host.wire().now()).addresses;
    assert!(known >= count as usize, "{known} addresses of {count}");
    let now = host.wire().now();
    let pages = pages_of::<MacView>(host.engine(), now, &Selection::default());
    notes.short("one page of `show macs`", median(&pages), Growth::Event);
    let of_one_port = Selection { port: Some(world.port(0)), ..Selection::default() };
    let pages = pages_of::<MacView>(host.engine(), now, &of_one_port);
    notes.short("one page of `show macs --port`", median(&pages), Growth::Event);
    let saving = ticks_after(&mut host, SAVED);
    notes.short("one tick while addresses are saved, on average", mean(&saving), Growth::Event);
    let expiry = ticks_after(&mut host, AGED);
    notes.short("one tick while all addresses expire, on average", mean(&expiry), Growth::Event);
    notes.short("one tick while all addresses expire: the worst", part(&expiry, 1.0), Growth::Told);
    let left = host.engine().view().status(host.wire().now()).addresses;
    assert!(left < count as usize, "{left} of {count} addresses are left after their age");
    notes.done()
}

/// The ticks that the engine wants at once when so much time has passed.
fn ticks_after(host: &mut Host, span: Duration) -> Vec<Duration> {
    host.wire().advance(span);
    let mut ticks = Vec::new();
    while host.has_work() {
        ticks.push(host.take(Input::Tick));
    }
    ticks
}

/// Ticks are of several kinds, some of which do next to nothing, so that the one in the middle may be of any kind.
fn mean(spans: &[Duration]) -> Duration {
    spans.iter().sum::<Duration>() / (spans.len().max(1) as u32)
}

fn pages_of<T: Listed>(engine: &Engine, now: Instant, wanted: &Selection) -> Vec<Duration> {
    let (mut spans, mut from) = (Vec::new(), Some(0));
    while let Some(at) = from {
        let (page, took) = meter::of_this_thread(|| T::page(engine, now, wanted, at));
        from = page.expect("a port that is there").next;
        spans.push(took);
    }
    spans
}

/// From one port to the next that is looked at: far away, and prime to the number of ports.
const STRIDE: usize = 1_009;
/// Longer than a flow may be idle.
const IDLE: Duration = Duration::from_secs(11);
/// Longer than the pause before addresses are saved again, and shorter than their age.
const SAVED: Duration = Duration::from_secs(200);
/// Longer than the age of an address.
const AGED: Duration = Duration::from_secs(301);
