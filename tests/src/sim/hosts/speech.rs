//! What stations do: speak and move.

use super::*;

impl Schedule {
    /// Puts stations at ports, and some behind the trunks.
    pub(super) fn populate(&mut self) {
        for number in 0..self.rng.between(3, 6) {
            let vlan = if self.rng.chance(70) { 8 } else { 5 };
            // One address in two VLANs is two.
            let mac = [2, 0, 0, 0, 0, if number == 5 { 1 } else { number as u8 + 1 }];
            let is_taken = self.stations.iter().any(|other| (other.mac, other.vlan) == (mac, vlan));
            let place = self.somewhere(vlan);
            if let Some(place) = place.filter(|_| !is_taken) {
                let station = Station::new(mac, vlan, place);
                self.tell(&format!("{station}"));
                self.stations.push(station);
            }
        }
    }

    fn somewhere(&mut self, vlan: u16) -> Option<Place> {
        if self.rng.chance(15) && !self.trunks().is_empty() {
            return Some(Place::Fabric);
        }
        let ports = self.ports_of(vlan);
        (!ports.is_empty()).then(|| Place::Port(self.rng.pick(&ports).clone()))
    }

    /// The ports that a frame of a station goes into; none where it is cut off.
    pub(super) fn entries(&self, station: &Station) -> Vec<Site> {
        match &station.at {
            Place::Fabric => self.trunks(),
            Place::Port(site) => {
                self.ports_of(station.vlan).into_iter().filter(|port| port == site).collect()
            }
        }
    }

    pub(super) fn is_lost(&self, who: usize) -> bool {
        self.entries(&self.stations[who]).is_empty()
    }

    pub(super) fn somebody_speaks(&mut self) -> Result<(), String> {
        let who = self.rng.below(self.stations.len());
        let (dst, kind) = self.words_of(who);
        self.speak(who, dst, kind)
    }

    /// To all, to somebody of its VLAN, or to nobody.
    pub(super) fn words_of(&mut self, who: usize) -> (Mac, u16) {
        let vlan = self.stations[who].vlan;
        let others = self.stations.iter().filter(|other| other.vlan == vlan);
        let others: Vec<Mac> = others.map(|other| other.mac).collect();
        match self.rng.below(10) {
            0..3 => (BROADCAST, 0x0806),
            3 => ([2, 0, 0, 0, 7, 7], 0x0800),
            _ => (*self.rng.pick(&others), 0x0800),
        }
    }

    pub(super) fn somebody_moves(&mut self) -> Result<(), String> {
        let who = self.rng.below(self.stations.len());
        let vlan = self.stations[who].vlan;
        let Some(place) = self.somewhere(vlan).filter(|place| *place != self.stations[who].at) else {
            return Ok(());
        };
        self.counts.moves += 1;
        self.tell(&format!("{} moves to {place:?}", self.stations[who]));
        self.stations[who].move_to(place);
        self.pass_ms(&[1, 10, 100, 400, 999, 1_001, 2_000]);
        if self.rng.chance(75) {
            for _ in 0..self.rng.between(1, 3) {
                self.speak(who, BROADCAST, RARP)?;
            }
        }
        Ok(())
    }

    /// A frame from where a station was comes to other hosts after the one from where it is now: that changes nothing.
    pub(super) fn somebody_is_overtaken(&mut self) -> Result<(), String> {
        let who = self.rng.below(self.stations.len());
        let station = self.stations[who].clone();
        let ports = self.ports_of(station.vlan);
        let Place::Port(old) = &station.at else { return Ok(()) };
        if ports.is_empty() {
            return Ok(());
        }
        let new = self.rng.pick(&ports).clone();
        let watcher = self.rng.pick(&ports).clone();
        if !station.is_settled || !self.is_calm() || new.0 == old.0 || watcher.0 == new.0 {
            return Ok(());
        }
        self.tell(&format!("{station} moves to {new:?}, and a frame is overtaken"));
        let shot = |into: &Site| {
            let (vlan, src, into) = (station.vlan, station.mac, vec![into.clone()]);
            Shot { vlan, src, dst: BROADCAST, kind: RARP, into }
        };
        self.cluster.underlay.hold();
        self.send(shot(old))?;
        let late = self.cluster.underlay.held();
        self.stations[who].move_to(Place::Port(new.clone()));
        self.send(shot(&new))?;
        let first = self.cluster.underlay.held().into_iter().filter(|packet| !late.contains(packet));
        first.for_each(|(number, _)| self.cluster.underlay.release(number));
        self.cluster.settle();
        self.cluster.underlay.release_all();
        self.cluster.settle();
        self.look()?;
        self.stations[who].spoke = Some(self.cluster.now());
        let [high, low] = (self.counts.frames as u16).to_be_bytes();
        let asker = [2, 0, 0, 2, high, low];
        let shot =
            Shot { vlan: station.vlan, src: asker, dst: station.mac, kind: 0x0800, into: vec![watcher] };
        let reached = self.send(shot)?;
        if self.is_frozen(station.mac) || reached == [new.clone()] {
            return Ok(());
        }
        Err(format!("{} reached at {reached:?}", self.stations[who]))
    }

    /// A station sends a frame, if it can.
    pub(super) fn speak(&mut self, who: usize, dst: Mac, kind: u16) -> Result<(), String> {
        let station = self.stations[who].clone();
        let into = self.entries(&station);
        if into.is_empty() {
            return Ok(());
        }
        let foretold = self.foretell(&station, &into, dst);
        let shot = Shot { vlan: station.vlan, src: station.mac, dst, kind, into };
        let reached = self.send(shot)?;
        self.look()?;
        // It may have been frozen by this very frame.
        if let Some(foretold) = foretold.filter(|_| !self.is_frozen(station.mac)) {
            self.counts.foretold += 1;
            self.check(&foretold, &reached)?;
        }
        let now = self.cluster.now();
        let is_fresh = station.spoke_elsewhere.is_none_or(|at| now.since(at) > ECHO);
        let is_settled = self.is_calm() && is_fresh && !self.is_frozen(station.mac);
        let station = &mut self.stations[who];
        station.spoke = Some(now);
        station.is_settled |= is_settled;
        Ok(())
    }

    /// Sends a frame and returns where copies of it came out at once.
    pub(super) fn send(&mut self, shot: Shot) -> Result<Vec<Site>, String> {
        self.counts.frames += 1;
        let into = shot.into.clone();
        let hosts = self.hosts.iter().map(|host| self.cluster.in_force(host).hosts.len()).max();
        let most = into.len() * (hosts.unwrap_or_default() - 1);
        let (src, dst) = (MacAddr(shot.src), MacAddr(shot.dst));
        let said = format!("{src} to {dst} {:04x} on {} into {into:?}", shot.kind, shot.vlan);
        let number = self.shots.add(shot);
        self.cluster.underlay.sent();
        for (host, port) in &into {
            let frame = self.shots.bytes(number, port.starts_with("leaf"));
            self.cluster.host(host).inject(port, &frame);
        }
        self.cluster.settle();
        let packets = self.cluster.underlay.sent();
        let copies = packets.iter().filter(|packet| Shots::number_of(&packet.frame) == Some(number)).count();
        self.tell(&format!("{said}, {copies} between hosts"));
        if copies > most {
            return Err(format!("{copies} copies of one frame went from host to host"));
        }
        let reached = self.collect()?;
        let reached: Vec<Site> =
            reached.into_iter().filter(|(copy, _)| *copy == number).map(|(_, site)| site).collect();
        let _ = writeln!(self.story, "    reached {reached:?}");
        Ok(reached)
    }

    /// The copies that left by any port, each with its number.
    pub(super) fn collect(&mut self) -> Result<Vec<(u32, Site)>, String> {
        let mut copies = Vec::new();
        for (host, port, frame) in self.cluster.take_sent() {
            let ports = &self.cluster.in_force(&host).ports;
            let port_of = ports.iter().find(|one| one.name == port && one.host == host);
            let vlan = port_of.and_then(|port| port.bridge.strip_prefix("vub")?.parse().ok());
            let site = (host, port);
            if let Some(number) = self.shots.note(&site, vlan, &frame)? {
                copies.push((number, site));
            }
        }
        Ok(copies)
    }

    /// What a frame must reach; `None` where that depends on what was disturbed.
    fn foretell(&self, station: &Station, into: &[Site], dst: Mac) -> Option<Foretold> {
        let now = self.cluster.now();
        let is_fresh = station.spoke_elsewhere.is_none_or(|at| now.since(at) > ECHO);
        if !self.is_calm() || self.is_frozen(station.mac) || self.is_frozen(dst) || !is_fresh {
            return None;
        }
        let trunks = if station.at == Place::Fabric { Vec::new() } else { self.trunks() };
        if dst == BROADCAST {
            let mut ports = self.ports_of(station.vlan);
            ports.retain(|port| !into.contains(port));
            return Some(Foretold { ports, trunks, is_all: true });
        }
        let other = self.stations.iter().find(|other| (other.mac, other.vlan) == (dst, station.vlan))?;
        match &other.at {
            _ if !other.is_settled => None,
            Place::Fabric => Some(Foretold { ports: Vec::new(), trunks, is_all: false }),
            Place::Port(site) if into.contains(site) => None,
            Place::Port(site) => {
                Some(Foretold { ports: vec![site.clone()], trunks: Vec::new(), is_all: false })
            }
        }
    }

    fn check(&self, foretold: &Foretold, reached: &[Site]) -> Result<(), String> {
        let Foretold { ports, trunks, is_all } = foretold;
        let missed: Vec<&Site> = ports.iter().filter(|port| !reached.contains(port)).collect();
        let by_trunks = reached.iter().filter(|site| trunks.contains(site)).count();
        let is_odd = *is_all && reached.len() != ports.len() + trunks.len().min(1);
        if !missed.is_empty() || (!trunks.is_empty() && by_trunks != 1) || is_odd {
            return Err(format!("expected {ports:?} and one of {trunks:?}, reached {reached:?}"));
        }
        let mut once = reached.to_vec();
        once.sort();
        once.dedup();
        if once.len() != reached.len() { Err(format!("twice: {reached:?}")) } else { Ok(()) }
    }
}

/// What a frame must reach.
struct Foretold {
    /// Each of these ports.
    ports: Vec<Site>,
    /// One of these, if there are any.
    trunks: Vec<Site>,
    /// Whether that is all.
    is_all: bool,
}
