//! `l2gw check`: what is said of files, line by line.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Instant;

use l2gw::cli::check::check;
use l2gw::cli::{BAD_CONFIGURATION, DONE};
use l2gw::config;

/// What is said of `text` under the name `f`: its mistakes, or its warnings and `ok`.
fn said(text: &str) -> String {
    match config::parse("f", text) {
        Ok(config) => {
            let mut lines: String = String::new();
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

#[test]
fn tmp_cases() {
    let all = fs::read_to_string("/tmp/cfg-cases.txt").unwrap();
    for case in all.split("=====\n") {
        println!("{case}-----\n{}\n=====", said(case));
    }
}

#[test]
fn the_example_passes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/gateway.example.toml");
    let (code, out, err) = checked(&path, false);
    println!("{out}{err}");
    assert_eq!((code, err.as_str()), (DONE, ""));
    let _ = (BAD_CONFIGURATION, Instant::now());
}
