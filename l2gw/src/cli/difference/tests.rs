//! What a difference says, and whether it says everything.

use std::collections::BTreeMap;
use std::time::Duration;

use vlan::model::description::{Mode, Port};

use super::*;
use crate::cli::sample::pairs;

fn topology(text: &str) -> Arc<Topology> {
    Arc::new(crate::config::parse("f", text).unwrap_or_else(|problems| panic!("{problems}\n{text}")).topology)
}

fn gateway(vid: u16, rest: &str) -> Arc<Topology> {
    topology(&format!(
        "[hosts.gw1]\n[bridges.dc1]\nkind = \"vlan-aware\"\n[bridges.vub8]\nkind = \"vlan-unaware\"\n\
         [[vlans]]\nbridge = \"dc1\"\nvid = {vid}\nto = \"vub8\"\n\
         [[trunks]]\nname = \"leaf1\"\nbridge = \"dc1\"\nhost = \"gw1\"\nlink = \"eth2\"\n\
         [[ports]]\nname = \"vm8\"\nbridge = \"vub8\"\nhost = \"gw1\"\nlink = \"tap8\"\n{rest}"
    ))
}

fn lines(before: &Arc<Topology>, after: &Arc<Topology>) -> Vec<String> {
    let difference = Difference::new(before.description(), after);
    difference.objects.iter().cloned().chain(difference.frames.iter().map(FrameChange::to_string)).collect()
}

const VM9: &str = "[[ports]]\nname = \"vm9\"\nbridge = \"vub8\"\nhost = \"gw1\"\nlink = \"tap9\"\n";

#[test]
fn the_same_is_no_difference() {
    assert!(Difference::new(gateway(8, "").description(), &gateway(8, "")).is_empty());
}

#[test]
fn another_vid_changes_one_vlan_and_the_tag_of_what_leaves() {
    let expected = [
        "- vlans dc1.8",
        "+ vlans dc1.9: to = \"vub8\"",
        "leaf1 [8]: vm8 untagged => drop vlan-not-allowed",
        "leaf1 [9]: drop vlan-not-allowed => vm8 untagged",
        "vm8 untagged: leaf1 [8] => leaf1 [9]",
    ];
    assert_eq!(lines(&gateway(8, ""), &gateway(9, "")), expected);
}

#[test]
fn changed_keys_are_told_in_the_words_of_the_file() {
    let after = format!("{VM9}mac-limit = 7\non-limit = \"drop\"\n");
    let lines = lines(&gateway(8, VM9), &gateway(8, &after));
    assert_eq!(lines, ["~ ports.vm9.mac-limit: 1024 -> 7", "~ ports.vm9.on-limit: evict -> drop"]);
}

#[test]
fn a_port_that_goes_is_named_at_its_own_rows_and_at_those_that_reached_it() {
    let expected = [
        "- ports.vm9",
        "leaf1 [8]: vm8 untagged, vm9 untagged => vm8 untagged",
        "vm8 untagged: leaf1 [8], vm9 untagged => leaf1 [8]",
        "vm9 untagged: leaf1 [8], vm8 untagged => no such port",
    ];
    assert_eq!(lines(&gateway(8, VM9), &gateway(8, "")), expected);
}

#[test]
fn against_an_empty_store_everything_is_new() {
    let difference = Difference::new(&Description::default(), &gateway(8, ""));
    let expected = [
        "+ bridges.dc1: kind = \"vlan-aware\"",
        "+ bridges.vub8: kind = \"vlan-unaware\"",
        "+ hosts.gw1",
        "+ ports.vm8: bridge = \"vub8\", host = \"gw1\", link = \"tap8\"",
        "+ trunks.leaf1: bridge = \"dc1\", host = \"gw1\", link = \"eth2\"",
        "+ vlans dc1.8: to = \"vub8\"",
    ];
    assert_eq!(difference.objects, expected);
    assert_eq!(difference.frames.len(), 2, "{:?}", difference.frames);
}

/// What the file says more of a trunk, a bridge and ports, changed key by key.
#[test]
fn one_changed_key_is_one_line() {
    let file = "[overlay]\nport = 4790\n[hosts.gw1]\nunderlay = \"192.0.2.1\"\nunderlay-mtu = 1600\n\
         [hosts.rack1]\nkind = \"vtep\"\nunderlay = \"192.0.2.9\"\n\
         [[ports]]\nname = \"m\"\nbridge = \"vub8\"\nhost = \"rack1\"\ntags = \"pass\"\n\
         [bridges.dc1]\nkind = \"vlan-aware\"\nageing = \"300s\"\njoin-vids = false\ntpid = \"0x8100\"\nfabric = \"a\"\n\
         [bridges.vub8]\nkind = \"vlan-unaware\"\nvni = 8\nmtu = 1500\n\
         [[vlans]]\nbridge = \"dc1\"\nvid = 8\nto = \"vub8\"\n\
         [[trunks]]\nname = \"t\"\nbridge = \"dc1\"\nhost = \"gw1\"\nlink = \"e\"\nvlans = [\"8\", \"108\"]\nnative = 8\n\
         translate = { 108 = 9 }\nstorm = { broadcast = 7 }\n\
         [[ports]]\nname = \"q\"\nbridge = \"dc1\"\nhost = \"gw1\"\nlink = \"q\"\nmode = \"qinq\"\nvid = 30\ncustomer-vlans = [\"7\"]\npcp = 1\n\
         [[ports]]\nname = \"vm\"\nbridge = \"vub8\"\nhost = \"gw1\"\nlink = \"v\"\nmacs = [\"02:00:00:00:00:01\"]\n";
    for (old, new, line) in [
        ("[overlay]\nport = 4790\n", "", "~ overlay.port: 4790 -> 4789"),
        ("4790", "4791", "~ overlay.port: 4790 -> 4791"),
        ("underlay = \"192.0.2.1\"\n", "", "~ hosts.gw1.underlay: 192.0.2.1 -> unset"),
        ("underlay-mtu = 1600\n", "", "~ hosts.gw1.underlay-mtu: 1600 -> unset"),
        ("192.0.2.9", "192.0.2.8", "~ hosts.rack1.underlay: 192.0.2.9 -> 192.0.2.8"),
        ("tags = \"pass\"\n", "", "~ ports.m.tags: pass -> drop"),
        ("mtu = 1500", "mtu = 1400", "~ bridges.vub8.mtu: 1500 -> 1400"),
        ("\"300s\"", "\"600s\"", "~ bridges.dc1.ageing: 300s -> 600s"),
        ("\"300s\"", "\"10500ms\"", "~ bridges.dc1.ageing: 300s -> 10500ms"),
        ("join-vids = false", "join-vids = true", "~ bridges.dc1.join-vids: false -> true"),
        ("0x8100", "0x88a8", "~ bridges.dc1.tpid: 0x8100 -> 0x88a8"),
        ("fabric = \"a\"\n", "", "~ bridges.dc1.fabric: a -> fabric"),
        ("vni = 8", "vni = 9", "~ bridges.vub8.vni: 8 -> 9"),
        ("translate = { 108 = 9 }\n", "", "~ trunks.t.translate: 108 = 9 -> unset"),
        ("108 = 9", "108 = 10", "~ trunks.t.translate: 108 = 9 -> 108 = 10"),
        ("native = 8\n", "", "~ trunks.t.native: 8 -> unset"),
        ("[\"8\", \"108\"]", "[\"1-8\", \"108\"]", "~ trunks.t.vlans: 8,108 -> 1-8,108"),
        ("storm = { broadcast = 7 }\n", "", "~ trunks.t.storm.broadcast: 7 -> 20000"),
        ("vid = 30", "vid = 31", "~ ports.q.vid: 30 -> 31"),
        ("customer-vlans = [\"7\"]\n", "", "~ ports.q.customer-vlans: 7 -> unset"),
        ("pcp = 1\n", "", "~ ports.q.pcp: 1 -> unset"),
        ("link = \"v\"", "link = \"w\"", "~ ports.vm.link: v -> w"),
        ("pcp = 1\n", "pcp = 1\nsticky = 2\n", "~ ports.q.sticky: unset -> 2"),
        (
            "macs = [\"02:00:00:00:00:01\"]",
            "macs = [\"02:00:00:00:00:02\", \"02:00:00:00:00:01\"]",
            "~ ports.vm.macs: 02:00:00:00:00:01 -> 02:00:00:00:00:01, 02:00:00:00:00:02",
        ),
    ] {
        assert!(file.contains(old), "{old}");
        let difference =
            Difference::new(topology(file).description(), &topology(&file.replacen(old, new, 1)));
        assert_eq!(difference.objects, [line], "{old} -> {new}");
    }
}

/// A VTEP runs nothing that could refuse to lose its ports.
#[test]
fn a_vtep_without_ports_is_no_host_that_stops() {
    let vtep = "[hosts.rack1]\nkind = \"vtep\"\nunderlay = \"192.0.2.9\"\n[hosts.gw1]\n\
         [bridges.vub8]\nkind = \"vlan-unaware\"\nvni = 8\n";
    let port = |host: &str, more: &str| {
        format!("[[ports]]\nname = \"at-{host}\"\nbridge = \"vub8\"\nhost = \"{host}\"\n{more}")
    };
    let both = topology(&format!("{vtep}{}{}", port("rack1", ""), port("gw1", "link = \"tap\"\n")));
    let none = topology(vtep);
    let difference = Difference::new(none.description(), &both);
    let expected = [
        "+ ports.at-gw1: bridge = \"vub8\", host = \"gw1\", link = \"tap\"",
        "+ ports.at-rack1: bridge = \"vub8\", host = \"rack1\"",
    ];
    assert_eq!(difference.objects, expected);
    let difference = Difference::new(both.description(), &none);
    assert_eq!(difference.hosts_without_ports, ["gw1"]);
}

/// The same objects in another order, with what is written that holds anyway.
#[test]
fn order_and_written_defaults_are_no_difference() {
    let head = "[hosts.gw1]\n[bridges.dc1]\nkind = \"vlan-aware\"\n[bridges.vub8]\nkind = \"vlan-unaware\"\n";
    let port = |name: &str, more: &str| {
        format!("[[ports]]\nname = \"{name}\"\nbridge = \"vub8\"\nhost = \"gw1\"\nlink = \"{name}\"\n{more}")
    };
    let trunk = |name: &str| {
        format!(
            "[[trunks]]\nname = \"{name}\"\nbridge = \"dc1\"\nhost = \"gw1\"\nlink = \"{name}\"\nvlans = [\"8\", \"9\"]\n"
        )
    };
    let vlan = "[[vlans]]\nbridge = \"dc1\"\nvid = 8\nto = \"vub8\"\n";
    let (one, two) = (
        "macs = [\"02:00:00:00:00:01\", \"02:00:00:00:00:02\"]\n",
        "macs = [\"02:00:00:00:00:02\", \"02:00:00:00:00:01\"]\n",
    );
    let before = format!("{head}{vlan}{}{}{}{}", trunk("t1"), trunk("t2"), port("vm1", one), port("vm2", ""));
    let after = format!(
        "{head}{}{}{}{}{vlan}",
        port("vm2", "storm = {}\non-limit = \"evict\"\n"),
        port("vm1", two),
        trunk("t2").replace("\"8\", \"9\"", "\"8-9\""),
        trunk("t1")
    );
    let difference = Difference::new(topology(&before).description(), &topology(&after));
    assert!(difference.is_empty(), "{difference:#?}");
}

#[test]
fn a_host_that_loses_all_of_its_ports_is_named() {
    let file = "[nsdb]\nbackend = \"zookeeper\"\nservers = [\"192.0.2.9:2181\"]\n[hosts.gw1]\n[hosts.gw2]\n[bridges.v]\nkind = \"vlan-unaware\"\n\
         [[ports]]\nname = \"a\"\nbridge = \"v\"\nhost = \"gw1\"\nlink = \"a\"\n\
         [[ports]]\nname = \"b\"\nbridge = \"v\"\nhost = \"gw2\"\nlink = \"b\"\n";
    let before = topology(file);
    let moved =
        Difference::new(before.description(), &topology(&file.replace("host = \"gw1\"", "host = \"gw2\"")));
    assert_eq!(moved.hosts_without_ports, ["gw1"]);
    assert_eq!(
        moved.lines()[0],
        "  gw1 loses all of its ports; where gw1 runs, `l2gw apply` asks for --without-host gw1"
    );
    let gone = Difference::new(before.description(), &topology("[hosts.gw3]\n"));
    assert_eq!(gone.hosts_without_ports, ["gw1", "gw2"]);
    let rest = file
        .replace("host = \"gw2\"", "host = \"gw1\"")
        .replace("host = \"gw1\"\nlink = \"a\"", "host = \"gw2\"\nlink = \"a\"");
    let swapped = Difference::new(before.description(), &topology(&rest));
    assert!(swapped.hosts_without_ports.is_empty(), "each still has one");
}

#[test]
fn ports_that_change_alike_share_a_line() {
    let port = |number: usize| {
        format!("[[ports]]\nname = \"p{number}\"\nbridge = \"v\"\nhost = \"gw1\"\nlink = \"l{number}\"\n")
    };
    let file = |count: usize| {
        let ports: String = (0..count).map(port).collect();
        topology(&format!("[hosts.gw1]\n[bridges.v]\nkind = \"vlan-unaware\"\n{ports}"))
    };
    let difference = Difference::new(file(30).description(), &file(31));
    assert_eq!(difference.frames.len(), 31, "each port hears of the new one, and the new one of them");
    assert_eq!(
        difference.lines()[1..],
        [
            "for a broadcast frame:",
            "  p0, p1, p2, p3 and 26 more untagged: 29 copies => 30 copies: + p30 untagged",
            "  p30 untagged: no such port => p0 untagged, p1 untagged, p2 untagged, p3 untagged, p4 untagged, p5 untagged, p6 untagged, p7 untagged, \
             p8 untagged, p9 untagged, p10 untagged, p11 untagged, p12 untagged, p13 untagged, p14 untagged, p15 untagged and 14 more",
        ]
    );
}

#[test]
fn vids_that_change_alike_share_a_line() {
    let file = |vlans: &str| {
        topology(&format!(
            "[hosts.gw1]\n[bridges.dc1]\nkind = \"vlan-aware\"\nredundancy = \"none\"\n\
             [[trunks]]\nname = \"a\"\nbridge = \"dc1\"\nhost = \"gw1\"\nlink = \"a\"\nvlans = [\"1-4094\"]\n\
             [[trunks]]\nname = \"b\"\nbridge = \"dc1\"\nhost = \"gw1\"\nlink = \"b\"\nvlans = {vlans}\n"
        ))
    };
    let expected = [
        "~ trunks.b.vlans: 5,8-10 -> 5-8,100-199",
        "a [6-7,100-199]: drop no-member => b [v]",
        "a [9-10]: b [v] => drop no-member",
        "b [6-7,100-199]: drop vlan-not-allowed => a [v]",
        "b [9-10]: a [v] => drop vlan-not-allowed",
    ];
    assert_eq!(lines(&file("[\"5\", \"8-10\"]"), &file("[\"5-8\", \"100-199\"]")), expected);
}

#[test]
fn a_difference_applied_to_the_old_file_gives_the_new_one() {
    let mut count = 0;
    for (seed, before, after) in pairs(120) {
        let objects = objects(before.description(), after.description());
        count += objects.len();
        let mut file = File::of(before.description());
        objects.iter().for_each(|line| file.apply(line));
        let got = crate::config::parse("applied", &file.text());
        let got = got.unwrap_or_else(|problems| panic!("seed {seed}: {problems}\n{}", file.text()));
        assert_eq!(
            normal(&got.description),
            normal(after.description()),
            "seed {seed}\n{}\n{}",
            objects.join("\n"),
            file.text()
        );
        assert_eq!(
            objects.is_empty(),
            normal(before.description()) == normal(after.description()),
            "seed {seed}"
        );
    }
    assert!(count > 250, "only {count} lines in all");
}

/// A file as its objects, each with its keys as they are written.
struct File {
    objects: BTreeMap<String, BTreeMap<String, String>>,
}

impl File {
    fn of(description: &Description) -> File {
        let written = |keys: &[Key]| {
            let written = keys.iter().filter(|key| key.is_written());
            written.filter_map(|key| Some((key.name.to_owned(), key.value.as_ref()?.as_toml()))).collect()
        };
        File {
            objects: declared(description)
                .into_iter()
                .map(|(path, object)| (path, written(&object.keys())))
                .collect(),
        }
    }

    /// Does what one printed line says, from the line alone.
    fn apply(&mut self, line: &str) {
        let (mark, rest) = line.split_at(2);
        match mark {
            "- " => assert!(self.objects.remove(rest).is_some(), "{line}"),
            "+ " => {
                let (path, keys) = rest.split_once(": ").unwrap_or((rest, ""));
                assert!(self.objects.insert(path.to_owned(), inline(keys)).is_none(), "{line}");
            }
            "~ " => self.change(rest),
            _ => panic!("{line}"),
        }
    }

    fn change(&mut self, line: &str) {
        let (path_and_key, values) = line.split_once(": ").unwrap();
        let (path, key) = match path_and_key.strip_prefix("overlay.") {
            Some(key) => ("overlay", key),
            None => {
                let name = path_and_key.find('.').unwrap() + 1;
                let end = name + path_and_key[name..].find('.').unwrap();
                (&path_and_key[..end], &path_and_key[end + 1..])
            }
        };
        let (was, is) = values.split_once(" -> ").unwrap();
        let keys = self.objects.get_mut(path).unwrap_or_else(|| panic!("no {path}"));
        if let Some(written) = keys.get(key) {
            assert_eq!(Some(written.clone()), toml_of(key, was), "{line}");
        }
        match toml_of(key, is) {
            Some(value) => keys.insert(key.to_owned(), value),
            None => keys.remove(key),
        };
    }

    fn text(&self) -> String {
        let mut text = String::from("[nsdb]\nbackend = \"zookeeper\"\nservers = [\"192.0.2.9:2181\"]\n");
        for (path, keys) in &self.objects {
            let (list, name) = path.split_once(['.', ' ']).unwrap_or((path, ""));
            let header = match (list, name.split_once('.')) {
                ("vlans", Some((bridge, vid))) => format!("[[vlans]]\nbridge = \"{bridge}\"\nvid = {vid}\n"),
                ("overlay", _) => "[overlay]\n".to_owned(),
                ("hosts" | "bridges", _) => format!("[{list}.{name}]\n"),
                _ => format!("[[{list}]]\nname = \"{name}\"\n"),
            };
            text += &header;
            keys.iter().for_each(|(key, value)| text += &format!("{key} = {value}\n"));
        }
        text
    }
}

/// The keys of a new object; those of a table by dotted names.
fn inline(keys: &str) -> BTreeMap<String, String> {
    let table: toml::Table = toml::from_str(&format!("x = {{ {keys} }}")).unwrap();
    let toml::Value::Table(keys) = &table["x"] else { panic!("{keys}") };
    let mut flat = BTreeMap::new();
    for (key, value) in keys {
        match value {
            toml::Value::Table(inner) if key == "storm" || key == "flood" => {
                flat.extend(inner.iter().map(|(class, rate)| (format!("{key}.{class}"), rate.to_string())));
            }
            value => {
                flat.insert(key.clone(), value.to_string());
            }
        }
    }
    flat
}

/// A printed value as the file has it, which the key decides.
fn toml_of(key: &str, printed: &str) -> Option<String> {
    let list = |separator: &str| {
        let quoted = printed.split(separator).map(|part| format!("\"{part}\""));
        format!("[{}]", quoted.collect::<Vec<_>>().join(", "))
    };
    Some(match key {
        _ if printed == "unset" => return None,
        "vid" | "pcp" | "native" | "weight" | "mac-limit" | "vni" | "mtu" | "sticky" | "port"
        | "underlay-mtu" => printed.to_owned(),
        "join-vids" | "native-tagged" | "priority-tags" | "isolated" => printed.to_owned(),
        _ if key.starts_with("storm.") || key.starts_with("flood.") => printed.to_owned(),
        "vlans" | "customer-vlans" => list(","),
        "macs" | "shared-macs" | "ips" => list(", "),
        "translate" => format!("{{ {printed} }}"),
        _ => format!("\"{printed}\""),
    })
}

/// What two descriptions share that mean the same: without order, and with defaults as values.
fn normal(description: &Description) -> Description {
    let mut normal = description.clone();
    normal.hosts.sort_by_key(|host| host.name.clone());
    normal.bridges.sort_by_key(|bridge| bridge.name.clone());
    normal.vlans.sort_by_key(|vlan| (vlan.bridge.clone(), vlan.vid));
    let port = |port: &mut Port, is_trunk: bool| {
        port.macs.sort_unstable();
        port.shared_macs.sort_unstable();
        port.ips.sort_unstable();
        port.storm.get_or_insert(vlan::model::defaults::default_storm(is_trunk));
        if let Mode::Trunk(trunk) = &mut port.mode {
            trunk.weight = trunk.weight.max(1);
        }
    };
    normal.trunks.iter_mut().for_each(|trunk| port(trunk, true));
    normal.ports.iter_mut().for_each(|other| port(other, false));
    normal.trunks.sort_by_key(|port| port.name.clone());
    normal.ports.sort_by_key(|port| port.name.clone());
    normal
}

#[test]
fn a_time_of_parts_of_a_second_is_written_as_such() {
    let mut description = gateway(8, "").description().clone();
    description.bridges[0].ageing = Duration::from_millis(12_345);
    let key =
        declared(&description)["bridges.dc1"].keys().into_iter().find(|key| key.name == "ageing").unwrap();
    assert_eq!(key.value.unwrap().as_toml(), "\"12345ms\"");
}
