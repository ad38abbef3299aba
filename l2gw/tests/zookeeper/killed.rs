//! An `apply` that is killed at any moment leaves the revision that was, or the one that was to be, whole.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use servers::Options;

use crate::direct::{Elsewhere, text, topology};

/// Many ports, so that there is much to be in the middle of.
fn large(round: usize) -> String {
    let names: Vec<String> = (0..PORTS).map(|number| format!("vm{round}x{number}")).collect();
    topology(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

fn apply(there: &Elsewhere, round: usize) -> Command {
    let file = there.write(&format!("{round}.toml"), &large(round));
    let mut command = Command::new(env!("CARGO_BIN_EXE_l2gw"));
    command.arg("apply").arg(file).args(["--nsdb", &there.place(), "--auth-file"]);
    command.arg(there.path("gateway")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn an_apply_that_is_killed_leaves_the_old_revision_or_the_new_one() {
    if !servers::are_there() {
        return;
    }
    let there = Elsewhere::new(Options::three());
    let start = Instant::now();
    assert!(apply(&there, 0).status().unwrap().success());
    let whole = start.elapsed();
    let (mut newest, mut last, mut came_in) = (1_u64, 0, 0);
    for round in 1..=KILLS {
        let mut child = apply(&there, round).spawn().unwrap();
        // Spread over all of it, beyond its end too; and by chance within each step.
        let chance = Duration::from_micros(u64::from(std::process::id()) * 7_919 * round as u64 % 5_000);
        std::thread::sleep(whole.mul_f64(1.1 * round as f64 / KILLS as f64) + chance);
        child.kill().unwrap();
        let _ = child.wait().unwrap();
        // What it had sent is still under way, and not every server knows of it yet.
        std::thread::sleep(Duration::from_millis(200));
        let said: Value = serde_json::from_str(&there.done(&["show", "config", "--json"])).unwrap();
        let now = said["revision"].as_u64().unwrap();
        assert!(now == newest || now == newest + 1, "round {round}: from revision {newest} to {now}");
        if now > newest {
            (newest, last, came_in) = (now, round, came_in + 1);
        }
        // What is declared is what one file says, from its first port to its last.
        assert_eq!(said["text"]["text"], large(last), "round {round}");
        assert_eq!(said["topology"]["ports"].as_array().unwrap().len(), PORTS + 1, "round {round}");
        assert!(
            there.done(&["plan", text(&there.path(&format!("{last}.toml")))]).starts_with("nothing to do")
        );
    }
    assert!((1..KILLS).contains(&came_in), "{came_in} of {KILLS} came in: not all were killed in the middle");
    // Whoever comes next is not in their way.
    assert!(apply(&there, KILLS + 1).status().unwrap().success());
    there.wait_for(newest + 1);
}

const KILLS: usize = 20;
const PORTS: usize = 200;
