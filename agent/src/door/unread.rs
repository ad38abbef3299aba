//! What is said of JSON that cannot be read: which key or word is unknown, and which known one was probably meant.
//!
//! The socket refuses what it does not know, as the file does: a key that is passed over does something else than its writer meant.

use vlan::model::nearest::nearest;
use vlan::model::shown::beginning;
use vlan::model::value::quote;

/// What is wrong, and where, on one line.
pub(crate) fn in_words(error: &serde_json::Error) -> String {
    let place = match error.line() {
        0 => String::new(),
        line => format!(" at line {line} column {}", error.column()),
    };
    told(&error.to_string(), &place)
}

/// The same of the query of a request, by what its reader says.
pub(crate) fn of_query(text: &str) -> String {
    // In front of it are what failed and, of a key that is known, that key.
    let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(text);
    let unknown = text.find(UNKNOWN_KEY).map(|at| &text[at..]);
    match unknown {
        Some(unknown) => told(unknown, ""),
        None => wrong_value(text).unwrap_or_else(|| told(text, "")),
    }
}

fn told(text: &str, place: &str) -> String {
    let Some(Unknown { what, word, known }) = Unknown::of(text) else {
        let text = text.strip_suffix(place).unwrap_or(text);
        return match wrong_type(text).or_else(|| missing(text)) {
            Some(told) => beginning(&told, LONGEST) + place,
            None => beginning(text, LONGEST) + place,
        };
    };
    let allowed = match (nearest(word, known.iter().copied()), known.as_slice()) {
        (Some(meant), _) => format!("the nearest known one is {}", quote(meant)),
        (None, []) => "none is allowed here".to_owned(),
        (None, [only]) => format!("allowed is {}", quote(only)),
        (None, known) => {
            let known: Vec<String> = known.iter().map(|known| quote(known)).collect();
            format!("allowed are {}", known.join(", "))
        }
    };
    format!("{} is an unknown {what}{place}, {allowed}", quote(word))
}

/// What serde says of a value that is another than is asked for (`invalid_type`, `invalid_value` of `serde::de::Error`), in the words of the
/// file instead of the compiler's.
fn wrong_type(text: &str) -> Option<String> {
    let rest = text.strip_prefix("invalid type: ").or_else(|| text.strip_prefix("invalid value: "))?;
    // What is allowed has no such words in it, what was given may.
    let (given, allowed) = rest.rsplit_once(", expected ")?;
    let given = match given.split_once(' ') {
        Some(("string", text)) => format!("the string {text}"),
        Some(("integer" | "boolean", value)) => value.trim_matches('`').to_owned(),
        Some(("floating", rest)) => rest.trim_start_matches("point ").trim_matches('`').to_owned(),
        _ if given == "sequence" => "a list".to_owned(),
        _ if given == "map" => "an object".to_owned(),
        _ => given.to_owned(),
    };
    let allowed = match allowed {
        "u8" => up_to(u8::MAX.into()),
        "u16" => up_to(u16::MAX.into()),
        "u32" => up_to(u32::MAX.into()),
        "u64" | "usize" => "a whole number from 0".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a map" => "an object".to_owned(),
        other if other.starts_with("struct ") => "an object".to_owned(),
        other => other.to_owned(),
    };
    Some(format!("{given} is given, allowed is {allowed}"))
}

fn up_to(most: u64) -> String {
    format!("a whole number from 0 to {most}")
}

fn missing(text: &str) -> Option<String> {
    let key = text.strip_prefix("missing field `")?.strip_suffix('`')?;
    Some(format!("{} is missing", quote(key)))
}

/// What a query's reader says of a wrong value (`std::num::ParseIntError`, `std::str::ParseBoolError`), in our words.
fn wrong_value(text: &str) -> Option<String> {
    let (key, why) = text.split_once(": ")?;
    let told = match why {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            "allowed is a whole number from 0"
        }
        "number too large to fit in target type" => "the number is too large",
        "provided string was not `true` or `false`" => "allowed is true or false",
        _ => return None,
    };
    Some(format!("{key}: {told}"))
}

/// The key that is unknown, where that is what is wrong.
pub(crate) fn unknown_key(error: &serde_json::Error) -> Option<String> {
    let text = error.to_string();
    Unknown::of(&text).filter(|unknown| unknown.what == KEY).map(|unknown| unknown.word.to_owned())
}

/// A key or a word that nothing is known of.
struct Unknown<'t> {
    what: &'static str,
    word: &'t str,
    known: Vec<&'t str>,
}

impl<'t> Unknown<'t> {
    /// What serde says of one (`unknown_field` and `unknown_variant` of `serde::de::Error`): there is no other way to hear it.
    fn of(text: &'t str) -> Option<Unknown<'t>> {
        let field = text.strip_prefix(UNKNOWN_KEY).map(|rest| (KEY, rest));
        let (what, rest) =
            field.or_else(|| text.strip_prefix("unknown variant `").map(|rest| ("word", rest)))?;
        // What is known has no such words in it, what was given may.
        let (word, known) =
            rest.rsplit_once("`, expected ").or_else(|| rest.rsplit_once("`, there are no "))?;
        Some(Unknown { what, word, known: known.split('`').skip(1).step_by(2).collect() })
    }
}

const KEY: &str = "key";
const UNKNOWN_KEY: &str = "unknown field `";
/// Characters of a message that are told.
const LONGEST: usize = 300;

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Asked {
        without_hosts: Vec<String>,
        mode: Option<Mode>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Mode {
        FlushAddresses,
        Unblock,
    }

    fn said(text: &str) -> String {
        in_words(&serde_json::from_str::<Asked>(text).unwrap_err())
    }

    #[test]
    fn an_unknown_key_is_told_with_the_nearest_known_one() {
        assert_eq!(
            said(r#"{"without_host":[]}"#),
            r#""without_host" is an unknown key at line 1 column 15, the nearest known one is "without_hosts""#
        );
        assert_eq!(
            said(r#"{"colour":1}"#),
            r#""colour" is an unknown key at line 1 column 9, allowed are "without_hosts", "mode""#
        );
        assert_eq!(
            said(r#"{"without_hosts":[],"mode":"unblok"}"#),
            r#""unblok" is an unknown word at line 1 column 35, the nearest known one is "unblock""#
        );
    }

    #[test]
    fn what_was_sent_reaches_no_terminal_as_it_is_and_not_whole() {
        let key = format!("a\\u001b[31m\\u202e`, expected `b`{}", "x".repeat(10_000));
        for text in [format!("{{\"{key}\":1}}"), format!("{{\"without_hosts\":\"{key}\"}}")] {
            let said = said(&text);
            assert!(said.chars().all(vlan::model::shown::is_shown), "{said:?}");
            assert!(said.chars().count() < 400, "{said}");
        }
    }

    #[test]
    fn a_value_of_another_type_is_told_in_the_files_words() {
        assert_eq!(said(r#"{"without_hosts":5}"#), "5 is given, allowed is a list at line 1 column 18");
        assert!(unknown_key(&serde_json::from_str::<Asked>("{}").unwrap_err()).is_none());
    }
}
