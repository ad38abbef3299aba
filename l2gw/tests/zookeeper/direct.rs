//! `--nsdb`: plan, apply, rollback, show and port on the store itself, with no daemon in between.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use servers::{Ensemble, Options};

use crate::{AGENT, GATEWAY, Said, file, l2gw, login};

/// A database on an ensemble, and the files of whoever reaches it from elsewhere.
pub(crate) struct Elsewhere {
    ensemble: Ensemble,
    folder: tempfile::TempDir,
}

impl Elsewhere {
    /// With a database that gateways and agents may use.
    pub(crate) fn new(options: Options) -> Elsewhere {
        let elsewhere =
            Elsewhere { ensemble: Ensemble::start(options).unwrap(), folder: tempfile::tempdir().unwrap() };
        let folder = elsewhere.folder.path();
        let (gateway, agent) = (login(folder, GATEWAY), login(folder, AGENT));
        let file = file(folder, &elsewhere.ensemble.connection_string(), Some(&gateway));
        let words = ["store", "init", text(&file), "--agents-auth-file", text(&agent)];
        let (code, _, err) = l2gw(&words);
        assert_eq!((code, err.as_str()), (0, ""));
        elsewhere
    }

    /// What names the store.
    pub(crate) fn place(&self) -> String {
        format!("zookeeper:{}", self.ensemble.connection_string())
    }

    /// A file of the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a topology to a file of its own.
    pub(crate) fn write(&self, name: &str, topology: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, topology).unwrap();
        path
    }

    /// A verb on the store, with the login of a user.
    fn ask_as(&self, user: &str, words: &[&str]) -> Said {
        let (place, login) = (self.place(), self.path(user));
        l2gw(&[words, &["--nsdb", &place, "--auth-file", text(&login)]].concat())
    }

    /// A verb on the store, with the login of gateways.
    pub(crate) fn ask(&self, words: &[&str]) -> Said {
        self.ask_as("gateway", words)
    }

    /// What a verb says that is done.
    pub(crate) fn done(&self, words: &[&str]) -> String {
        let (code, out, err) = self.ask(words);
        assert_eq!((code, err.as_str()), (0, ""), "{words:?}: {out}");
        out
    }

    /// The newest revision. Another server than the one that took it may hear of it a moment later.
    pub(crate) fn wait_for(&self, revision: u64) {
        let start = Instant::now();
        loop {
            let said: Value = serde_json::from_str(&self.done(&["show", "config", "--json"])).unwrap();
            if said["revision"] == revision {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "revision {} is there", said["revision"]);
        }
    }
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A gateway with these VMs, and a compute host with one.
pub(crate) fn topology(vms: &[&str]) -> String {
    let port = |name: &str, host: &str| {
        format!("\n[[ports]]\nname = \"{name}\"\nbridge = \"vub8\"\nhost = \"{host}\"\nlink = \"{name}\"\n")
    };
    let ports: String = vms.iter().map(|name| port(name, "gw1")).collect();
    let head = "[hosts.gw1]\nunderlay = \"192.0.2.1\"\n[hosts.compute1]\nunderlay = \"192.0.2.2\"\n\n[bridges.vub8]\nkind = \"vlan-unaware\"\n";
    format!("{head}{}{ports}", port("vm9", "compute1"))
}

const STORED: &str =
    "is stored; each host takes it from there: `l2gw show status` on it says when it is in force\n";

#[test]
fn a_topology_goes_in_and_back_and_is_shown_from_anywhere() {
    if !servers::are_there() {
        return;
    }
    let there = Elsewhere::new(Options::three());
    let file = there.write("gw.toml", &topology(&["vm1"]));
    let file = text(&file);
    assert_eq!(there.done(&["show", "revisions", "--json"]).trim(), "[]");
    assert!(there.done(&["plan", file]).starts_with("against revision 0:\n  + bridges.vub8"));
    assert_eq!(there.done(&["apply", file]), format!("revision 1 {STORED}"));
    there.wait_for(1);
    assert_eq!(there.done(&["apply", file]), "nothing to do: revision 1 is as the file says\n");
    assert_eq!(there.done(&["plan", file]), "nothing to do: revision 1 is as the file says\n");
    assert_eq!(there.done(&["show", "config"]), topology(&["vm1"]));
    there.write("gw.toml", &topology(&["vm1", "vm2"]));
    let plan = there.done(&["plan", file]);
    assert!(plan.contains("  + ports.vm2: bridge = \"vub8\", host = \"gw1\", link = \"vm2\"\n"), "{plan}");
    let said: Value = serde_json::from_str(&there.done(&["apply", file, "--json"])).unwrap();
    assert_eq!(said, serde_json::json!({"revision": 2, "is_new": true, "in_force": null}));
    there.wait_for(2);
    assert_eq!(there.done(&["rollback", "1"]), format!("revision 3 {STORED}"));
    there.wait_for(3);
    assert_eq!(there.done(&["show", "config"]), topology(&["vm1"]));
    let said: Vec<Value> = serde_json::from_str(&there.done(&["show", "revisions", "--json"])).unwrap();
    let said: Vec<_> =
        said.iter().map(|known| (known["revision"].as_u64(), known["note"].as_str())).collect();
    let (apply, rollback) = (format!("apply {file}"), "rollback to revision 1");
    assert_eq!(said, [(Some(3), Some(rollback)), (Some(2), Some(&*apply)), (Some(1), Some(&*apply))]);
    // Who did it, and on which machine.
    let user = nix::unistd::geteuid();
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    let who = there.done(&["show", "revisions"]);
    assert!(
        who.contains(&format!("user {user}) on {host}")) || who.contains(&format!("user {user} on {host}")),
        "{who}"
    );
    // What an exit code says is what it says of a daemon.
    let (code, _, err) = there.ask(&["rollback", "9"]);
    assert_eq!(
        (code, err.as_str()),
        (64, "l2gw: revision 9 is not kept; `l2gw show revisions` lists those that are\n")
    );
    let (code, _, err) = there.ask(&["apply", file, "--without-host", "gw1"]);
    assert!(code == 78 && err.contains("this does not take away host \"gw1\""), "{err}");
    let (code, _, err) = there.ask(&["show", "ports"]);
    assert!(code == 64 && err.contains("only hosts, config and revisions are in the store"), "{err}");
}

#[test]
fn a_port_is_added_and_removed_in_one_line_and_outlives_a_file() {
    if !servers::are_there() {
        return;
    }
    let there = Elsewhere::new(Options::three());
    let file = there.write("gw.toml", &topology(&["vm1"]));
    let file = text(&file);
    there.done(&["apply", file]);
    let vm7 = ["port", "add", "vm7", "--bridge", "vub8", "--host", "compute1", "--link", "tap7"];
    assert_eq!(there.done(&vm7), format!("revision 2 {STORED}"));
    there.wait_for(2);
    assert_eq!(there.done(&vm7), "nothing to do: revision 2 is as asked: port vm7 is there\n");
    there.write("gw.toml", &topology(&["vm2"]));
    let plan = there.done(&["plan", file]);
    assert!(plan.contains("- ports.vm1\n") && !plan.contains("- ports.vm7"), "{plan}");
    assert!(plan.contains("stays, since it did not come from a file: ports.vm7 (by cli, from "), "{plan}");
    there.done(&["apply", file]);
    there.wait_for(3);
    let config = there.done(&["show", "config"]);
    assert!(
        config.contains("#   ports.vm7 (by cli, from ") && config.contains("# link = \"tap7\""),
        "{config}"
    );
    let (code, _, err) = there.ask(&["port", "del", "vm2"]);
    let line = topology(&["vm2"]).lines().position(|line| line == "name = \"vm2\"").unwrap();
    assert!(code == 78 && err.contains("ports.vm2: it came by file, from "), "{err}");
    assert!(err.contains(&format!(" ({file}:{line});")), "{err}");
    assert_eq!(there.done(&["port", "del", "vm7"]), format!("revision 4 {STORED}"));
    there.wait_for(4);
    assert!(!there.done(&["show", "config"]).contains("vm7"));
    let (code, _, err) = there.ask(&["port", "del", "vm7"]);
    assert!(code == 64 && err.contains("\"vm7\" is no port in revision 4"), "{err}");
    let (code, _, err) =
        there.ask(&["port", "add", "vm8", "--bridge", "vub9", "--host", "gw1", "--link", "tap8"]);
    assert!(code == 78 && err.contains("ports.vm8.bridge: \"vub9\" is no bridge"), "{err}");
}

/// A gateway's own file says where its store is, and which login it has.
#[test]
fn the_store_that_the_file_names_is_opened_by_a_word() {
    if !servers::are_there() {
        return;
    }
    let there = Elsewhere::new(Options::one());
    let nsdb = fs::read_to_string(there.path("gateway.toml")).unwrap().replace("[hosts.gw1]\n", "");
    let file = there.write("gw.toml", &format!("{nsdb}{}", topology(&["vm1"])));
    let file = text(&file);
    let nobody = text(&there.path("no.sock")).to_owned();
    for verb in ["plan", "apply"] {
        let (code, _, err) = l2gw(&[verb, file, "--socket", &nobody]);
        let hint =
            "with this --socket? Without one, `--nsdb file` opens the store that the file's [nsdb] names\n";
        assert!(code == 1 && err.contains("no daemon answers here") && err.ends_with(hint), "{err}");
    }
    let (code, out, err) = l2gw(&["apply", file, "--nsdb", "file"]);
    assert_eq!((code, out), (0, format!("revision 1 {STORED}")), "{err}");
    let (code, out, err) = l2gw(&["plan", file, "--nsdb", "file"]);
    assert_eq!((code, out.as_str()), (0, "nothing to do: revision 1 is as the file says\n"), "{err}");
    assert_eq!(
        there.done(&["show", "config"]).lines().count(),
        fs::read_to_string(file).unwrap().lines().count()
    );
    // Another login than the file's.
    there.write("gw.toml", &format!("{nsdb}{}", topology(&["vm2"])));
    let (code, _, err) = l2gw(&["apply", file, "--nsdb", "file", "--auth-file", text(&there.path("agent"))]);
    assert!(code == 1 && err.contains("agent may not make"), "{err}");
    // Without a file there is none to be named.
    for words in [&["rollback", "1"][..], &["confirm"], &["show", "config"]] {
        let (code, _, err) = l2gw(&[words, &["--nsdb", "file"]].concat());
        assert!(
            code == 64 && err.contains("--nsdb file is of `l2gw plan FILE` and `l2gw apply FILE`"),
            "{err}"
        );
    }
}

/// Each of them is about one object: all come in, whoever is first.
#[test]
fn ports_that_are_added_at_once_are_all_there() {
    if !servers::are_there() {
        return;
    }
    let there = Elsewhere::new(Options::three());
    let file = there.write("gw.toml", &topology(&["vm1"]));
    there.done(&["apply", text(&file)]);
    let names: Vec<String> = (10..14).map(|number| format!("vm{number}")).collect();
    let add = |name: &String| {
        there.done(&["port", "add", name, "--bridge", "vub8", "--host", "gw1", "--link", name]);
    };
    std::thread::scope(|threads| {
        for name in &names {
            threads.spawn(move || add(name));
        }
    });
    there.wait_for(5);
    let config = there.done(&["show", "config"]);
    for name in &names {
        assert!(config.contains(&format!("#   ports.{name} (by cli, from ")), "{name}: {config}");
    }
}

#[test]
fn of_two_that_apply_at_once_one_wins_whole_and_the_other_is_told() {
    if !servers::are_there() {
        return;
    }
    let there = Elsewhere::new(Options::three());
    let first = there.write("gw.toml", &topology(&["vm1"]));
    there.done(&["apply", text(&first)]);
    there.wait_for(1);
    for round in 1..6_u64 {
        let vms = [format!("vm2{round}"), format!("vm3{round}")];
        let files = [0, 1]
            .map(|index| there.write(&format!("{index}.toml"), &topology(&["vm1", &vms[index], "vm4"])));
        let against = round.to_string();
        let apply = |file: &Path| there.ask(&["apply", text(file), "--against", &against]);
        let said = std::thread::scope(|threads| {
            let both = files.each_ref().map(|file| threads.spawn(|| apply(file)));
            both.map(|one| one.join().unwrap())
        });
        let newest = round + 1;
        let winner = usize::from(said[1].0 == 0);
        assert_eq!(said[winner], (0, format!("revision {newest} {STORED}"), String::new()));
        let told = format!(
            "l2gw: not published: it was made for revision {round}, but revision {newest} is there; look at it (`l2gw plan`, `l2gw show \
             revisions`) and try again\n"
        );
        assert_eq!(said[1 - winner], (1, String::new(), told));
        there.wait_for(newest);
        assert_eq!(there.done(&["show", "config"]), topology(&["vm1", &vms[winner], "vm4"]));
    }
}

#[test]
fn who_may_not_and_where_nothing_is_are_told_with_what_to_do() {
    if !servers::are_there() {
        return;
    }
    let there = Elsewhere::new(Options::one());
    let file = there.write("gw.toml", &topology(&["vm1"]));
    let file = text(&file);
    // Agents may read.
    let (code, out, err) = there.ask_as("agent", &["show", "revisions", "--json"]);
    assert_eq!((code, out.trim(), err.as_str()), (0, "[]", ""));
    let (code, _, err) = there.ask_as("agent", &["apply", file]);
    assert!(code == 1 && err.starts_with("l2gw: agent may not make /l2gw/publishing/"), "{err}");
    assert!(err.contains("; it may read, as agents may: publishing takes the login of gateways"), "{err}");
    let (code, out, _) = there.ask_as("agent", &["apply", file, "--json"]);
    assert!(code == 1 && out.starts_with("{\"error\":\"agent may not make"), "{out}");
    login(there.folder.path(), "wrong:another-password-of-24");
    let denied = "it has not the right to, its password is wrong, or another user has the database; --auth-file FILE names the login\n";
    let (code, _, err) = there.ask_as("wrong", &["plan", file]);
    assert_eq!((code, err), (1, format!("l2gw: wrong may not read /l2gw/store: {denied}")));
    let place = there.place();
    let (code, _, err) = l2gw(&["plan", file, "--nsdb", &place]);
    assert_eq!((code, err), (1, format!("l2gw: nobody may not read /l2gw/store: {denied}")));
    let (code, _, err) = l2gw(&["apply", file, "--nsdb", &format!("{place}/other")]);
    assert!(
        code == 1 && err.contains("/other on 127.") && err.contains("`l2gw store init FILE` makes one"),
        "{err}"
    );
}

/// Nothing of this needs a server.
#[test]
fn what_is_wrong_with_the_words_is_told_and_a_store_that_is_away_within_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gw.toml");
    fs::write(&file, topology(&["vm1"])).unwrap();
    let plan = |words: &[&str]| l2gw(&[&["plan", text(&file)], words].concat());
    let (code, _, err) = plan(&["--nsdb", "zookeeper:127.0.0.1"]);
    assert!(code == 64 && err.contains("allowed are embedded:DIR and zookeeper:HOST:PORT"), "{err}");
    let (code, _, err) = plan(&["--auth-file", "/a"]);
    assert!(code == 64 && err.contains("--nsdb <STORE>"), "{err}");
    let (code, _, err) = plan(&["--nsdb", "zookeeper:127.0.0.1:1", "--socket", "/a"]);
    assert!(code == 64 && err.contains("cannot be used with"), "{err}");
    let (code, _, err) = plan(&["--nsdb", "embedded:/nowhere", "--auth-file", "/a"]);
    assert!(code == 64 && err.contains("--auth-file is for a store on ZooKeeper"), "{err}");
    let (code, _, err) = plan(&["--nsdb", "zookeeper:127.0.0.1:1", "--auth-file", "/nowhere/a"]);
    assert!(code == 1 && err.contains("auth-file /nowhere/a: No such file"), "{err}");
    let start = Instant::now();
    let (code, out, _) = plan(&["--nsdb", "zookeeper:127.0.0.1:1,127.0.0.1:2", "--json"]);
    let away =
        "{\"error\":\"the ZooKeeper ensemble is not available: none of 127.0.0.1:1,127.0.0.1:2 answers";
    assert!(code == 1 && out.starts_with(away), "{out}");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}
