//! The end of a schedule: all is mended, each station speaks once more, and everybody must know where it is.

use agent::page::Selection;
use nsdb::{FeedLimits, HostId, Presence, SegmentTable};

use super::*;

impl Schedule {
    pub(super) fn end(&mut self) -> Result<(), String> {
        self.tell("all is mended");
        self.mend()?;
        self.thaw()?;
        // An address that is heard once too often now is free again in five minutes.
        for _ in 0..3 {
            self.everybody_speaks()?;
            if !self.thaw()? {
                break;
            }
        }
        self.pass(CALM);
        self.look()?;
        self.check_tables()?;
        self.check_words()?;
        self.check_unicasts()
    }

    /// All is mended in between.
    pub(super) fn calm_down(&mut self) -> Result<(), String> {
        self.tell("all is mended for a while");
        self.mend()?;
        self.pass(CALM);
        self.everybody_speaks()
    }

    fn mend(&mut self) -> Result<(), String> {
        self.cluster.underlay.mend();
        self.is_partitioned = false;
        for host in self.hosts.clone() {
            self.mend_store(&host);
            if self.late.contains(&host) {
                self.hear_late(&host, false);
            }
            self.go_by(&host);
        }
        for site in std::mem::take(&mut self.down) {
            if self.is_in_force(&site) {
                self.cluster.host(&site.0).set_carrier(&site.1, true);
            }
        }
        self.pass(Duration::from_secs(5));
        self.look()?;
        for who in 0..self.stations.len() {
            let ports = self.ports_of(self.stations[who].vlan);
            if self.is_lost(who) && !ports.is_empty() {
                let port = self.rng.pick(&ports).clone();
                self.tell(&format!("{} is at {port:?} now", self.stations[who]));
                self.stations[who].move_to(Place::Port(port));
            }
        }
        Ok(())
    }

    /// Waits until no address is frozen. Whether one was.
    fn thaw(&mut self) -> Result<bool, String> {
        let now = self.cluster.now();
        let Some(until) = self.frozen.values().copied().max().filter(|until| *until > now) else {
            return Ok(false);
        };
        self.counts.thaws += 1;
        self.pass(until.since(now) + Duration::from_secs(1));
        self.look()?;
        Ok(true)
    }

    fn everybody_speaks(&mut self) -> Result<(), String> {
        for who in 0..self.stations.len() {
            let (dst, kind) = self.words_of(who);
            self.speak(who, dst, kind)?;
            self.pass(ECHO);
            self.look()?;
        }
        Ok(())
    }

    /// The hosts that have a port of a VLAN or a trunk.
    fn sharers(&self, vlan: u16) -> BTreeSet<String> {
        let sites = self.trunks().into_iter().chain(self.ports_of(vlan));
        sites.map(|(host, _)| host).collect()
    }

    fn check_tables(&mut self) -> Result<(), String> {
        for who in 0..self.stations.len() {
            if self.is_lost(who) {
                continue;
            }
            let station = self.stations[who].clone();
            let sharers = self.sharers(station.vlan);
            for host in self.hosts.clone() {
                let found = self.known(&host, &station);
                let expected = station.location(&host);
                self.counts.asked += u64::from(sharers.contains(&host));
                match found {
                    None if !sharers.contains(&host) => {}
                    None => self.counts.unknown += 1,
                    Some((location, _)) if location == expected => {}
                    // What is heard of a segment that a host has no part in leads nowhere, and ages.
                    Some((_, kind)) if kind == "dynamic" && !sharers.contains(&host) => {}
                    Some(found) => {
                        let known = self.knowledge(&station);
                        return Err(format!(
                            "{host} takes {station} to be at {found:?}, not at {expected}{known}"
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// Where a host takes a station to be, and how it knows.
    pub(super) fn known(&mut self, host: &str, station: &Station) -> Option<(String, String)> {
        let (now, mac) = (self.cluster.now(), MacAddr(station.mac));
        let selection = Selection { mac: Some(mac), ..Selection::default() };
        let page = self.cluster.host(host).engine.view().mac_page(now, &selection, 0).ok()?;
        let vub = format!("vub{}", station.vlan);
        let mut rows = page.rows.into_iter().map(|(_, row)| row);
        let row =
            rows.find(|row| row.bridge == vub || row.vid.is_some_and(|vid| vid.get() == station.vlan))?;
        Some((row.location, row.kind))
    }

    /// Folded in any order, the words about a station name the host that hears it.
    fn check_words(&mut self) -> Result<(), String> {
        for who in 0..self.stations.len() {
            let station = self.stations[who].clone();
            if self.sharers(station.vlan).len() < 2 || self.is_lost(who) {
                continue;
            }
            let owners: Vec<String> = match &station.at {
                Place::Port((host, _)) => vec![host.clone()],
                Place::Fabric => self.trunks().into_iter().map(|(host, _)| host).collect(),
            };
            let hosts = &self.cluster.numbers().hosts;
            let numbers: Vec<HostId> = owners.iter().map(|owner| HostId(hosts[owner])).collect();
            let words = self.said(station.vlan);
            let words: Vec<_> = words.into_iter().filter(|word| word.key.mac.0 == station.mac).collect();
            let (one, other) = (self.folded(&words), self.folded(&words));
            let is_right =
                one.is_some_and(|word| word.presence == Presence::Present && numbers.contains(&word.owner));
            if one != other || !is_right {
                let words: String = words.iter().map(told).collect();
                return Err(format!("{station} is at {owners:?}, by words {one:?} or {other:?} of{words}"));
            }
        }
        Ok(())
    }

    /// The word that holds when these have come, in any order.
    fn folded(&mut self, words: &[AddressRecord]) -> Option<AddressRecord> {
        let mut rest = words.to_vec();
        let (mut table, limits) = (SegmentTable::default(), FeedLimits::default());
        while !rest.is_empty() {
            let word = rest.swap_remove(self.rng.below(rest.len()));
            table.take(word, limits.addresses, limits.tombstones);
        }
        let key = words.first()?.key;
        table.get(key.inner, key.mac)
    }

    /// From every port, a frame to a station comes to it, and nowhere else.
    fn check_unicasts(&mut self) -> Result<(), String> {
        for vlan in world::VLANS {
            let mut places: Vec<Vec<Site>> = self.ports_of(vlan).into_iter().map(|site| vec![site]).collect();
            places.extend(Some(self.trunks()).filter(|trunks| !trunks.is_empty()));
            for (number, into) in places.into_iter().enumerate() {
                for who in 0..self.stations.len() {
                    if self.stations[who].vlan == vlan && !self.is_lost(who) {
                        self.check_unicast(number, into.clone(), who)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn check_unicast(&mut self, number: usize, into: Vec<Site>, who: usize) -> Result<(), String> {
        let station = self.stations[who].clone();
        let src = [2, 0, 0, 1, station.vlan as u8, number as u8];
        let from_trunk = into[0].1.starts_with("leaf");
        let shot = Shot { vlan: station.vlan, src, dst: station.mac, kind: 0x0800, into: into.clone() };
        let reached = self.send(shot)?;
        let is_right = match &station.at {
            Place::Fabric if from_trunk => reached.is_empty(),
            Place::Fabric => reached.len() == 1 && reached[0].1.starts_with("leaf"),
            Place::Port(site) if into.contains(site) => reached.is_empty(),
            Place::Port(site) => reached == [site.clone()],
        };
        if is_right {
            return Ok(());
        }
        let known = self.knowledge(&station);
        Err(format!("from {into:?} to {station}: reached {reached:?}{known}"))
    }

    /// Where each host takes a station to be, and what was said of it: a line each.
    fn knowledge(&mut self, station: &Station) -> String {
        let hosts = self.hosts.clone();
        let known = |host: &String| format!("\n    {host}: {:?}", self.known(host, station));
        let known: String = hosts.iter().map(known).collect();
        let said = self.said(station.vlan);
        let said = said.iter().filter(|word| word.key.mac.0 == station.mac).map(told);
        known + &said.collect::<String>()
    }
}
