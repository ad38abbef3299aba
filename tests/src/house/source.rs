//! The files of a crate, and which of them are test code.

use std::fs;
use std::path::{Path, PathBuf};

use super::HouseError;
use super::reading::Reading;

/// Reads every Rust file of a crate, in the order of their paths.
///
/// # Errors
/// A folder or file cannot be read, or a file is not Rust.
pub fn read_crate(root: &Path, name: &str) -> Result<Vec<Reading>, HouseError> {
    let mut paths = Vec::new();
    for folder in ["src", "tests", "benches"].map(|folder| root.join(name).join(folder)) {
        if folder.is_dir() {
            find_files(&folder, &mut paths)?;
        }
    }
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        files.push(read_file(root, name, &path)?);
    }
    mark_test_modules(&mut files);
    Ok(files)
}

fn read_file(root: &Path, name: &str, path: &Path) -> Result<Reading, HouseError> {
    let short = path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned();
    let is_test = name == TEST_CRATE || !short.starts_with(&format!("{name}/src/"));
    let text = fs::read_to_string(path).map_err(|cause| HouseError::unreadable(path, cause))?;
    Reading::of(&short, is_test, &text).map_err(|cause| HouseError::NotRust { path: short, cause })
}

fn find_files(folder: &Path, into: &mut Vec<PathBuf>) -> Result<(), HouseError> {
    for entry in fs::read_dir(folder).map_err(|cause| HouseError::unreadable(folder, cause))? {
        let path = entry.map_err(|cause| HouseError::unreadable(folder, cause))?.path();
        if path.is_dir() {
            find_files(&path, into)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
    Ok(())
}

/// A module declared behind `#[cfg(test)]` is test code, with everything under it.
fn mark_test_modules(files: &mut [Reading]) {
    let marked: Vec<String> = files
        .iter()
        .flat_map(|file| file.test_modules.iter().map(|module| format!("{}/{module}", folder_of(&file.path))))
        .collect();
    for file in files {
        file.is_test |= marked.iter().any(|module| {
            file.path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        });
    }
}

/// Where the modules are that a file declares.
fn folder_of(path: &str) -> &str {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name {
        "mod.rs" | "lib.rs" | "main.rs" => folder,
        _ => path.trim_end_matches(".rs"),
    }
}

/// The crate that is all test code.
pub const TEST_CRATE: &str = "tests";
