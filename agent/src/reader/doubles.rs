//! Keys and tables that are in a file twice: which one, where the first one is.
//!
//! The reader's tree has only one of the two, so names are taken from the text. Only elements of lists and inline tables are named by the
//! tree.

use std::collections::{HashMap, HashSet};

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use vlan::model::value::quote;

use super::paths::{element_path, path_of};
use super::scan::{self, Kind, Statement};

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

/// What stands at these offsets, each the place of a name that is there twice. If a table is there twice, so are its keys: only the table
/// is told.
pub(super) fn doubles(root: &DeTable<'_>, text: &str, offsets: impl Iterator<Item = usize>) -> Vec<Double> {
    let statements = scan::statements(text);
    let written = Written::new(text, &statements);
    let named = Named::new(root, text);
    let doubles: Vec<Double> = offsets.filter_map(|offset| written.double(offset, &named)).collect();
    let mixed = doubles.iter().filter(|double| double.is_table).map(|double| double.path.clone());
    let mixed: HashSet<String> = mixed.collect();
    let is_within = |path: &str| {
        let mut parents = std::iter::successors(path.rsplit_once('.'), |(parent, _)| parent.rsplit_once('.'));
        parents.any(|(parent, _)| mixed.contains(parent))
    };
    doubles.into_iter().filter(|double| double.is_table || !is_within(&double.path)).collect()
}

/// What is written in a text, statement by statement.
struct Written<'a> {
    text: &'a str,
    statements: &'a [Statement],
    /// The header that each statement is below, or is.
    header_of: Vec<Option<usize>>,
    /// The line on which each statement is.
    lines: Vec<usize>,
    /// The line on which a table was first said to be there, by a header or by a dotted key.
    first: HashMap<String, usize>,
}

impl<'a> Written<'a> {
    fn new(text: &'a str, statements: &'a [Statement]) -> Written<'a> {
        let mut written =
            Written { text, statements, header_of: Vec::new(), lines: Vec::new(), first: HashMap::new() };
        let (mut header, mut line, mut counted) = (None, 1, 0);
        for (index, statement) in statements.iter().enumerate() {
            line += text[counted..statement.span.start].matches('\n').count();
            counted = statement.span.start;
            if statement.kind != Kind::Key {
                header = Some(index);
            }
            written.header_of.push(header);
            written.lines.push(line);
            written.note_first(index, line);
        }
        written
    }

    fn note_first(&mut self, index: usize, line: usize) {
        let statement = &self.statements[index];
        let count = statement.parts.len();
        let lengths = match statement.kind {
            Kind::Table | Kind::Element => count..=count,
            Kind::Key => 1..=count,
        };
        for length in lengths {
            let path = self.path(index, length);
            self.first.entry(path).or_insert(line);
        }
    }

    /// The path of the first `length` parts of a statement, below its header.
    fn path(&self, index: usize, length: usize) -> String {
        let statement = &self.statements[index];
        let mut path = match statement.kind {
            Kind::Key => self.header_of[index].map(|header| self.header_path(header)).unwrap_or_default(),
            Kind::Table | Kind::Element => String::new(),
        };
        for part in &statement.parts[..length] {
            path = path_of(&path, &self.text[part.clone()]);
        }
        path
    }

    fn header_path(&self, header: usize) -> String {
        self.path(header, self.statements[header].parts.len())
    }

    fn double(&self, offset: usize, named: &Named<'_>) -> Option<Double> {
        let index = self.statements.partition_point(|one| one.span.start <= offset).checked_sub(1)?;
        let statement = &self.statements[index];
        let last = statement.parts.iter().position(|part| offset < part.end).map(|at| at + 1);
        if statement.kind != Kind::Key && offset < statement.span.end {
            let length = last.unwrap_or(statement.parts.len());
            return Some(self.double_table(index, length));
        }
        let twice = "is set twice, one value is allowed".to_owned();
        let path = match (named.inline_around(offset), last) {
            (Some(inline), _) => path_of(&inline.path, key_at(self.text, offset)),
            (None, length) => {
                let length = length.unwrap_or(statement.parts.len());
                let element =
                    self.header_of[index].and_then(|header| named.at(self.statements[header].span.start));
                match element {
                    Some(element) if statement.kind == Kind::Key => {
                        let parts = &statement.parts[..length];
                        parts
                            .iter()
                            .fold(element.path.clone(), |path, part| path_of(&path, &self.text[part.clone()]))
                    }
                    _ => self.path(index, length),
                }
            }
        };
        Some(Double { offset, path, text: twice, is_table: false })
    }

    fn double_table(&self, index: usize, length: usize) -> Double {
        let statement = &self.statements[index];
        let path = self.path(index, length);
        let name = statement.parts.get(length.saturating_sub(1)).map_or("", |part| &self.text[part.clone()]);
        // One that only longer headers made is there without having been written.
        let first = self.first.get(&path).filter(|first| **first < self.lines[index]);
        let first = first.map(|line| format!(" (first on line {line})")).unwrap_or_default();
        let text = format!("{} is declared twice{first}, names are used once", quote(name));
        Double { offset: statement.span.start, path, text, is_table: true }
    }
}

fn key_at(text: &str, offset: usize) -> &str {
    let rest = &text[offset..];
    let end = rest.find(['=', '.', ' ', '\t', '\n']).unwrap_or(rest.len());
    rest[..end].trim_matches(['"', '\''])
}

/// The elements of lists and the inline tables of a tree, by where they are written.
#[derive(Debug)]
struct Named<'a> {
    text: &'a str,
    list: Vec<Container>,
}

#[derive(Debug)]
struct Container {
    start: usize,
    /// Its end, if it is an inline table.
    end: Option<usize>,
    path: String,
    /// Start of the inline table it is in.
    within: Option<usize>,
}

impl<'a> Named<'a> {
    fn new(root: &DeTable<'_>, text: &'a str) -> Named<'a> {
        let mut named = Named { text, list: Vec::new() };
        named.add_children(root, "", None);
        named.list.sort_by_key(|container| container.start);
        named
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
        let is_inline = self.text.as_bytes().get(span.start) == Some(&b'{');
        self.add_children(table, &path, if is_inline { Some(span.start) } else { within });
        let end = is_inline.then_some(span.end);
        self.list.push(Container { start: span.start, end, path, within });
    }

    /// The table that is written at `start`.
    fn at(&self, start: usize) -> Option<&Container> {
        let at = self.list.binary_search_by_key(&start, |container| container.start).ok()?;
        Some(&self.list[at])
    }

    /// The innermost inline table around `offset`.
    fn inline_around(&self, offset: usize) -> Option<&Container> {
        let mut index = self.list.partition_point(|container| container.start <= offset).checked_sub(1)?;
        loop {
            let container = &self.list[index];
            match container.end {
                Some(end) if offset < end => return Some(container),
                _ => {
                    index = self
                        .list
                        .binary_search_by_key(&container.within?, |container| container.start)
                        .ok()?
                }
            }
        }
    }
}
