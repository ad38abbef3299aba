//! Which characters a terminal may be shown: names of links, authors, notes and files come from outside, and some characters make it show
//! something else than there is.

/// `text` on one line, whole: what would make a terminal show something else than there is stands there as an escape.
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    text.chars().for_each(|c| push(&mut printable, c));
    printable
}

/// The beginning of `text` as [`printable`] shows it: at most `most` characters of it, and `…` where there are more.
pub fn beginning(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", printable(&text[..end])),
        None => printable(text),
    }
}

/// Puts a character behind a text, as an escape where it could not be shown.
pub(super) fn push(text: &mut String, c: char) {
    match c {
        c if c.is_control() => text.extend(c.escape_default()),
        c if !is_shown(c) => text.extend(c.escape_unicode()),
        c => text.push(c),
    }
}

/// Whether a character can be shown to a terminal as it is: it is no control character, no mark of direction or format, and ends no line.
pub fn is_shown(c: char) -> bool {
    !(c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') || is_format(c))
}

/// General category Cf (`extracted/DerivedGeneralCategory.txt` of Unicode 15.0): soft hyphen, zero width, direction, tags.
fn is_format(c: char) -> bool {
    FORMAT.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

/// First and last of each range of category Cf, 170 characters in all.
const FORMAT: [(char, char); 21] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{180e}', '\u{180e}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{2064}'),
    ('\u{2066}', '\u{206f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{fff9}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0001}', '\u{e0001}'),
    ('\u{e0020}', '\u{e007f}'),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value;

    #[test]
    fn a_beginning_is_counted_in_characters_of_the_text() {
        for (text, most, expected) in [
            ("größe", 5, "größe"),
            ("größe", 4, "größ…"),
            ("a\u{1b}b", 2, "a\\u{1b}…"),
            ("", 0, ""),
            ("x", 0, "…"),
        ] {
            assert_eq!(beginning(text, most), expected, "{text:?}");
        }
    }

    #[test]
    fn what_does_not_show_is_no_part_of_a_link_and_is_printed_as_an_escape() {
        for c in ['\u{202e}', '\u{200b}', '\u{feff}', '\u{ad}', '\u{2066}', '\u{e0041}', '\u{1343f}'] {
            assert!(!is_shown(c), "{c:?}");
            let said = value::link(&format!("tap{c}5")).unwrap_err();
            assert!(said.contains("does not show") && said.chars().all(is_shown), "{said:?}");
            assert_eq!(printable(&format!("a{c}b")), format!("a\\u{{{:x}}}b", u32::from(c)));
        }
        for c in ['\u{2028}', '\u{2029}'] {
            assert!(!is_shown(c) && value::link(&format!("tap{c}5")).is_err(), "{c:?}");
        }
        for name in ["tap5", "größe", "東京0", "a-b_c.5", "😀"] {
            assert_eq!((value::link(name), printable(name).as_str()), (Ok(()), name));
        }
        let count: u32 = FORMAT.iter().map(|(first, last)| u32::from(*last) - u32::from(*first) + 1).sum();
        assert_eq!((count, FORMAT.is_sorted()), (170, true));
    }
}
