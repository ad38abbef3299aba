//! What a file declares, what it names, and how many methods it gives to which type.
//!
//! Names in a macro's arguments count; what a macro makes does not, and neither does a name in a string (`#[serde(with = "…")]`). What stands
//! behind `#[cfg(test)]` is left out. A module written out within the file is part of the file.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{ImplItem, Item, UseTree};

/// A path as it is written, without what is generic: `["super", "Engine"]`.
pub type Path = Vec<String>;

/// What a file declares and names.
#[derive(Debug, Clone, Default)]
pub struct Naming {
    /// The modules that have files of their own.
    pub modules: BTreeSet<String>,
    /// Whatever else it declares.
    pub items: BTreeSet<String>,
    /// Its structs.
    pub structs: Vec<Struct>,
    /// What each `use` brings in, by the name that it has here.
    pub imports: BTreeMap<String, Path>,
    /// Every path with its line, those of `use` among them.
    pub paths: Vec<(usize, Path)>,
    /// Every `impl` block.
    pub impls: Vec<Impl>,
}

/// A struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Struct {
    /// Its name.
    pub name: String,
    /// Where it begins.
    pub line: usize,
    /// How many fields it has.
    pub fields: usize,
}

/// An `impl` block, of a trait or of none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impl {
    /// Whose.
    pub of: Path,
    /// Its functions.
    pub methods: usize,
    /// One of them takes `&mut self`.
    pub is_stateful: bool,
}

impl Naming {
    /// Reads a file, but for the lines of its tests.
    pub fn of(file: &syn::File, test_lines: &[RangeInclusive<usize>]) -> Naming {
        let mut namer = Namer { found: Naming::default(), test_lines, depth: 0 };
        namer.visit_file(file);
        namer.found
    }
}

/// Walks through a file's names.
struct Namer<'a> {
    found: Naming,
    test_lines: &'a [RangeInclusive<usize>],
    /// How many modules of the same file are around.
    depth: usize,
}

impl Namer<'_> {
    fn note_path(&mut self, line: usize, mut path: Path) {
        let own = path.iter().take(self.depth).take_while(|word| *word == "super").count();
        path.drain(..own);
        if own > 0 && path.first().is_none_or(|word| word != "super") {
            path.insert(0, "self".to_owned());
        }
        self.found.paths.push((line, path));
    }

    fn note_use(&mut self, line: usize, mut before: Path, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.note_use(line, before, &path.tree);
            }
            UseTree::Name(name) => self.note_import(line, before, &name.ident.to_string(), None),
            UseTree::Rename(name) => {
                self.note_import(line, before, &name.ident.to_string(), Some(name.rename.to_string()));
            }
            UseTree::Glob(_) => self.note_path(line, before),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.note_use(line, before.clone(), tree);
                }
            }
        }
    }

    fn note_import(&mut self, line: usize, mut path: Path, last: &str, renamed: Option<String>) {
        if last != "self" {
            path.push(last.to_owned());
        }
        let here = renamed.or_else(|| path.last().cloned()).unwrap_or_default();
        self.note_path(line, path);
        if let Some((_, path)) = self.found.paths.last() {
            self.found.imports.insert(here, path.clone());
        }
    }

    /// The paths of two words and more among a macro's arguments.
    fn note_tokens(&mut self, tokens: TokenStream) {
        let (mut path, mut colons, mut line) = (Path::new(), 0, 0);
        for token in tokens {
            match &token {
                TokenTree::Ident(word) if !path.is_empty() && colons == 2 => path.push(word.to_string()),
                TokenTree::Ident(word) => {
                    self.note_long(line, std::mem::replace(&mut path, vec![word.to_string()]));
                    line = word.span().start().line;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Group(group) => self.note_tokens(group.stream()),
                _ => self.note_long(line, std::mem::take(&mut path)),
            }
            colons = 0;
        }
        self.note_long(line, path);
    }

    fn note_long(&mut self, line: usize, path: Path) {
        if path.len() > 1 {
            self.note_path(line, path);
        }
    }
}

impl<'ast> Visit<'ast> for Namer<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let line = item.span().start().line;
        if self.test_lines.iter().any(|range| range.contains(&line)) {
            return;
        }
        match item {
            Item::Mod(module) if module.content.is_none() => {
                self.found.modules.insert(module.ident.to_string());
            }
            _ => self.found.items.extend(declared(item)),
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.depth += 1;
        visit::visit_item_mod(self, module);
        self.depth -= 1;
    }

    fn visit_item_struct(&mut self, declared: &'ast syn::ItemStruct) {
        let line = declared.ident.span().start().line;
        let (name, fields) = (declared.ident.to_string(), declared.fields.len());
        self.found.structs.push(Struct { name, line, fields });
        visit::visit_item_struct(self, declared);
    }

    fn visit_item_impl(&mut self, block: &'ast syn::ItemImpl) {
        if let syn::Type::Path(named) = &*block.self_ty {
            let methods = block.items.iter().filter_map(|item| match item {
                ImplItem::Fn(method) => Some(&method.sig),
                _ => None,
            });
            let is_stateful = methods.clone().any(takes_itself_mutably);
            self.found.impls.push(Impl { of: words(&named.path), methods: methods.count(), is_stateful });
        }
        visit::visit_item_impl(self, block);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.note_use(item.span().start().line, Path::new(), &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.note_path(path.span().start().line, words(path));
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.note_tokens(called.tokens.clone());
        visit::visit_macro(self, called);
    }
}

fn takes_itself_mutably(signature: &syn::Signature) -> bool {
    signature.receiver().is_some_and(|itself| match &*itself.ty {
        syn::Type::Reference(reference) => reference.mutability.is_some(),
        _ => false,
    })
}

fn words(path: &syn::Path) -> Path {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

/// The name of an item that a path can name.
fn declared(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(it) => &it.ident,
        Item::Enum(it) => &it.ident,
        Item::Fn(it) => &it.sig.ident,
        Item::Mod(it) => &it.ident,
        Item::Static(it) => &it.ident,
        Item::Struct(it) => &it.ident,
        Item::Trait(it) => &it.ident,
        Item::Type(it) => &it.ident,
        Item::Union(it) => &it.ident,
        _ => return None,
    };
    Some(ident.to_string())
}
