//! `l2gw check`: what is said of files, line by line.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use l2gw::cli::check::check;
use l2gw::config;

mod cases;
mod promises;
mod random;
mod reading;
mod size;

/// What the cases of `check.txt` go on from: their first line is line 10.
const BASE: &str = r#"[hosts.gw1]
[bridges.dc1]
kind = "vlan-aware"
[bridges.vub8]
kind = "vlan-unaware"
[[vlans]]
bridge = "dc1"
vid = 8
to = "vub8"
"#;

/// What is said of `text` under the name `f`: its mistakes, or its warnings and `ok`.
fn said(text: &str) -> String {
    match config::parse("f", text) {
        Ok(config) => {
            let mut lines = String::new();
            for warning in &config.warnings {
                writeln!(lines, "warning: {}", warning.line_for("f")).unwrap();
            }
            lines + "ok"
        }
        Err(problems) => problems.to_string(),
    }
}

/// Exit code, standard output and standard error of `l2gw check`.
fn checked(path: &Path, is_json: bool) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = check(path, is_json, &mut out, &mut err).unwrap();
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

/// The example that everything here is about.
fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/gateway.example.toml")
}
