//! A file that was read, for who has something to say about a place in it: a warning, or what this version does not run.

use toml::de::{DeTable, DeValue};

use crate::reader::finding::Finding;
use crate::reader::paths::path_of;
use crate::reader::position::{Position, Positions};

/// A file that is looked through.
#[derive(Debug, Clone, Copy)]
pub struct File<'f, 'a> {
    /// Its tree.
    pub root: &'f DeTable<'a>,
    /// Its lines.
    pub positions: &'f Positions<'f>,
}

impl File<'_, '_> {
    /// The value of a key, which is not run; `instead` says which ones are.
    pub fn finding(&self, keys: &[&str], (value, instead): (&str, &str)) -> Finding {
        let Position { line, column } = self.position(keys).unwrap_or(Position { line: 0, column: 0 });
        let key = keys.iter().fold(String::new(), |path, key| path_of(&path, key));
        let text = format!("\"{value}\" is checked but not run by this version, {instead}");
        Finding { line, column, key, text }
    }

    /// Where the value of a key is; `None` if it is not there.
    pub fn position(&self, keys: &[&str]) -> Option<Position> {
        let (last, tables) = keys.split_last()?;
        let mut table = self.root;
        for key in tables {
            let DeValue::Table(inner) = table.get(*key)?.get_ref() else { return None };
            table = inner;
        }
        Some(self.positions.at(table.get(*last)?.span().start))
    }
}
