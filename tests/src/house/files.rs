//! The files of a crate as its modules: what a name in one of them stands for, which two name each other, and how large its stateful types
//! are over all files.
//!
//! A name is followed through `use` and `pub use` to the file that declares it. Each file on the way is named as well.

use std::collections::BTreeMap;

use super::naming::{Naming, Struct};
use super::reading::Reading;

/// The production files of a crate's library.
pub struct Files<'a> {
    name: &'a str,
    /// By their modules: `["engine", "upcall"]`.
    of: BTreeMap<Vec<String>, &'a Reading>,
}

/// A struct that has methods which change it, with all its files together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stateful<'a> {
    /// The file that declares it.
    pub path: &'a str,
    /// What is declared.
    pub declared: &'a Struct,
    /// Its methods in all `impl` blocks.
    pub methods: usize,
}

/// Two files that name each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circle<'a> {
    /// One, with a line that names the other.
    pub one: (&'a str, usize),
    /// The other, with a line that names the first.
    pub other: (&'a str, usize),
}

impl<'a> Files<'a> {
    /// Those of a crate that are no tests. A program's `main.rs` is left out: no other file can name it.
    pub fn new(name: &'a str, files: &'a [Reading]) -> Files<'a> {
        let code = files.iter().filter(|file| !file.is_test);
        Files { name, of: code.filter_map(|file| Some((module_of(&file.path)?, file))).collect() }
    }

    /// Every struct that has a method with `&mut self`, in the order of the files.
    pub fn stateful(&self) -> Vec<Stateful<'a>> {
        let mut methods: BTreeMap<(Vec<String>, String), (usize, bool)> = BTreeMap::new();
        for (module, file) in &self.of {
            for block in &file.naming.impls {
                if let Some((at, Some(item))) = self.resolve(module, &block.of).last() {
                    let (count, is_stateful) = methods.entry((at.clone(), item.clone())).or_default();
                    *count += block.methods;
                    *is_stateful |= block.is_stateful;
                }
            }
        }
        let mut found = Vec::new();
        for (module, file) in &self.of {
            for declared in &file.naming.structs {
                let of = methods.get(&(module.clone(), declared.name.clone()));
                if let Some((methods, true)) = of.copied() {
                    found.push(Stateful { path: &file.path, declared, methods });
                }
            }
        }
        found
    }

    /// Every two files that name each other, where neither is a module around the other.
    pub fn circles(&self) -> Vec<Circle<'a>> {
        let named: BTreeMap<&Vec<String>, BTreeMap<Vec<String>, usize>> =
            self.of.keys().map(|module| (module, self.named_by(module))).collect();
        let mut found = Vec::new();
        for (module, others) in &named {
            for (other, line) in others.iter().filter(|(other, _)| *other > *module) {
                if let Some(back) = named.get(other).and_then(|back| back.get(*module)) {
                    let at = |module: &Vec<String>, line: usize| (self.of[module].path.as_str(), line);
                    found.push(Circle { one: at(module, *line), other: at(other, *back) });
                }
            }
        }
        found
    }

    /// The files that a file names, each with the first line that does.
    fn named_by(&self, module: &Vec<String>) -> BTreeMap<Vec<String>, usize> {
        let mut named = BTreeMap::new();
        for (line, path) in &self.of[module].naming.paths {
            for (other, _) in self.resolve(module, path) {
                if !other.starts_with(module) && !module.starts_with(&other) {
                    named.entry(other).or_insert(*line);
                }
            }
        }
        named
    }

    /// The files that a path names, seen from a file: the last one declares the item; those before pass its name on.
    fn resolve(&self, from: &[String], path: &[String]) -> Vec<Named> {
        let mut named = Vec::new();
        self.follow(from, path, MOST_HOPS, &mut named);
        named
    }

    fn follow(&self, from: &[String], path: &[String], hops: usize, named: &mut Vec<Named>) {
        let Some((mut at, mut rest)) = self.begin(from, path) else {
            return self.follow_import(from, path, hops, named);
        };
        while let Some((word, after)) = rest.split_first() {
            let naming = self.naming(&at);
            if naming.is_some_and(|naming| naming.modules.contains(word)) {
                at.push(word.clone());
                rest = after;
            } else if naming.is_some_and(|naming| naming.items.contains(word)) {
                return named.push((at, Some(word.clone())));
            } else {
                self.name(&at, named);
                return self.follow_import(&at, rest, hops, named);
            }
        }
        self.name(&at, named);
    }

    fn name(&self, at: &[String], named: &mut Vec<Named>) {
        if self.of.contains_key(at) {
            named.push((at.to_vec(), None));
        }
    }

    /// The module at which a path begins, and what is left of it; `None` if it begins with what a `use` brought in, or outside of the crate.
    fn begin<'p>(&self, from: &[String], path: &'p [String]) -> Option<(Vec<String>, &'p [String])> {
        let (first, rest) = path.split_first()?;
        let naming = self.naming(from)?;
        match first.as_str() {
            "crate" => Some((Vec::new(), rest)),
            "self" => Some((from.to_vec(), rest)),
            "super" => {
                let above = &from[..from.len().checked_sub(1)?];
                match rest.first().is_some_and(|word| word == "super") {
                    true => self.begin(above, rest),
                    false => Some((above.to_vec(), rest)),
                }
            }
            word if naming.modules.contains(word) || naming.items.contains(word) => {
                Some((from.to_vec(), path))
            }
            word if word == self.name && !naming.imports.contains_key(word) => Some((Vec::new(), rest)),
            _ => None,
        }
    }

    fn follow_import(&self, from: &[String], path: &[String], hops: usize, named: &mut Vec<Named>) {
        let imported = path.first().and_then(|word| self.naming(from)?.imports.get(word));
        if let (Some(imported), Some(hops)) = (imported, hops.checked_sub(1)) {
            let whole: Vec<String> = imported.iter().chain(&path[1..]).cloned().collect();
            self.follow(from, &whole, hops, named);
        }
    }

    fn naming(&self, module: &[String]) -> Option<&'a Naming> {
        self.of.get(module).map(|file| &file.naming)
    }
}

/// A file, by its module, and the item of it if it declares what was named.
type Named = (Vec<String>, Option<String>);

/// The module that a file of `CRATE/src` is.
fn module_of(path: &str) -> Option<Vec<String>> {
    let (_, within) = path.split_once("/src/")?;
    let mut words: Vec<String> = within.strip_suffix(".rs")?.split('/').map(str::to_owned).collect();
    match (words.len(), words.last()?.as_str()) {
        (1, "main") => return None,
        (1, "lib") | (_, "mod") => _ = words.pop(),
        _ => {}
    }
    Some(words)
}

/// How many names a name may stand for in turn: `use` of a `use`, and so on. A `use` of itself ends there.
const MOST_HOPS: usize = 8;
