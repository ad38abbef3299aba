//! Who moves, who only seems to, and who takes what is another's: the engine on the datapath's in-memory twin against `whereabouts`,
//! which says where each address may be.
//!
//! VMs speak, migrate behind the trunk and to other ports with announcements after 1 ms to 2 s, and speak with addresses of others; what
//! went into the fabric comes back from it within a second or later, whether the daemon or a flow has sent it. Nobody reads statistics
//! in time. `L2GW_SEED` repeats one case by its printed seed, `L2GW_CASES` says how many.

use std::fmt::Write as _;
use std::time::Duration;

use agent::budget::Rates;
use agent::engine::Settings;
use agent::event::Event;
use agent::list::everything;
use agent::view::MacView;
use datapath::fake::FakeWire;
use tests::rows::table::stories::declare;
use tests::sim::asked::{again, number};
use tests::sim::gateway::Gateway;
use tests::sim::rng::Rng;
use tests::sim::whereabouts::{FABRIC, Heard, Mac, Whereabouts};
use vlan::model::description::Description;
use vlan::time::Instant;

#[test]
fn every_address_is_where_the_contract_says_and_no_frame_goes_anywhere_twice() {
    let first = number("L2GW_SEED").unwrap_or(1);
    let cases = number("L2GW_CASES").unwrap_or(10_000);
    let mut counts = Counts::default();
    for seed in first..first + cases {
        if let Err(story) = Play::new(seed).finish(&mut counts) {
            panic!("{}: {story}", again(seed, "simulation", "moves::"));
        }
    }
    println!("seeds {first}..{}: {counts:?}", first + cases);
    if cases >= 1_000 {
        counts.check(cases);
    }
}

/// A frame met a flow of a freeze that was over, since the engine was not called when it asked for it.
#[test]
fn what_has_failed_once_holds() {
    let held = Play::new(8_995_869_185_680_060_591).finish(&mut Counts::default());
    assert!(held.is_ok(), "{}", held.unwrap_err());
}

/// One case on its way.
struct Play {
    rng: Rng,
    gateway: Gateway,
    wire: FakeWire,
    whereabouts: Whereabouts,
    ports: Vec<String>,
    /// Where each station really is.
    homes: Vec<(Mac, String)>,
    /// What went into the fabric, and when.
    outside: Vec<(Vec<u8>, Instant)>,
    serial: u32,
    story: String,
}

impl Play {
    fn new(seed: u64) -> Play {
        let mut rng = Rng::new(seed);
        let ports = rng.between(2, 5);
        let mut whereabouts = Whereabouts::default();
        let description = description(&mut rng, ports, &mut whereabouts);
        let mut settings = Settings::new("h1");
        settings.rates = Rates { port: 0, ..Rates::default() };
        settings.seed = seed;
        let wire = Gateway::wire(&description, Instant::from_secs(2_000_000));
        let gateway = Gateway::start(&wire, settings, (1, &description), Vec::new());
        let mut names: Vec<String> = (1..=ports).map(|port| format!("p{port}")).collect();
        let mut homes: Vec<(Mac, String)> =
            names.iter().enumerate().map(|(n, port)| (station(n), port.clone())).collect();
        homes.push((station(ROUTER), "t1".to_owned()));
        names.push("t1".to_owned());
        Play {
            rng,
            gateway,
            wire,
            whereabouts,
            ports: names,
            homes,
            outside: Vec::new(),
            serial: 0,
            story: String::new(),
        }
    }

    fn finish(mut self, counts: &mut Counts) -> Result<(), String> {
        for _ in 0..self.rng.between(15, 60) {
            let outcome = match self.rng.below(100) {
                0..25 => {
                    self.pass();
                    Ok(())
                }
                25..45 if !self.outside.is_empty() => self.reflect(counts),
                45..53 => self.steal(counts),
                53..61 => self.migrate(counts),
                _ => {
                    let (mac, port) = self.rng.pick(&self.homes).clone();
                    self.speak(mac, &port, counts)
                }
            };
            outcome.map_err(|difference| format!("{difference}\n{}", self.story))?;
        }
        Ok(())
    }

    fn pass(&mut self) {
        let ms = *self.rng.pick(&[1, 1, 10, 120, 400, 600, 999, 1_001, 2_000, 30_000, 181_000, 301_000]);
        let _ = writeln!(self.story, "  {ms} ms pass");
        self.wire.advance(Duration::from_millis(ms));
        self.gateway.handle(agent::input::Input::Tick);
        self.gateway.settle();
        if self.rng.chance(20) {
            self.gateway.read_statistics();
            self.gateway.settle();
        }
    }

    /// Lets milliseconds pass in which the engine is called only when it wants to be, as where a frozen address thaws.
    fn wait(&mut self, ms: u64) {
        self.wire.advance(Duration::from_millis(ms));
        self.gateway.settle();
    }

    fn speak(&mut self, mac: Mac, port: &str, counts: &mut Counts) -> Result<(), String> {
        let (dst, ether_type) = match self.rng.below(6) {
            0 | 1 => ([0xff; 6], 0x0806),
            2 => ([0xff; 6], 0x0800),
            3 => ([0xff; 6], RARP),
            _ => (self.rng.pick(&self.homes).0, 0x0800),
        };
        self.say(mac, port, (dst, ether_type), counts)
    }

    /// Each frame is another, but flows cannot tell them apart.
    fn say(
        &mut self,
        mac: Mac,
        port: &str,
        (dst, ether_type): (Mac, u16),
        counts: &mut Counts,
    ) -> Result<(), String> {
        self.serial += 1;
        let mut frame: Vec<u8> = [&dst[..], &mac].concat();
        if port.starts_with('t') {
            frame.extend([0x81, 0, 0, 8]);
        }
        frame.extend(ether_type.to_be_bytes());
        frame.extend(self.serial.to_be_bytes());
        frame.resize(80, 0xa5);
        self.send(port, &frame, counts).map(drop)
    }

    /// What went into the fabric comes back, at once or later.
    fn reflect(&mut self, counts: &mut Counts) -> Result<(), String> {
        let (frame, at) = self.rng.pick(&self.outside).clone();
        let recent = self.wire.now().since(at) <= Duration::from_secs(1);
        counts.returns += u64::from(recent);
        let heard = self.send("t1", &frame, counts)?;
        counts.reflections += u64::from(heard == Heard::Reflected);
        Ok(())
    }

    fn steal(&mut self, counts: &mut Counts) -> Result<(), String> {
        let victim = self.rng.pick(&self.homes).0;
        let port = self.rng.pick(&self.ports).clone();
        counts.thefts += 1;
        for _ in 0..self.rng.between(1, 8) {
            self.speak(victim, &port, counts)?;
            if self.rng.chance(50) {
                let owner = self.homes.iter().find(|(mac, _)| *mac == victim).cloned();
                let (mac, home) = owner.expect("a station");
                self.speak(mac, &home, counts)?;
            }
            self.wait(500);
        }
        Ok(())
    }

    /// It falls silent, and is announced at its new place after a while, up to five times.
    fn migrate(&mut self, counts: &mut Counts) -> Result<(), String> {
        let place = self.rng.below(self.homes.len());
        let to = if self.rng.chance(70) { "t1".to_owned() } else { self.rng.pick(&self.ports).clone() };
        let (mac, from) = self.homes[place].clone();
        if mac == station(ROUTER) || from == to {
            return Ok(());
        }
        counts.migrations += 1;
        let _ = writeln!(self.story, "  {mac:02x?} migrates from {from} to {to}");
        self.homes[place].1 = to.clone();
        let silent = self.rng.between(1, 2_000) as u64;
        self.wait(silent);
        let announcement = *self.rng.pick(&[RARP, 0x0806]);
        for _ in 0..self.rng.between(1, 5) {
            self.say(mac, &to, ([0xff; 6], announcement), counts)?;
            self.wait(150);
        }
        Ok(())
    }

    fn send(&mut self, port: &str, frame: &[u8], counts: &mut Counts) -> Result<Heard, String> {
        let now = self.wire.now();
        let _ = writeln!(self.story, "  {now} {port} {}", tests::sim::duel::hex(&frame[..20]));
        let asked = self.gateway.outputs.len();
        self.gateway.inject(port, frame);
        self.gateway.settle();
        let sent = self.gateway.take_sent();
        let is_asked = |(_, output): &(u64, agent::output::Output)| {
            matches!(output, agent::output::Output::ReadFlows { .. })
        };
        counts.asked += u64::from(self.gateway.outputs[asked..].iter().any(is_asked));
        counts.frames += 1;
        let look = look(frame);
        let place = if port.starts_with('t') { FABRIC } else { port };
        let heard = self.whereabouts.hear(now, look, place);
        let expected = self.expected(look, place, &heard);
        let got: Vec<String> = sent.iter().map(|(port, _)| port.clone()).collect();
        if got != expected {
            return Err(format!(
                "{heard:?}: expected copies to {expected:?}, got {got:?}\n{:#?}",
                self.macs()
            ));
        }
        if let Some((_, copy)) = sent.iter().find(|(port, _)| port == "t1") {
            self.outside.push((copy.clone(), now));
            self.whereabouts.note_sent(now, look);
        }
        counts.frozen += u64::from(matches!(heard, Heard::Frozen(_)));
        counts.stuck_out += u64::from(heard == Heard::Dropped && self.whereabouts.sticky.contains_key(place));
        self.compare_places()?;
        self.check_events()?;
        Ok(heard)
    }

    /// The ports that get a copy, in order, each once.
    fn expected(&self, (src, dst, _): (Mac, Mac, u16), place: &str, heard: &Heard) -> Vec<String> {
        let goes_on = match heard {
            Heard::Welcome => true,
            Heard::Dropped | Heard::Reflected => false,
            Heard::Frozen(home) => home == place,
        };
        let at = |port: &String| if port.starts_with('t') { FABRIC } else { port.as_str() }.to_owned();
        let known = if dst[0] & 1 == 1 { None } else { self.whereabouts.find(dst) };
        let is_wanted = |port: &&String| known.is_none_or(|known| at(port) == known) && at(port) != place;
        let mut copies: Vec<String> =
            self.ports.iter().filter(is_wanted).filter(|_| goes_on && src[0] & 1 == 0).cloned().collect();
        copies.sort();
        copies
    }

    fn macs(&self) -> Vec<MacView> {
        everything(&self.gateway.engine, self.wire.now())
    }

    fn compare_places(&self) -> Result<(), String> {
        for mac in self.macs() {
            let expected = self.whereabouts.find(mac.mac.0);
            if mac.kind != "declared" && expected != Some(mac.location.as_str()) {
                return Err(format!("{mac:?} should be at {expected:?}"));
            }
        }
        Ok(())
    }

    /// An event of a frozen address names its two sides, and no loop is seen where there is none.
    fn check_events(&mut self) -> Result<(), String> {
        for event in std::mem::take(&mut self.gateway.events) {
            match &event {
                Event::AddressFrozen { held, seen, .. } if held == seen => return Err(format!("{event:?}")),
                Event::Reflected { held, port, .. } if held == port || port != "t1" => {
                    return Err(format!("{event:?}"));
                }
                Event::PortBlocked { .. } => return Err(format!("{event:?}")),
                _ => {}
            }
        }
        Ok(())
    }
}

/// A VUB behind a trunk, with VMs; some declare their address, some have it stick to their port, now and then a router is declared behind
/// the trunk, or two VMs share one.
fn description(rng: &mut Rng, ports: usize, whereabouts: &mut Whereabouts) -> Description {
    let mut rows = vec![
        "bridge sw ageing 0".to_owned(),
        "bridge red unaware ageing 0".to_owned(),
        "vlan sw 8 red".to_owned(),
    ];
    let router = if rng.chance(25) { format!(" macs {}", text(station(ROUTER))) } else { String::new() };
    if !router.is_empty() {
        whereabouts.declared.insert(station(ROUTER), FABRIC.to_owned());
    }
    rows.push(format!("trunk t1 sw 8{router}"));
    let shares = rng.chance(20);
    for number in 0..ports {
        let name = format!("p{}", number + 1);
        let mut row = format!("port {name} red storm 0/0/0");
        if rng.chance(15) && !(shares && number < 2) {
            let _ = write!(row, " macs {}", text(station(number)));
            whereabouts.declared.insert(station(number), name.clone());
            whereabouts.strict.push(name.clone());
        } else if rng.chance(15) && !(shares && number < 2) {
            let most = rng.between(1, 2);
            let _ = write!(row, " sticky {most}");
            whereabouts.sticky.insert(name.clone(), most);
        }
        if shares && number < 2 {
            let _ = write!(row, " shared-macs {}", text(station(0)));
            whereabouts.shared.entry(station(0)).or_default().push(name);
        }
        rows.push(row);
    }
    let mut description = Description::default();
    for row in rows {
        assert_eq!(declare(&mut description, &row), Ok(true), "{row}");
    }
    description
}

fn look(frame: &[u8]) -> (Mac, Mac, u16) {
    let mac = |at: usize| -> Mac { frame[at..at + 6].try_into().expect("six bytes") };
    let behind = if frame[12..14] == [0x81, 0] { 16 } else { 12 };
    (mac(6), mac(0), u16::from_be_bytes([frame[behind], frame[behind + 1]]))
}

fn station(number: usize) -> Mac {
    [2, 0, 0, 0, 1, number as u8]
}

fn text(mac: Mac) -> String {
    vlan::addr::MacAddr(mac).to_string()
}

/// What the cases were made of.
#[derive(Debug, Default)]
struct Counts {
    frames: u64,
    returns: u64,
    reflections: u64,
    asked: u64,
    thefts: u64,
    migrations: u64,
    frozen: u64,
    /// Dropped at a port where others stick.
    stuck_out: u64,
}

impl Counts {
    fn check(&self, cases: u64) {
        let often = [self.returns, self.reflections, self.thefts, self.migrations];
        assert!(often.into_iter().all(|count| count > cases / 2), "{self:?}");
        assert!(self.asked > cases / 10 && self.frozen > cases / 10, "{self:?}");
        assert!(self.stuck_out > cases / 10, "{self:?}");
    }
}

const ROUTER: usize = 0x80;
/// Reverse ARP (RFC 903): how a hypervisor announces a VM that has migrated.
const RARP: u16 = 0x8035;
