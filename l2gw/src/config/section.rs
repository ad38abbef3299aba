//! One table of the file, read key by key: every mistake is noted and reading goes on.
//!
//! Each key is asked for once with the function that reads its value. Keys that the table does not have are noted
//! when it is opened, so that a slip such as `lnik` is one mistake and not also a missing `link`.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::draft::{Drafts, Object};
use super::words;
use vlan::model::nearest::nearest;

/// A value of the file with its place.
pub(super) type Value<'a> = Spanned<DeValue<'a>>;

/// What is wrong with a value, and where it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Byte offset.
    pub(super) offset: usize,
    /// Which value and what is allowed.
    pub(super) text: String,
}

/// A value read, or all that is wrong with it.
pub(super) type Reading<T> = Result<T, Vec<Refusal>>;

/// Refuses `value` as a whole.
pub(super) fn refuse<T>(value: &Value<'_>, text: String) -> Reading<T> {
    Err(vec![Refusal { offset: value.span().start, text }])
}

/// Where a table is, and what it may hold.
#[derive(Debug, Clone)]
pub(super) struct Heading {
    /// Its path with the object's name: `trunks.leaf1`; empty for the file.
    pub(super) path: String,
    /// Byte offset of its header, where a missing key is reported.
    pub(super) offset: usize,
    /// The object it describes, if it is one of the topology's.
    pub(super) object: Option<Object>,
    /// What it is called in messages: `[[trunks]]`.
    pub(super) title: &'static str,
    /// Its keys, those included that only some kinds of the object have.
    pub(super) keys: &'static [&'static str],
    /// Keys of its neighbours, which get a better refusal than an unknown key.
    pub(super) foreign: &'static [&'static str],
}

/// A table that is being read.
#[derive(Debug)]
pub(super) struct Section<'s, 'a> {
    table: &'a DeTable<'a>,
    heading: Heading,
    misspelt: Vec<&'static str>,
    drafts: &'s mut Drafts,
}

impl<'s, 'a> Section<'s, 'a> {
    /// Opens a table and notes its unknown keys.
    pub(super) fn open(table: &'a DeTable<'a>, heading: Heading, drafts: &'s mut Drafts) -> Section<'s, 'a> {
        let mut section = Section { table, heading, misspelt: Vec::new(), drafts };
        for key in table.keys() {
            if !section.knows(key.get_ref()) {
                section.note_unknown(key.get_ref(), key.span().start);
            }
        }
        section
    }

    /// Reads `key` if it is there; `None` when it is absent or refused.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&'a Value<'a>) -> Reading<T>,
    ) -> Option<T> {
        let refusals = match read(self.table.get(key)?) {
            Ok(read) => return Some(read),
            Err(refusals) => refusals,
        };
        for Refusal { offset, text } in refusals {
            self.note(key, offset, text);
        }
        None
    }

    /// Reads `key`; when it is absent that is a mistake, and `meaning` says what was expected.
    pub(super) fn required<T>(
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
    pub(super) fn optional_if<T>(
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
    pub(super) fn nested(
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
        let heading = Heading { path, offset: value.span().start, object: None, title, keys, foreign: &[] };
        Some(Section::open(table, heading, self.drafts))
    }

    /// Refuses `key` if it is there: `why` says to what it belongs.
    pub(super) fn refuse_present(&mut self, key: &'static str, why: &str) {
        let Some((at, value)) = self.table.get_key_value(key) else { return };
        let text = format!("{} has no use here: {why}", words::quoted(value));
        self.note(key, at.span().start, text);
    }

    /// Whether `key` is not there, not even misspelt.
    pub(super) fn is_absent(&self, key: &str) -> bool {
        !self.table.contains_key(key) && !self.is_misspelt(key)
    }

    /// The table's path.
    pub(super) fn path(&self) -> &str {
        &self.heading.path
    }

    /// Whether a key was found that most likely stands for `key`.
    pub(super) fn is_misspelt(&self, key: &str) -> bool {
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

/// `path.key`, or `key` at the top of the file.
pub(super) fn path_of(path: &str, key: &str) -> String {
    let key = words::key_part(key);
    if path.is_empty() { key } else { format!("{path}.{key}") }
}
