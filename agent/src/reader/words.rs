//! Words for refusals: a value as it is quoted, a list of choices, the nearest known word.

use toml::Spanned;
use toml::de::{DeArray, DeValue};
use vlan::model::shown::beginning;
use vlan::model::value::quote;

/// `value` as it stands in a message: short, on one line, text in double quotes.
pub fn quoted(value: &Spanned<DeValue<'_>>) -> String {
    match value.get_ref() {
        DeValue::String(text) => quote(text),
        DeValue::Integer(number) => beginning(&number.to_string(), LONGEST_QUOTE),
        DeValue::Float(number) => beginning(&number.to_string(), LONGEST_QUOTE),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(list) => quoted_list(list),
        DeValue::Table(_) => "{…}".to_owned(),
    }
}

fn quoted_list(list: &DeArray<'_>) -> String {
    let mut elements: Vec<String> = list.iter().take(LONGEST_LIST).map(quoted).collect();
    if list.len() > LONGEST_LIST {
        elements.push("…".to_owned());
    }
    beginning(&format!("[{}]", elements.join(", ")), LONGEST_QUOTE)
}

/// `quoted` and, where that does not show it, the value's type: `"8" is text`.
pub fn quoted_with_type(value: &Spanned<DeValue<'_>>) -> String {
    let type_name = match value.get_ref() {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    format!("{} is {type_name}", quoted(value))
}

/// `"a"`, `"a" or "b"`, `"a", "b" or "c"`.
pub fn either(words: &[&str]) -> String {
    joined(words, "or")
}

/// `"a", "b" and "c"`.
pub fn all_of(words: &[&str]) -> String {
    joined(words, "and")
}

fn joined(words: &[&str], last_with: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} {last_with} {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// Most characters of a value that a message repeats.
pub(super) const LONGEST_QUOTE: usize = 64;

/// Most elements of a list that a message repeats.
const LONGEST_LIST: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_read_as_a_sentence() {
        assert_eq!(either(&["a"]), "\"a\"");
        assert_eq!(either(&["a", "b", "c"]), "\"a\", \"b\" or \"c\"");
    }
}
