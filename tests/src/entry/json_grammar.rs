//! JSON out of choices: a known value with some of its parts replaced.

use serde_json::{Value, json};

use super::feed::Feed;

/// A value with up to seven of its parts replaced, doubled or taken out.
pub(super) fn changed(feed: &mut Feed<'_>, value: &Value) -> Value {
    let mut value = value.clone();
    for _ in 0..feed.byte() % 8 {
        let count = count(&value);
        let at = usize::from(feed.u16()) % count;
        let how = feed.byte();
        let new = odd(feed);
        replace(&mut value, &mut { at }, how, &new);
    }
    value
}

/// How many parts a value has, itself among them.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum::<usize>(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// Walks to the part with a number; true once it was there.
fn replace(value: &mut Value, at: &mut usize, how: u8, new: &Value) -> bool {
    if *at == 0 {
        match (how % 8, &mut *value) {
            (0, Value::Array(items)) => items.extend(items.clone()),
            (1, Value::Array(items)) => drop(items.pop()),
            (2, Value::Object(fields)) => drop(fields.insert("odd".to_owned(), new.clone())),
            (3, Value::Object(fields)) => {
                let first = fields.keys().next().cloned();
                first.into_iter().for_each(|key| drop(fields.remove(&key)));
            }
            (4, Value::Number(number)) => *value = json!(number.as_u64().unwrap_or(0).wrapping_add(1)),
            (5, Value::String(text)) => text.push_str(new.as_str().unwrap_or("x")),
            _ => *value = new.clone(),
        }
        return true;
    }
    *at -= 1;
    match value {
        Value::Array(items) => items.iter_mut().any(|item| replace(item, at, how, new)),
        Value::Object(fields) => fields.values_mut().any(|field| replace(field, at, how, new)),
        _ => false,
    }
}

/// What a reader may not have thought of.
fn odd(feed: &mut Feed<'_>) -> Value {
    match feed.byte() % 24 {
        0 => Value::Null,
        1 => json!(0),
        2 => json!(1),
        3 => json!(-1),
        4 => json!(u64::MAX),
        5 => json!(u32::MAX),
        6 => json!(4094),
        7 => json!(4095),
        8 => json!(1.5),
        9 => json!(true),
        10 => json!(""),
        11 => json!("a b"),
        12 => json!("x".repeat(300)),
        13 => json!("é\u{0}\n"),
        14 => json!([]),
        15 => json!({}),
        16 => json!({"secs": u64::MAX, "nanos": 0}),
        17 => json!({"secs": 0, "nanos": 4_000_000_000_u32}),
        18 => json!("ff:ff:ff:ff:ff:ff"),
        19 => json!(255),
        20 => json!({"Access": {"vid": 8}}),
        21 => json!("Plain"),
        22 => json!("../etc/passwd"),
        _ => json!(String::from_utf8_lossy(feed.bytes(8))),
    }
}
