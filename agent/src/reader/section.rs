//! One table of the file, read key by key: every mistake is noted and reading goes on.
//!
//! Each key is asked for once with the function that reads its value. Keys that the table does not have are noted
//! when it is opened, so that a slip such as `lnik` is one mistake and not also a missing `link`.

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use vlan::model::nearest::nearest;

use super::draft::{Drafts, Object};
use super::paths::path_of;
use super::words;

/// A value of the file with its place.
pub type Value<'a> = Spanned<DeValue<'a>>;

/// What is wrong with a value, and where it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueError {
    /// Byte offset.
    pub offset: usize,
    /// Which value and what is allowed.
    pub text: String,
}

/// A value read, or all that is wrong with it.
pub type Reading<T> = Result<T, Vec<ValueError>>;

/// Refuses `value` as a whole.
pub fn refuse<T>(value: &Value<'_>, text: String) -> Reading<T> {
    Err(vec![ValueError { offset: value.span().start, text }])
}

/// Where a table is, and what it may hold.
#[derive(Debug, Clone)]
pub struct Heading {
    /// Its path with the object's name: `trunks.leaf1`; empty for the file.
    pub path: String,
    /// Byte offset of its header, where a missing key is reported.
    pub offset: usize,
    /// The object it describes, if it is one of the topology's.
    pub object: Option<Object>,
    /// What it is called in messages: `[[trunks]]`.
    pub title: &'static str,
    /// Its keys, those included that only some kinds of the object have.
    pub keys: &'static [&'static str],
    /// Keys of its neighbours, which get a better refusal than an unknown key.
    pub foreign: &'static [&'static str],
}

impl Heading {
    /// Of a table that describes no object.
    pub fn plain(path: &str, offset: usize, title: &'static str, keys: &'static [&'static str]) -> Heading {
        Heading { path: path.to_owned(), offset, object: None, title, keys, foreign: &[] }
    }
}

/// A table that is being read.
#[derive(Debug)]
pub struct Section<'s, 'a> {
    table: &'a DeTable<'a>,
    heading: Heading,
    misspelt: Vec<&'static str>,
    drafts: &'s mut Drafts,
}

impl<'s, 'a> Section<'s, 'a> {
    /// Opens a table and notes its unknown keys.
    pub fn open(table: &'a DeTable<'a>, heading: Heading, drafts: &'s mut Drafts) -> Section<'s, 'a> {
        let mut section = Section { table, heading, misspelt: Vec::new(), drafts };
        for key in table.keys() {
            if !section.knows(key.get_ref()) {
                section.note_unknown(key.get_ref(), key.span().start);
            }
        }
        section
    }

    /// Opens the section `[key]` of a file, if it is there; one that is no table is noted.
    pub fn of_file(
        root: &'a DeTable<'a>,
        key: &'static str,
        (title, keys): (&'static str, &'static [&'static str]),
        drafts: &'s mut Drafts,
    ) -> Option<Section<'s, 'a>> {
        let value = root.get(key)?;
        let offset = value.span().start;
        let DeValue::Table(table) = value.get_ref() else {
            let text = format!("{}, allowed is {title}", words::quoted_with_type(value));
            drafts.add(offset, key.to_owned(), text);
            return None;
        };
        Some(Section::open(table, Heading::plain(key, offset, title, keys), drafts))
    }

    /// Reads `key` if it is there; `None` when it is absent or refused.
    pub fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&'a Value<'a>) -> Reading<T>,
    ) -> Option<T> {
        let refusals = match read(self.table.get(key)?) {
            Ok(read) => return Some(read),
            Err(refusals) => refusals,
        };
        for ValueError { offset, text } in refusals {
            self.note(key, offset, text);
        }
        None
    }

    /// Reads `key`; when it is absent that is a mistake, and `meaning` says what was expected.
    pub fn required<T>(
        &mut self,
        key: &'static str,
        meaning: &str,
        read: impl FnOnce(&'a Value<'a>) -> Reading<T>,
    ) -> Option<T> {
        if self.is_absent(key) {
            let text = format!("missing: {} needs {meaning}", self.heading.title);
            self.note(key, self.heading.offset, text);
        }
        self.optional(key, read)
    }

    /// Reads `key` where it belongs, else refuses it if it is there: `why` says to what it belongs.
    pub fn optional_if<T>(
        &mut self,
        belongs: bool,
        why: &str,
        key: &'static str,
        read: impl FnOnce(&'a Value<'a>) -> Reading<T>,
    ) -> Option<T> {
        if belongs {
            self.optional(key, read)
        } else {
            self.refuse_present(key, why);
            None
        }
    }

    /// The table that is the value of `key`, opened.
    pub fn nested(
        &mut self,
        key: &'static str,
        title: &'static str,
        keys: &'static [&'static str],
    ) -> Option<Section<'_, 'a>> {
        let value = self.table.get(key)?;
        let DeValue::Table(table) = value.get_ref() else {
            let text =
                format!("{}, allowed is a table of {}", words::quoted_with_type(value), words::all_of(keys));
            self.note(key, value.span().start, text);
            return None;
        };
        let path = path_of(&self.heading.path, key);
        let heading = Heading::plain(&path, value.span().start, title, keys);
        Some(Section::open(table, heading, self.drafts))
    }

    /// Refuses `key` if it is there: `why` says to what it belongs.
    pub fn refuse_present(&mut self, key: &'static str, why: &str) {
        let Some((at, value)) = self.table.get_key_value(key) else { return };
        let text = format!("{} has no use here: {why}", words::quoted(value));
        self.note(key, at.span().start, text);
    }

    /// Whether `key` is not there, not even misspelt.
    pub fn is_absent(&self, key: &str) -> bool {
        !self.table.contains_key(key) && !self.is_misspelt(key)
    }

    /// The table's path.
    pub fn path(&self) -> &str {
        &self.heading.path
    }

    /// Whether a key was found that most likely stands for `key`.
    pub fn is_misspelt(&self, key: &str) -> bool {
        self.misspelt.contains(&key)
    }

    fn knows(&self, key: &str) -> bool {
        self.heading.keys.contains(&key) || self.heading.foreign.contains(&key)
    }

    fn note_unknown(&mut self, key: &str, offset: usize) {
        if !self.drafts.is_told(offset) {
            return self.drafts.add_untold();
        }
        let text = match nearest(key, self.heading.keys.iter().copied()) {
            Some(nearest) => {
                self.misspelt.push(nearest);
                self.taint(nearest);
                format!("unknown key, the nearest known one is \"{nearest}\"")
            }
            None => format!("unknown key, {} knows {}", self.heading.title, words::all_of(self.heading.keys)),
        };
        self.drafts.add(offset, path_of(&self.heading.path, key), text);
    }

    fn note(&mut self, key: &'static str, offset: usize, text: String) {
        self.taint(key);
        self.drafts.add(offset, path_of(&self.heading.path, key), text);
    }

    fn taint(&mut self, key: &'static str) {
        if let Some(object) = self.heading.object {
            self.drafts.taint(object, key);
        }
    }
}
