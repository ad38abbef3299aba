//! From text to a tree of values with their places.
//!
//! A mistake of TOML's grammar ends the list of mistakes: what follows it cannot be told. A key or a table that is
//! there twice is TOML's mistake too, but the tree is whole without the second one, so reading goes on.

use std::collections::{HashMap, HashSet};

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use vlan::model::value::{self, quote};

use super::section::path_of;
use super::words::key_part;

/// A file's tree, and what is in it twice.
#[derive(Debug)]
pub(super) struct Parsed<'a> {
    /// The top of the file.
    pub(super) root: DeTable<'a>,
    /// What is there twice.
    pub(super) doubles: Vec<Double>,
}

/// A key or a table that is there twice.
#[derive(Debug)]
pub(super) struct Double {
    /// Byte offset of the second one.
    pub(super) offset: usize,
    /// Its path.
    pub(super) path: String,
    /// What is allowed.
    pub(super) text: String,
    /// Whether it is a table whose contents are now mixed with the first one's.
    pub(super) is_table: bool,
}

/// A place where the text is no TOML.
#[derive(Debug)]
pub(super) struct SyntaxMistake {
    /// Byte offset.
    pub(super) offset: usize,
    /// What was found and what was expected.
    pub(super) text: String,
}

/// Reads `text` as TOML 1.1.
///
/// # Errors
/// The first mistake of grammar.
pub(super) fn parse(text: &str) -> Result<Parsed<'_>, SyntaxMistake> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let offset_of = |error: &toml::de::Error| error.span().map_or(text.len(), |span| span.start);
    let (doubles, errors): (Vec<_>, Vec<_>) = errors.into_iter().partition(|e| e.message() == DUPLICATE);
    if let Some(first) = errors.iter().min_by_key(|error| offset_of(error)) {
        return Err(SyntaxMistake { offset: offset_of(first), text: in_words(first, text) });
    }
    let root = root.into_inner();
    let doubles =
        if doubles.is_empty() { Vec::new() } else { Containers::new(&root, text).doubles(&doubles) };
    Ok(Parsed { root, doubles })
}

fn in_words(error: &toml::de::Error, text: &str) -> String {
    let found = error.span().and_then(|span| text.get(span)).map(str::trim).filter(|found| !found.is_empty());
    let found = found.map(|found| format!("{} is not allowed here: ", quote(found))).unwrap_or_default();
    let message = error.message().trim_end_matches(", expected nothing");
    let message: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("{found}{message}")
}

/// The tables of a file in the order in which they begin.
#[derive(Debug)]
struct Containers<'a> {
    text: &'a str,
    list: Vec<Container>,
}

#[derive(Debug)]
struct Container {
    start: usize,
    /// End of the header, or of the inline table.
    end: usize,
    is_inline: bool,
    path: String,
    /// Start of the container it is in.
    within: Option<usize>,
}

impl<'a> Containers<'a> {
    fn new(root: &DeTable<'_>, text: &'a str) -> Containers<'a> {
        let mut containers = Containers { text, list: Vec::new() };
        containers.add_children(root, "", None);
        containers.list.sort_by_key(|container| container.start);
        containers
    }

    fn add_children(&mut self, table: &DeTable<'_>, path: &str, within: Option<usize>) {
        for (key, value) in table.iter() {
            let path = path_of(path, key.get_ref());
            match value.get_ref() {
                DeValue::Table(_) => self.add(value, path, within),
                DeValue::Array(elements) => {
                    for (index, element) in elements.iter().enumerate() {
                        self.add(element, element_path(&path, index, element), within);
                    }
                }
                _ => {}
            }
        }
    }

    fn add(&mut self, value: &Spanned<DeValue<'_>>, path: String, within: Option<usize>) {
        let DeValue::Table(table) = value.get_ref() else { return };
        let span = value.span();
        let opening = self.text.as_bytes().get(span.start);
        // A table that only dotted keys or longer headers made has the span of a key: what is in it is in its parent.
        let is_written_out = matches!(opening, Some(b'[' | b'{'));
        let within_children = if is_written_out { Some(span.start) } else { within };
        self.add_children(table, &path, within_children);
        if is_written_out {
            let is_inline = opening == Some(&b'{');
            self.list.push(Container { start: span.start, end: span.end, is_inline, path, within });
        }
    }

    fn doubles(&self, errors: &[toml::de::Error]) -> Vec<Double> {
        let firsts = first_headers(self.text);
        let spans = errors.iter().filter_map(toml::de::Error::span);
        let doubles: Vec<Double> = spans.map(|span| self.double(span.start, span.end, &firsts)).collect();
        let mixed = doubles.iter().filter(|double| double.is_table).map(|double| double.path.clone());
        let mixed: HashSet<String> = mixed.collect();
        // The keys of a table that is there twice are too; that is said once, of the table.
        let is_news = |double: &Double| {
            double.is_table || !double.path.rsplit_once('.').is_some_and(|(table, _)| mixed.contains(table))
        };
        doubles.into_iter().filter(is_news).collect()
    }

    fn double(&self, start: usize, end: usize, firsts: &HashMap<String, usize>) -> Double {
        let key = self.text.get(start..end).unwrap_or_default();
        let container = self.around(start);
        let header = container.filter(|container| !container.is_inline && start < container.end);
        let Some(header) = header else {
            let path =
                path_of(container.map_or("", |container| &container.path), key.trim_matches(['"', '\'']));
            let text = "is set twice, one value is allowed".to_owned();
            return Double { offset: start, path, text, is_table: false };
        };
        let first =
            self.text.get(header.start..header.end).and_then(|header| firsts.get(&without_space(header)));
        let first = first.map(|line| format!(" (first on line {line})")).unwrap_or_default();
        let text = format!("{} is declared twice{first}, names are used once", quote(key));
        Double { offset: header.start, path: header.path.clone(), text, is_table: true }
    }

    fn around(&self, offset: usize) -> Option<&Container> {
        let mut index = self.list.partition_point(|container| container.start <= offset).checked_sub(1)?;
        loop {
            let container = &self.list[index];
            if !container.is_inline || offset < container.end {
                return Some(container);
            }
            index = self.list.binary_search_by_key(&container.within?, |container| container.start).ok()?;
        }
    }
}

/// Lines on which headers are for the first time.
fn first_headers(text: &str) -> HashMap<String, usize> {
    let mut firsts = HashMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.starts_with('[')
            && let Some(end) = line.find(']')
        {
            firsts.entry(without_space(&line[..=end])).or_insert(index + 1);
        }
    }
    firsts
}

fn without_space(header: &str) -> String {
    header.chars().filter(|c| !c.is_whitespace()).collect()
}

/// The path of an element of the list at `path`: by its name if it has one, else by its number from 1.
pub(super) fn element_path(path: &str, index: usize, element: &Spanned<DeValue<'_>>) -> String {
    let name = match element.get_ref() {
        DeValue::Table(table) => table.get("name").and_then(|name| name.get_ref().as_str()),
        _ => None,
    };
    match name.filter(|name| value::name(name).is_ok()) {
        Some(name) => format!("{path}.{}", key_part(name)),
        None => format!("{path}.{}", index + 1),
    }
}

/// What toml 1.2 says of a key or a table that is there twice.
const DUPLICATE: &str = "duplicate key";
