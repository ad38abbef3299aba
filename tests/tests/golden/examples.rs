//! Every folder under `examples/`, as its reader would try it: `expected.txt` is a session, lines `$ l2gw …` followed by what they print.
//!
//! `UPDATE_EXPECTED=1` writes what is printed now; the difference is reviewed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use l2gw::cli::args::{Cli, Verb};
use l2gw::cli::{DONE, check, offline};

macro_rules! examples {
    ($($name:ident: $folder:literal;)+) => {
        $(
            #[test]
            fn $name() {
                Example::new($folder).try_session();
            }
        )+

        const TRIED: &[&str] = &[$($folder),+];
    };
}

examples! {
    one_trunk_two_vlans: "01-one-trunk-two-vlans";
    vid_translation: "02-vid-translation";
    native_vlan: "03-native-vlan";
    qinq: "04-qinq";
    chain: "05-chain";
    two_trunks: "06-two-trunks";
    priority: "07-priority";
    two_hosts: "08-two-hosts";
    ensemble: "09-ensemble";
}

#[test]
fn no_folder_is_left_out_or_incomplete() {
    let entries = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let folders: BTreeSet<String> = entries
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(folders, TRIED.iter().map(|folder| (*folder).to_owned()).collect());
    for folder in &folders {
        for file in ["README.md", "gateway.toml", "expected.txt"] {
            assert!(root().join(folder).join(file).is_file(), "{folder} has no {file}");
        }
    }
}

struct Example {
    folder: PathBuf,
}

impl Example {
    fn new(folder: &str) -> Self {
        Self { folder: root().join(folder) }
    }

    fn try_session(&self) {
        let path = self.folder.join("expected.txt");
        let expected = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let printed = self.replay(&expected);
        if std::env::var_os("UPDATE_EXPECTED").is_some_and(|value| value == "1") {
            fs::write(&path, printed).unwrap();
            return;
        }
        let place = expected
            .lines()
            .zip(printed.lines())
            .take_while(|(expected, printed)| expected == printed)
            .count();
        let at = |text: &str| text.lines().nth(place).unwrap_or("(the end)").to_owned();
        assert!(
            expected == printed,
            "{}:{}: expected\n  {}\ngot\n  {}\nUPDATE_EXPECTED=1 writes what is printed now",
            path.display(),
            place + 1,
            at(&expected),
            at(&printed)
        );
    }

    /// The session again, with what its commands print now.
    fn replay(&self, session: &str) -> String {
        let commands = session.lines().filter(|line| line.starts_with(PROMPT));
        let mut printed = String::new();
        for command in commands {
            if !printed.is_empty() {
                printed.push('\n');
            }
            writeln!(printed, "{command}\n{}", self.print(command).trim_end()).unwrap();
        }
        assert!(!printed.is_empty(), "{}: no line starts with `{PROMPT}`", self.folder.display());
        printed
    }

    /// What a command prints in the example's own folder.
    fn print(&self, command: &str) -> String {
        let words = command.trim_start_matches("$ ").split_whitespace();
        let cli = Cli::try_parse_from(words).unwrap_or_else(|e| panic!("{command}: {e}"));
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = match cli.verb {
            Verb::Check { file, json } => check::check(&self.folder.join(file), json, &mut out, &mut err),
            Verb::Table { file, json } => offline::table(&self.folder.join(file), json, &mut out, &mut err),
            Verb::Trace(request) => {
                let file = request.file.as_ref().unwrap_or_else(|| panic!("{command}: names no file"));
                offline::trace(&self.folder.join(file), &request, &mut out, &mut err)
            }
            _ => panic!("{command}: allowed here are check, table and trace"),
        };
        assert_eq!(code.unwrap(), DONE, "{command}: {}", String::from_utf8_lossy(&err));
        let said = String::from_utf8([out, err].concat()).unwrap();
        said.replace(&format!("{}/", self.folder.display()), "")
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

const PROMPT: &str = "$ l2gw ";
