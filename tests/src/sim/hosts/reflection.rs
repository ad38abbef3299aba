//! What a station has sent into the fabric by one gateway comes back by another, which has taken the VLAN over: nobody may take that for a
//! move of the station.

use super::*;

impl Schedule {
    /// A station speaks to a machine of the fabric, the trunk that its frame left by goes down, and another trunk brings the frame back.
    /// Now and then the station's host does not answer the other gateway, which has never sent that frame.
    pub(super) fn somebody_is_reflected(&mut self) -> Result<(), String> {
        let who = self.rng.below(self.stations.len());
        let station = self.stations[who].clone();
        let Place::Port((home, _)) = station.at.clone() else { return Ok(()) };
        let trunks = self.trunks();
        if trunks.len() < 2 || !station.is_settled || !self.is_calm() || self.is_frozen(station.mac) {
            return Ok(());
        }
        self.tell(&format!("{station} speaks to a machine, and is reflected"));
        let [high, low] = (self.counts.frames as u16).to_be_bytes();
        let (vlan, machine) = (station.vlan, [2, 0, 0, 3, high, low]);
        let shot = |src, dst, into| Shot { vlan, src, dst, kind: 0x0800, into };
        self.send(shot(machine, station.mac, trunks.clone()))?;
        let reached = self.send(shot(station.mac, machine, self.entries(&station)))?;
        let frame = self.shots.last_bytes(true);
        let [by] = reached.as_slice() else {
            return Err(format!("{station} reached a machine at {reached:?}"));
        };
        let other = trunks.into_iter().find(|trunk| trunk != by).expect("there are two");
        self.disturb();
        self.cluster.host(&by.0).set_carrier(&by.1, false);
        self.pass_ms(&[200, 400, 700]);
        let is_silent = home != other.0 && self.rng.chance(30);
        if is_silent {
            self.tell(&format!("{home} does not answer {}", other.0));
            let (from, to) = (self.address(&home), self.address(&other.0));
            self.cluster.underlay.cut_one_way(&[from], &[to]);
        }
        self.tell(&format!("its frame comes back by {other:?}"));
        self.cluster.host(&other.0).inject(&other.1, &frame);
        self.pass(ANSWERED);
        self.cluster.underlay.mend();
        self.counts.reflections += 1;
        self.check_unmoved(&station)?;
        self.cluster.host(&by.0).set_carrier(&by.1, true);
        self.pass_ms(&[200]);
        self.look()
    }

    fn address(&self, host: &str) -> std::net::IpAddr {
        let host = self.cluster.description().hosts.iter().find(|one| one.name == host);
        host.and_then(|host| host.underlay).expect("every host has one")
    }

    /// No host takes a station to be anywhere but where it is.
    fn check_unmoved(&mut self, station: &Station) -> Result<(), String> {
        self.look()?;
        if self.is_frozen(station.mac) {
            return Ok(());
        }
        for host in self.hosts.clone() {
            let expected = station.location(&host);
            match self.known(&host, station) {
                Some((found, _)) if found != expected => {
                    return Err(format!("{host} takes {station} to be at {found}, not at {expected}"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Longer than a gateway waits for an answer, and shorter than any host may be silent.
const ANSWERED: Duration = Duration::from_millis(250);
