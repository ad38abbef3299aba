//! Five mistakes that a forwarding plane is easily made with, put into a copy of `vlan` one at a time: its table and the simulation must
//! each find every one, and find nothing in the copy as it is.
//!
//! ```text
//!   vlan/, tests/src/sim, tests/tests/simulation/forwarding.rs ──► a workspace of its own ──► one change ──► cargo test: must fail, by a row or a case
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A change of one place in the sources of `vlan`.
struct Mutant {
    name: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
}

const MUTANTS: [Mutant; 5] = [
    Mutant {
        name: "PCP masked into the VID",
        file: "src/tag.rs",
        from: "self.tci & 0x0fff",
        to: "self.tci & 0x2fff",
    },
    Mutant {
        name: "missing pop",
        file: "src/egress.rs",
        from: "((self.read_tags() - staying) as u8, push)",
        to: "(0, push)",
    },
    Mutant {
        name: "native leak",
        file: "src/model/port.rs",
        from: "self.native == Some(vid) && !self.native_tagged",
        to: "self.native.is_some() && !self.native_tagged",
    },
    Mutant {
        name: "ingress port not excluded",
        file: "src/exits.rs",
        from: "Some(member.port) == from || !is_wanted(*member)",
        to: "!is_wanted(*member)",
    },
    Mutant {
        name: "designation ignored",
        file: "src/designation.rs",
        from: "Some(trunk) => Carrier::Other(*trunk)",
        to: "Some(_) => Carrier::This",
    },
];

/// The modules of the simulation that know nothing of an engine or a datapath.
const SIMULATION: [&str; 11] = [
    "asked",
    "brief",
    "cases",
    "duel",
    "egress",
    "reference",
    "reserved",
    "rng",
    "tagged",
    "traffic",
    "wiring",
];

/// What each finder says when it has found a difference, and not merely failed to build.
const SIGNS: [(&str, &str); 2] = [("rules", "lines do not hold"), ("simulation", "cases differ")];

#[test]
fn the_table_and_the_simulation_each_find_every_seeded_mistake() {
    let copy = Copy::new().unwrap();
    let output = copy.test();
    assert!(output.status.success(), "they fail without a mutant\n{}", text(&output));
    let mut missed = Vec::new();
    for mutant in &MUTANTS {
        let original = copy.mutate(mutant);
        let said = text(&copy.test());
        for (finder, sign) in SIGNS {
            let found = said.lines().find(|line| line.contains(sign));
            println!("{}: {finder}: {}", mutant.name, found.unwrap_or("NOT FOUND").trim());
            if found.is_none() {
                missed.push(format!("{} by the {finder}: {said}", mutant.name));
            }
        }
        fs::write(copy.path(mutant.file), original).unwrap();
    }
    assert!(missed.is_empty(), "{} not found\n{}", missed.len(), missed.join("\n"));
}

/// A workspace of `vlan` and the simulation alone, in a directory that goes with it. Its target directory stays, for the next run.
struct Copy {
    root: TempDir,
    target: PathBuf,
}

impl Copy {
    fn new() -> io::Result<Copy> {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let root = tempfile::tempdir()?;
        let members = fs::read_to_string(ours.join("Cargo.toml"))?
            .lines()
            .map(|line| if line.starts_with("members = ") { MEMBERS } else { line })
            .map(|line| format!("{line}\n"))
            .collect::<String>();
        assert!(members.contains(MEMBERS), "the workspace's Cargo.toml lists its members otherwise");
        fs::write(root.path().join("Cargo.toml"), members)?;
        for file in ["Cargo.lock", "rust-toolchain.toml"] {
            fs::copy(ours.join(file), root.path().join(file))?;
        }
        copy_tree(&ours.join("vlan"), &root.path().join("vlan"))?;
        let tests = root.path().join("tests");
        copy_tree(&ours.join("tests/src/sim"), &tests.join("src/sim"))?;
        let modules: String = SIMULATION.iter().map(|name| format!("pub mod {name};\n")).collect();
        fs::write(
            tests.join("src/sim/mod.rs"),
            format!("//! What the simulation of the forwarding plane needs.\n{modules}"),
        )?;
        fs::create_dir_all(tests.join("tests"))?;
        fs::copy(ours.join("tests/tests/simulation/forwarding.rs"), tests.join("tests/simulation.rs"))?;
        fs::write(tests.join("src/lib.rs"), "//! The simulation alone.\npub mod sim;\n")?;
        fs::write(tests.join("Cargo.toml"), SIMULATION_MANIFEST)?;
        Ok(Copy { root, target: Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants") })
    }

    fn path(&self, file: &str) -> PathBuf {
        self.root.path().join("vlan").join(file)
    }

    /// Changes the one place, and returns the file as it was.
    fn mutate(&self, mutant: &Mutant) -> String {
        let Mutant { name, file, from, to } = mutant;
        let original = fs::read_to_string(self.path(file)).unwrap();
        assert_eq!(original.matches(from).count(), 1, "{name}: {file} has not one place with {from:?}");
        fs::write(self.path(file), original.replace(from, to)).unwrap();
        original
    }

    fn test(&self) -> Output {
        let arguments = "test --offline --no-fail-fast --test rules --test simulation -- --skip large --skip numbers --skip refusals";
        self.cargo(&arguments.split(' ').collect::<Vec<_>>()).output().unwrap()
    }

    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args(arguments)
            .current_dir(self.root.path())
            .env("CARGO_TARGET_DIR", &self.target)
            .env("L2GW_CASES", CASES)
            .env("RUST_BACKTRACE", "0")
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env_remove("L2GW_SEED");
        cargo
    }
}

impl Drop for Copy {
    /// What was built of the copy is of no use to another one: its path is part of what cargo calls it.
    fn drop(&mut self) {
        let _ = self.cargo(&["clean", "--offline", "--quiet", "-p", "vlan", "-p", "tests"]).output();
    }
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

const MEMBERS: &str = "members = [\"vlan\", \"tests\"]";
/// Cases of the simulation: enough for each mutant, few enough for six runs.
const CASES: &str = "300";
const SIMULATION_MANIFEST: &str = "[package]\nname = \"tests\"\nversion.workspace = true\nedition.workspace = true\n\n\
     [dependencies]\nvlan.workspace = true\n";
