//! How messages call a place of the file: `trunks.leaf1.vlans`.

use toml::Spanned;
use toml::de::DeValue;
use vlan::model::value::{self, quote};

use super::words::LONGEST_QUOTE;

/// `path.key`, or `key` at the top of the file.
pub fn path_of(path: &str, key: &str) -> String {
    let key = key_part(key);
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// The path of an element of the list at `path`: by its name if it has one, else by its number from 1.
pub fn element_path(path: &str, index: usize, element: &Spanned<DeValue<'_>>) -> String {
    let name = match element.get_ref() {
        DeValue::Table(table) => table.get("name").and_then(|name| name.get_ref().as_str()),
        _ => None,
    };
    match name.filter(|name| value::name(name).is_ok()) {
        Some(name) => format!("{path}.{}", key_part(name)),
        None => format!("{path}.{}", index + 1),
    }
}

/// A part of a key path: bare where TOML allows it bare, else quoted.
fn key_part(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.len() <= LONGEST_QUOTE && name.chars().all(is_bare) {
        name.to_owned()
    } else {
        quote(name)
    }
}
