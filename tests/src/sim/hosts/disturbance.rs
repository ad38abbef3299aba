//! What befalls hosts.

use super::*;

impl Schedule {
    fn some_host(&mut self) -> String {
        self.rng.pick(&self.hosts).clone()
    }

    /// A host loses the store, finds that out, or has it again.
    pub(super) fn cut_or_mend_store(&mut self) {
        let host = self.some_host();
        self.disturb();
        match self.cut.get(&host).copied() {
            None => {
                self.counts.cuts += 1;
                let is_told = self.rng.chance(60);
                self.tell(&format!("{host} has no store, told: {is_told}"));
                self.cluster.cut_off(&host, true, is_told);
                self.cut.insert(host, is_told);
            }
            Some(false) if self.rng.chance(40) => {
                self.tell(&format!("{host} finds that the store is away"));
                self.cluster.cut_off(&host, true, true);
                self.cut.insert(host, true);
            }
            Some(_) => self.mend_store(&host),
        }
    }

    pub(super) fn mend_store(&mut self, host: &str) {
        let Some(was_told) = self.cut.remove(host) else { return };
        let begins_anew = self.rng.chance(50);
        self.tell(&format!("{host} has the store again, from a new beginning: {begins_anew}"));
        if begins_anew {
            self.cluster.listener(host).begin_anew();
        }
        self.cluster.cut_off(host, false, was_told);
    }

    /// Words come late, once more, or in another order.
    pub(super) fn disturb_words(&mut self) {
        let host = self.some_host();
        self.counts.words += 1;
        match self.rng.below(4) {
            0 | 1 => {
                self.disturb();
                let is_late = !self.late.contains(&host);
                self.hear_late(&host, is_late);
            }
            2 => {
                let words = self.some_words();
                self.tell(&format!("repeated:{}", words.iter().map(told).collect::<String>()));
                self.cluster.feed.repeat(&words);
                self.cluster.settle();
            }
            _ if self.cut.contains_key(&host) => {}
            _ => {
                let words = self.some_words();
                self.tell(&format!(
                    "{host} hears out of turn:{}",
                    words.iter().map(told).collect::<String>()
                ));
                self.cluster.host(&host).handle(Input::Feed(FeedNews::Words(words)));
                self.cluster.settle();
            }
        }
    }

    /// A host hears nothing of what is said in the store, or all that it has not heard.
    pub(super) fn hear_late(&mut self, host: &str, is_late: bool) {
        self.tell(&format!("{host} hears late: {is_late}"));
        self.cluster.listener(host).is_late = is_late;
        if is_late {
            self.late.insert(host.to_owned());
        } else {
            self.late.remove(host);
            self.cluster.settle();
        }
    }

    /// Words that were said, one or some, in any order.
    fn some_words(&mut self) -> Vec<AddressRecord> {
        let vlan = *self.rng.pick(&world::VLANS);
        let said = self.said(vlan);
        if said.is_empty() {
            return Vec::new();
        }
        let most = self.rng.between(1, 4);
        (0..most).map(|_| *self.rng.pick(&said)).collect()
    }

    /// All words about a VLAN in the order in which they were said.
    pub(super) fn said(&self, vlan: u16) -> Vec<AddressRecord> {
        let name: SegmentName = format!("vub{vlan}").parse().expect("a segment's name");
        let vni = self.cluster.numbers().segments.get(&name);
        vni.map_or_else(Vec::new, |vni| self.cluster.feed.log(*vni).to_vec())
    }

    /// Some hosts do not reach the others, or all reach each other again.
    pub(super) fn cut_or_mend_underlay(&mut self) {
        self.disturb();
        if self.is_partitioned && self.rng.chance(60) {
            self.tell("the underlay is mended");
            self.is_partitioned = false;
            return self.cluster.underlay.mend();
        }
        self.counts.partitions += 1;
        self.is_partitioned = true;
        let hosts = &self.cluster.description().hosts;
        let own = hosts.iter().filter(|host| self.hosts.contains(&host.name));
        let addresses: Vec<_> = own.filter_map(|host| host.underlay).collect();
        let (one, other): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|_| self.rng.chance(50));
        let is_one_way = self.rng.chance(20);
        self.tell(&format!("{one:?} and {other:?} do not reach each other, one way: {is_one_way}"));
        self.cluster.underlay.cut_one_way(&one, &other);
        if !is_one_way {
            self.cluster.underlay.cut_one_way(&other, &one);
        }
    }

    pub(super) fn start_again(&mut self) {
        let host = self.some_host();
        self.counts.restarts += 1;
        self.disturb();
        self.tell(&format!("{host} starts again"));
        self.cluster.restart(&host);
        if self.cut.get(&host).is_some_and(|is_told| *is_told) {
            self.cluster.cut_off(&host, true, true);
        }
    }

    /// A link loses its carrier, or has it again.
    pub(super) fn flap(&mut self) {
        let mut sites = self.trunks();
        world::VLANS.iter().for_each(|vlan| sites.extend(self.ports_of(*vlan)));
        sites.extend(self.down.iter().filter(|site| self.is_in_force(site)).cloned());
        if sites.is_empty() {
            return;
        }
        let site = self.rng.pick(&sites).clone();
        self.disturb();
        let is_down = !self.down.remove(&site);
        self.tell(&format!("{site:?} has a carrier: {}", !is_down));
        if is_down {
            self.down.insert(site.clone());
        }
        self.cluster.host(&site.0).set_carrier(&site.1, !is_down);
        self.cluster.settle();
    }

    /// Whether a host has a port of this name.
    pub(super) fn is_in_force(&self, (host, port): &Site) -> bool {
        let description = self.cluster.in_force(host);
        let mut ports = description.trunks.iter().chain(&description.ports);
        ports.any(|one| one.name == *port && one.host == *host)
    }

    pub(super) fn publish(&mut self) {
        self.revision += 1;
        self.counts.revisions += 1;
        self.disturb();
        let (next, said) = world::next(&mut self.rng, self.cluster.description(), self.revision);
        self.tell(&format!("revision {}: {said}", self.revision));
        self.cluster.publish(self.revision, &next);
        let host = self.some_host();
        self.go_by(&host);
    }

    pub(super) fn adopt(&mut self) {
        let host = self.some_host();
        if !self.cluster.is_of_one_mind() {
            self.disturb();
            self.go_by(&host);
        }
    }

    pub(super) fn go_by(&mut self, host: &str) {
        self.tell(&format!("{host} goes by revision {}", self.revision));
        self.cluster.adopt(host);
    }
}
