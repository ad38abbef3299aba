//! Whether frames with a tag go where frames without it go, the tag being payload.

use super::{Fate, Leaving, Name, Piece};

/// At which ports that is so.
pub(crate) enum Payload {
    /// At none.
    Never,
    /// At every port, but for copies to these. If there is only one, it is so at that port too: nothing goes back to it.
    But(Vec<Name>),
}

impl Payload {
    /// Compares frames with `tag` to those without. `tag` is `None` for VID 0; both fates are `None` if the port is not there.
    pub(crate) fn of(untagged: Option<&Fate>, tagged: Option<&Fate>, tag: Option<Piece>) -> Payload {
        match (untagged, tagged) {
            (None, None) => Payload::But(Vec::new()),
            (Some(untagged), Some(tagged)) if untagged.refused == tagged.refused => {
                Payload::But(differing(&untagged.copies, &tagged.copies, tag))
            }
            _ => Payload::Never,
        }
    }

    /// Whether it is so at port `own`.
    pub(crate) fn is_so_at(&self, own: Name) -> bool {
        match self {
            Payload::Never => false,
            Payload::But(names) => names.iter().all(|name| *name == own),
        }
    }
}

/// The ports whose copies differ by more than `tag`.
fn differing(plain: &[Leaving], with_tag: &[Leaving], tag: Option<Piece>) -> Vec<Name> {
    let (mut plain, mut with_tag) = (by_port(plain).peekable(), by_port(with_tag).peekable());
    let mut names = Vec::new();
    loop {
        let heads = (plain.peek().and_then(name_of), with_tag.peek().and_then(name_of));
        let Some(name) = heads.0.into_iter().chain(heads.1).min() else { return names };
        let left = if heads.0 == Some(name) { plain.next() } else { None };
        let right = if heads.1 == Some(name) { with_tag.next() } else { None };
        if !is_extended(left.unwrap_or_default(), tag, right.unwrap_or_default()) {
            names.push(name);
        }
    }
}

/// All copies to one port together: it is a member twice where its VLAN leads into a bridge that joins two next tags.
fn by_port(copies: &[Leaving]) -> impl Iterator<Item = &[Leaving]> {
    copies.chunk_by(|a, b| a.to == b.to)
}

fn name_of(copies: &&[Leaving]) -> Option<Name> {
    copies.first().map(|copy| copy.to)
}

/// Whether copies to one port are those of the untagged frame with `tag` behind their tags.
fn is_extended(plain: &[Leaving], tag: Option<Piece>, with_tag: &[Leaving]) -> bool {
    let extended = |copy: &Leaving| {
        let tags = copy.tags.iter().copied().chain(tag).collect();
        Leaving { to: copy.to, tags }
    };
    let mut extended: Vec<Leaving> = plain.iter().map(extended).collect();
    extended.sort_unstable();
    extended == with_tag
}
