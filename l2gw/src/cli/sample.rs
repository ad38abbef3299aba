//! Small random files for tests: the same choices make the same file, and another choice another.

use std::fmt::Write as _;
use std::sync::Arc;

use vlan::model::topology::Topology;

/// Numbers that decide what is in a file.
#[derive(Debug, Clone)]
pub(crate) struct Choices {
    numbers: Vec<u64>,
    at: usize,
}

impl Choices {
    /// From a seed (splitmix64).
    pub(crate) fn new(seed: u64) -> Choices {
        let number = |step: u64| {
            let mut z = seed.wrapping_add(step.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        Choices { numbers: (1..=400).map(number).collect(), at: 0 }
    }

    /// The same with a few choices made anew.
    pub(crate) fn changed(&self, seed: u64) -> Choices {
        let mut other = self.clone();
        let news = Choices::new(seed ^ 0x5eed);
        for pair in news.numbers.chunks(2).take(1 + seed as usize % 12) {
            let at = pair[0] as usize % 125;
            other.numbers[at] = pair[1];
        }
        other
    }

    fn of(&mut self, count: u64) -> u64 {
        let number = self.numbers[self.at % self.numbers.len()];
        self.at += 1;
        number % count
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.of(of.len() as u64) as usize]
    }

    /// The file.
    pub(crate) fn file(&self) -> String {
        let mut choices = Choices { numbers: self.numbers.clone(), at: 0 };
        let mut file =
            String::from("[nsdb]\nbackend = \"zookeeper\"\nservers = [\"192.0.2.9:2181\"]\n[hosts.gw1]\n");
        file.push_str(choices.pick(&[
            "",
            "underlay = \"192.0.2.1\"\n",
            "underlay-mtu = 1600\n",
            "datapath = \"ovs\"\n",
        ]));
        file.push_str("[hosts.gw2]\n");
        file.push_str(choices.pick(&["", "", "[overlay]\nport = 4790\n"]));
        choices.bridges(&mut file);
        for number in 0..3 {
            choices.trunk(number, &mut file);
        }
        for number in 0..7 {
            choices.port(number, &mut file);
        }
        file
    }

    /// The file, compiled, if it is right.
    pub(crate) fn topology(&self) -> Option<Arc<Topology>> {
        crate::config::parse("sample", &self.file()).ok().map(|config| Arc::new(config.topology))
    }

    fn bridges(&mut self, file: &mut String) {
        let (fabric, redundancy) = (
            self.pick(FABRICS),
            self.pick(&["designated", "designated", "designated", "none", "none", "stp"]),
        );
        let tpid = self.pick(&["0x8100", "0x8100", "0x88a8"]);
        let ageing = self.pick(&["300s", "300s", "0s", "90s"]);
        writeln!(
            file,
            "[bridges.dc1]\nkind = \"vlan-aware\"\nfabric = \"{fabric}\"\nredundancy = \"{redundancy}\"\ntpid = \"{tpid}\"\n\
             ageing = \"{ageing}\"\njoin-vids = {}",
            self.of(4) > 0
        )
        .unwrap();
        for vub in ["vub1", "vub2", "vub3"] {
            let more = self.pick(&["", "mtu = 1500\n", "mac-limit = 7\n", "ageing = \"40s\"\n"]);
            write!(file, "[bridges.{vub}]\nkind = \"vlan-unaware\"\n{more}").unwrap();
        }
        let inner = self.pick(&["vub3", "dc1"]);
        writeln!(file, "[bridges.carrier]\nkind = \"vlan-aware\"\nfabric = \"metro\"\njoin-vids = true")
            .unwrap();
        for (bridge, vid) in [("dc1", 5), ("dc1", 8), ("dc1", 9), ("carrier", 7)] {
            let to = if bridge == "carrier" { inner } else { self.pick(&["vub1", "vub2", "vub3"]) };
            if self.of(4) > 0 {
                writeln!(file, "[[vlans]]\nbridge = \"{bridge}\"\nvid = {vid}\nto = \"{to}\"").unwrap();
            }
        }
    }

    fn trunk(&mut self, number: usize, file: &mut String) {
        let (is_there, bridge) = (self.of(4) > 0, self.pick(&["dc1", "dc1", "carrier"]));
        let host = self.pick(&["gw1", "gw1", "gw1", "gw2"]);
        let more = self.trunk_keys();
        let weight = self.pick(&["", "", "weight = 3\n"]);
        let storm =
            self.pick(&["", "", "storm = { broadcast = 5 }\n", "storm = { unknown = 0, multicast = 9 }\n"]);
        if is_there {
            write!(
                file,
                "[[trunks]]\nname = \"leaf{number}\"\nbridge = \"{bridge}\"\nhost = \"{host}\"\nlink = \"e{number}\"\n{more}{weight}{storm}"
            )
            .unwrap();
        }
    }

    fn trunk_keys(&mut self) -> String {
        let mut more = self
            .pick(&[
                "",
                "vlans = [\"5\", \"8-10\", \"108\"]\n",
                "vlans = [\"5\", \"8-10\"]\nnative = 8\n",
                "vlans = [\"1-4094\"]\nnative = 9\nnative-tagged = true\n",
                "vlans = [\"1-4094\"]\nnative = 12\n",
                "vlans = [\"5\", \"8\", \"108\"]\ntranslate = { 108 = 9 }\nnative = 5\n",
                "vlans = [\"7\", \"108\"]\ntranslate = { 108 = 8, 7 = 5 }\n",
            ])
            .to_owned();
        more += self.pick(&["", "", "native-inner = \"pass\"\n"]);
        more += self.pick(&["", "", "priority-tags = true\n"]);
        more
    }

    fn port(&mut self, number: usize, file: &mut String) {
        let is_there = self.of(4) > 0;
        let vub = self.pick(&["vub1", "vub1", "vub2", "vub3"]);
        let vid = self.pick(&["5", "5", "8", "12"]);
        let (kind, more) = (self.of(6), self.trunk_keys());
        let customers =
            self.pick(&["", "customer-vlans = [\"8\", \"20-30\"]\n", "customer-vlans = [\"25-26\"]\n"]);
        let pcp = self.pick(&["", "", "pcp = 3\n"]);
        let host = self.pick(&["gw1", "gw1", "gw1", "gw2"]);
        let macs = self
            .pick(&["", "", "macs = [\"02:00:00:00:00:01\", \"02:00:00:00:00:00\"]\n"])
            .replace("0:0", &format!("0:{number}"));
        let settings = self.pick(&[
            "",
            "",
            "mac-limit = 9\non-limit = \"flood\"\n",
            "ips = [\"192.0.2.8\"]\n",
            "bpdu = \"discard\"\nmtu = 1500\n",
            "storm = { broadcast = 50 }\n",
            "isolated = true\n",
            "sticky = 2\n",
            "isolated = true\nflood = { unknown = false }\n",
        ]);
        let tags = self.pick(&["", "", "tags = \"drop\"\n"]);
        let mode = match kind {
            0 => format!("bridge = \"dc1\"\nmode = \"access\"\nvid = {vid}\n"),
            1 => format!("bridge = \"dc1\"\nmode = \"qinq\"\nvid = {vid}\n{customers}{pcp}"),
            2 => format!("bridge = \"dc1\"\nmode = \"trunk\"\n{more}"),
            3 => format!("bridge = \"carrier\"\nmode = \"qinq\"\nvid = 7\n{pcp}"),
            _ => format!("bridge = \"{vub}\"\n{tags}"),
        };
        if is_there {
            write!(
                file,
                "[[ports]]\nname = \"p{number}\"\nhost = \"{host}\"\nlink = \"d{number}\"\n{mode}{macs}{settings}"
            )
            .unwrap();
        }
    }
}

/// Pairs of files that differ little, each right; at least `count` of `tried`.
pub(crate) fn pairs(count: usize) -> Vec<(u64, Arc<Topology>, Arc<Topology>)> {
    let pair = |seed: u64| {
        let before = Choices::new(seed);
        Some((seed, before.topology()?, before.changed(seed).topology()?))
    };
    let pairs: Vec<_> = (0..40 * count as u64).filter_map(pair).take(count).collect();
    assert_eq!(pairs.len(), count, "too many of the random files are wrong");
    pairs
}

const FABRICS: &[&str] = &["fabric", "fabric", "rack"];
