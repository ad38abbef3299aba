//! What a file takes without a daemon.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use l2gw::cli::difference::Difference;
use l2gw::config;

use super::meter;
use super::reading::{Growth, Notes, Reading};
use super::world::World;
use crate::lab::gateway::program;

/// `l2gw check` and `l2gw table` of a world's file, and the difference that one changed key makes.
///
/// # Panics
/// The file is found wrong.
pub fn measure(world: World) -> Vec<Reading> {
    let mut notes = Notes::at(world.ports(), "ports");
    let directory = tempfile::tempdir().expect("a directory of its own");
    let path = directory.path().join("gateway.toml");
    std::fs::write(&path, world.file()).expect("the configuration file");
    notes.time("`l2gw check`, CPU", ended("check", &path).cpu, Growth::Whole);
    let table = ended("table", &path);
    notes.time("`l2gw table`, CPU", table.cpu, Growth::Whole);
    let read = |file: &str| config::parse("bench", file).expect("a file that is right");
    let (before, after) =
        (read(&world.file()).description, Arc::new(read(&world.file_with_a_change()).topology));
    let (difference, took) = meter::of_this_thread(|| Difference::new(&before, &after));
    assert_eq!(difference.objects.len(), 1, "one key was changed: {:?}", difference.objects);
    notes.time("the difference that one changed key makes, CPU", took, Growth::Whole);
    notes.done()
}

fn ended(verb: &str, path: &Path) -> meter::Ended {
    meter::of_program(Command::new(program()).arg(verb).arg(path))
}
