//! One file, read: its functions, what it makes public, where it unwraps, and which of its lines are test code.
//!
//! What a macro is given is not parsed: a function written inside `macro_rules!` is not counted. `unwrap` and `expect` are looked for among
//! the tokens of the whole file, so that those in a macro's arguments count.

use std::ops::RangeInclusive;

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, Signature, TraitItem, Visibility};

use super::budget::WHOLE;
use super::naming::Naming;

/// A file of a crate.
#[derive(Debug, Clone)]
pub struct Reading {
    /// From the root of the repository.
    pub path: String,
    /// All of it is test code.
    pub is_test: bool,
    /// Its lines, all of them.
    pub lines: usize,
    /// Its functions that have a body, and those that a trait asks for.
    pub functions: Vec<Function>,
    /// What it makes public, and the file itself.
    pub publics: Vec<Public>,
    /// What it declares and names.
    pub naming: Naming,
    /// The lines with an `unwrap` or `expect`, once each.
    pub unwraps: Vec<usize>,
    /// What stands behind `#[cfg(test)]`.
    test_lines: Vec<RangeInclusive<usize>>,
    /// Modules of other files that are declared behind `#[cfg(test)]`.
    pub test_modules: Vec<String>,
}

/// A function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// With what it is in: `Engine::handle`, `tests::a_case`.
    pub name: String,
    /// Where its signature begins.
    pub line: usize,
    /// From there to its last brace; `None` without a body.
    pub lines: Option<usize>,
    /// With `self`.
    pub parameters: usize,
}

/// Something public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Public {
    /// With what it is in.
    pub name: String,
    /// Where it begins.
    pub line: usize,
    /// It has a documentation comment.
    pub is_documented: bool,
    /// It counts as an item of its file.
    pub is_item: bool,
}

impl Reading {
    /// Reads a file's text.
    ///
    /// # Errors
    /// It is not Rust.
    pub fn of(path: &str, is_test: bool, text: &str) -> Result<Reading, syn::Error> {
        let file = syn::parse_file(text)?;
        let mut reader = Reader::default();
        reader.note_public(WHOLE, 1, &file.attrs);
        reader.visit_file(&file);
        let mut unwraps = Vec::new();
        find_unwraps(text.parse()?, &mut unwraps);
        unwraps.dedup();
        Ok(Reading {
            path: path.to_owned(),
            is_test,
            lines: text.lines().count(),
            functions: reader.functions,
            publics: reader.publics,
            naming: Naming::of(&file, &reader.test_lines),
            unwraps,
            test_lines: reader.test_lines,
            test_modules: reader.test_modules,
        })
    }

    /// Whether a line is test code.
    pub fn is_test_line(&self, line: usize) -> bool {
        self.is_test || self.test_lines.iter().any(|range| range.contains(&line))
    }

    /// How many lines are not test code.
    pub fn code_lines(&self) -> usize {
        (1..=self.lines).filter(|line| !self.is_test_line(*line)).count()
    }
}

/// Walks through a file's items.
#[derive(Default)]
struct Reader {
    functions: Vec<Function>,
    publics: Vec<Public>,
    test_lines: Vec<RangeInclusive<usize>>,
    test_modules: Vec<String>,
    /// The modules, types and traits around.
    around: Vec<String>,
}

impl Reader {
    fn name(&self, ident: &str) -> String {
        self.around.iter().map(String::as_str).chain([ident]).collect::<Vec<_>>().join("::")
    }

    fn within(&mut self, name: String, visit: impl FnOnce(&mut Self)) {
        self.around.push(name);
        visit(self);
        self.around.pop();
    }

    fn note_function(&mut self, signature: &Signature, last: Option<usize>) {
        let line = line_of(signature);
        self.functions.push(Function {
            name: self.name(&signature.ident.to_string()),
            line,
            lines: last.map(|last| last - line + 1),
            parameters: signature.inputs.len(),
        });
    }

    fn note_public(&mut self, ident: &str, line: usize, attributes: &[Attribute]) {
        let is_documented = attributes.iter().any(|attribute| attribute.path().is_ident("doc"));
        let name = if ident == WHOLE { ident.to_owned() } else { self.name(ident) };
        self.publics.push(Public { name, line, is_documented, is_item: false });
    }

    fn note_item(&mut self, item: &Item) {
        if let Some((ident, attributes)) = declared_public(item) {
            self.note_public(&ident, line_of(item), attributes);
            self.publics.last_mut().expect("it was just noted").is_item = true;
        }
    }

    fn note_test_code(&mut self, item: &Item) {
        if let Item::Mod(module) = item
            && module.content.is_none()
        {
            self.test_modules.push(module.ident.to_string());
        }
        self.test_lines.push(line_of(item)..=item.span().end().line);
    }

    fn note_fields(&mut self, fields: &syn::Fields, are_public: bool) {
        for field in fields {
            if let Some(ident) = &field.ident
                && (are_public || is_public(&field.vis))
            {
                self.note_public(&ident.to_string(), line_of(field), &field.attrs);
            }
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_for_tests(attributes_of(item)) {
            self.note_test_code(item);
        }
        self.note_item(item);
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.within(module.ident.to_string(), |reader| visit::visit_item_mod(reader, module));
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.note_function(&function.sig, Some(function.block.span().end().line));
        self.within(function.sig.ident.to_string(), |reader| visit::visit_item_fn(reader, function));
    }

    fn visit_item_impl(&mut self, block: &'ast syn::ItemImpl) {
        let name = type_name(&block.self_ty);
        self.within(name, |reader| {
            for item in &block.items {
                if let ImplItem::Fn(method) = item
                    && is_public(&method.vis)
                {
                    reader.note_public(&method.sig.ident.to_string(), line_of(&method.sig), &method.attrs);
                }
            }
            visit::visit_item_impl(reader, block);
        });
    }

    fn visit_impl_item_fn(&mut self, method: &'ast syn::ImplItemFn) {
        self.note_function(&method.sig, Some(method.block.span().end().line));
        self.within(method.sig.ident.to_string(), |reader| visit::visit_impl_item_fn(reader, method));
    }

    fn visit_item_trait(&mut self, declared: &'ast syn::ItemTrait) {
        self.within(declared.ident.to_string(), |reader| {
            for item in &declared.items {
                if let TraitItem::Fn(method) = item
                    && is_public(&declared.vis)
                {
                    reader.note_public(&method.sig.ident.to_string(), line_of(&method.sig), &method.attrs);
                }
            }
            visit::visit_item_trait(reader, declared);
        });
    }

    fn visit_trait_item_fn(&mut self, method: &'ast syn::TraitItemFn) {
        let last = method.default.as_ref().map(|block| block.span().end().line);
        self.note_function(&method.sig, last);
        visit::visit_trait_item_fn(self, method);
    }

    fn visit_item_struct(&mut self, declared: &'ast syn::ItemStruct) {
        if is_public(&declared.vis) {
            let name = declared.ident.to_string();
            self.within(name, |reader| reader.note_fields(&declared.fields, false));
        }
    }

    fn visit_item_enum(&mut self, declared: &'ast syn::ItemEnum) {
        if !is_public(&declared.vis) {
            return;
        }
        self.within(declared.ident.to_string(), |reader| {
            for variant in &declared.variants {
                let name = variant.ident.to_string();
                reader.note_public(&name, line_of(&variant.ident), &variant.attrs);
                reader.within(name, |reader| reader.note_fields(&variant.fields, true));
            }
        });
    }
}

/// The name and attributes of an item that the file itself declares public.
fn declared_public(item: &Item) -> Option<(String, &[Attribute])> {
    let (visibility, ident) = match item {
        Item::Const(it) => (&it.vis, &it.ident),
        Item::Enum(it) => (&it.vis, &it.ident),
        Item::Fn(it) => (&it.vis, &it.sig.ident),
        Item::Static(it) => (&it.vis, &it.ident),
        Item::Struct(it) => (&it.vis, &it.ident),
        Item::Trait(it) => (&it.vis, &it.ident),
        Item::Type(it) => (&it.vis, &it.ident),
        Item::Union(it) => (&it.vis, &it.ident),
        _ => return None,
    };
    is_public(visibility).then(|| (ident.to_string(), attributes_of(item)))
}

fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(it) => &it.attrs,
        Item::Enum(it) => &it.attrs,
        Item::Fn(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Macro(it) => &it.attrs,
        Item::Mod(it) => &it.attrs,
        Item::Static(it) => &it.attrs,
        Item::Struct(it) => &it.attrs,
        Item::Trait(it) => &it.attrs,
        Item::Type(it) => &it.attrs,
        Item::Union(it) => &it.attrs,
        _ => &[],
    }
}

/// `#[cfg(test)]`, or `#[cfg(all(test, …))]`.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    let conditions = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    conditions.filter_map(|attribute| attribute.meta.require_list().ok()).any(|list| {
        let text = list.tokens.to_string().replace(' ', "");
        text == "test" || text.starts_with("all(test,")
    })
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// The last word of a type's path, without what it is generic over.
fn type_name(named: &syn::Type) -> String {
    match named {
        syn::Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
        syn::Type::Reference(reference) => Some(type_name(&reference.elem)),
        _ => None,
    }
    .unwrap_or_else(|| "impl".to_owned())
}

fn line_of(node: &impl Spanned) -> usize {
    node.span().start().line
}

/// The lines on which `.unwrap(…)` or one of its kin is called.
fn find_unwraps(tokens: TokenStream, lines: &mut Vec<usize>) {
    let mut is_after_dot = false;
    for token in tokens {
        match &token {
            TokenTree::Ident(word) if is_after_dot && PANICKING.iter().any(|name| word == name) => {
                lines.push(word.span().start().line);
            }
            TokenTree::Group(group) => find_unwraps(group.stream(), lines),
            _ => {}
        }
        is_after_dot = matches!(&token, TokenTree::Punct(mark) if mark.as_char() == '.');
    }
}

const PANICKING: [&str; 4] = ["unwrap", "expect", "unwrap_err", "expect_err"];
