//! Values of one key: numbers, words, names, times. Each reader says what is wrong in the words of
//! the operator: the value, then what is allowed.

use std::collections::HashSet;
use std::hash::Hash;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;
use vlan::model::shown::is_shown;
use vlan::model::value::{self as right, Range, quote};

use super::section::{Reading, Value, refuse};
use super::words::{either, quoted, quoted_with_type};

/// Text of any content.
pub fn text<'a>(value: &'a Value<'a>, allowed: &str) -> Reading<&'a str> {
    match value.get_ref() {
        DeValue::String(text) => Ok(text),
        _ => refuse(value, format!("{}, allowed is {allowed}", quoted_with_type(value))),
    }
}

/// `true` or `false`.
pub fn flag(value: &Value<'_>) -> Reading<bool> {
    match value.get_ref() {
        DeValue::Boolean(flag) => Ok(*flag),
        _ => refuse(value, format!("{}, allowed is true or false", quoted_with_type(value))),
    }
}

/// A whole number that `range` allows.
pub fn whole(value: &Value<'_>, range: &Range) -> Reading<u32> {
    let DeValue::Integer(number) = value.get_ref() else {
        return refuse(value, format!("{}, {}", quoted_with_type(value), range.allowed()));
    };
    match i128::from_str_radix(number.as_str(), number.radix()).map(u32::try_from) {
        Ok(Ok(number)) if range.allows(number) => Ok(number),
        _ => refuse(value, format!("{} is out of range, {}", quoted(value), range.allowed())),
    }
}

/// One of a few words.
pub fn choice<T: Copy>(value: &Value<'_>, choices: &[(&'static str, T)]) -> Reading<T> {
    let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
    let allowed = either(&words);
    let word = text(value, &allowed)?;
    match choices.iter().find(|(choice, _)| *choice == word) {
        Some((_, meant)) => Ok(*meant),
        None => refuse(value, format!("{} is unknown, allowed is {allowed}", quote(word))),
    }
}

/// A name of an object.
pub fn name(value: &Value<'_>) -> Reading<String> {
    let name = text(value, "a name, in double quotes")?;
    right::name(name).map(|()| name.to_owned()).or_else(|mistake| refuse(value, mistake))
}

/// A reference to an object by name. Whether there is such an object is judged across objects, with the nearest one.
pub fn reference(value: &Value<'_>) -> Reading<String> {
    text(value, "the name of an object, in double quotes").map(str::to_owned)
}

/// A netdev's name.
pub fn link(value: &Value<'_>) -> Reading<String> {
    let link = text(value, "a link's name, in double quotes")?;
    right::link(link).map(|()| link.to_owned()).or_else(|mistake| refuse(value, mistake))
}

/// A path that does not depend on where a program was started.
pub fn absolute_path(value: &Value<'_>) -> Reading<PathBuf> {
    let path = text(value, "an absolute path, in double quotes")?;
    if !path.chars().all(is_shown) {
        return refuse(
            value,
            format!("{} has a character that does not show, allowed are those that do", quote(path)),
        );
    }
    if path.starts_with('/') {
        return Ok(PathBuf::from(path));
    }
    refuse(value, format!("{} is not an absolute path, allowed is one that starts with \"/\"", quote(path)))
}

/// A time such as `"300s"`: in `range`, or zero where `zero` says what that means.
pub fn duration(value: &Value<'_>, range: &DurationRange) -> Reading<Duration> {
    let written = text(value, &format!("a time such as {}", range.example))?;
    let Some(duration) = vlan::time::parse(written) else {
        let forms = "a whole number with ms, s, m, h or d";
        return refuse(
            value,
            format!("{} is not a time, allowed is {forms}, such as {}", quote(written), range.example),
        );
    };
    let is_zero_meant = duration.is_zero() && range.zero.is_some();
    if is_zero_meant || (range.least.1..=range.most.1).contains(&duration) {
        return Ok(duration);
    }
    let zero = range.zero.map(|meaning| format!(", or \"0s\" for {meaning}")).unwrap_or_default();
    let (least, most) = (range.least.0, range.most.0);
    let fault = if duration < range.least.1 { "too short" } else { "too long" };
    refuse(value, format!("{} is {fault}, allowed is {least} to {most}{zero}", quote(written)))
}

/// Which times a key allows.
#[derive(Debug)]
pub struct DurationRange {
    /// Shortest, as written and as meant.
    pub least: (&'static str, Duration),
    /// Longest, as written and as meant.
    pub most: (&'static str, Duration),
    /// What zero means, if it is allowed below `least`.
    pub zero: Option<&'static str>,
    /// A value to show, in double quotes.
    pub example: &'static str,
}

/// A list: every element is read, all mistakes are kept.
pub fn list<'a, T>(
    value: &'a Value<'a>,
    allowed: &str,
    mut read: impl FnMut(&'a Value<'a>) -> Reading<T>,
) -> Reading<Vec<T>> {
    let DeValue::Array(elements) = value.get_ref() else {
        return refuse(value, format!("{}, allowed is a list {allowed}", quoted_with_type(value)));
    };
    let (mut read_ones, mut refusals) = (Vec::new(), Vec::new());
    for element in elements.iter() {
        match read(element) {
            Ok(one) => read_ones.push(one),
            Err(more) => refusals.extend(more),
        }
    }
    if refusals.is_empty() { Ok(read_ones) } else { Err(refusals) }
}

/// A list in which nothing may be twice.
pub fn distinct<'a, T: Copy + Eq + Hash>(
    value: &'a Value<'a>,
    allowed: &str,
    mut read: impl FnMut(&'a Value<'a>) -> Reading<T>,
) -> Reading<Vec<T>> {
    let mut seen = HashSet::new();
    list(value, allowed, |element| {
        let one = read(element)?;
        if seen.insert(one) {
            Ok(one)
        } else {
            refuse(element, format!("{} is in the list twice", quoted(element)))
        }
    })
}
