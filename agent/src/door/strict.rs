//! JSON as a body has to be written: each key once, and an object where one belongs. Elsewhere the last of two keys would win without a
//! word, and a list would be taken for an object by the order of its values.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use vlan::model::value::quote;

use super::place::element;
use crate::tree::called;

/// Reads a text.
///
/// # Errors
/// It is no JSON, or has a key twice.
pub(super) fn read(text: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice::<Strict>(text).map(|Strict(value)| value)
}

/// Whether everything of a body that is to be an object is one. A reader would take a list for it, by the order of its values.
///
/// # Errors
/// What is not.
pub(super) fn check_objects(what: &str, body: &Value) -> Result<(), String> {
    check(what, body)?;
    for key in ["file", "text", "topology", "flush-addresses", "unblock"] {
        body.get(key).map_or(Ok(()), |value| check(key, value))?;
    }
    let Some(Value::Object(topology)) = body.get("topology") else { return Ok(()) };
    for (name, value) in topology {
        match (name.as_str(), value) {
            ("hosts" | "bridges", value) => {
                check(name, value)?;
                let objects = value.as_object().into_iter().flatten();
                objects
                    .into_iter()
                    .try_for_each(|(key, object)| check(&format!("{name}.{}", called(key)), object))?;
            }
            (_, Value::Array(list)) => {
                for (index, object) in list.iter().enumerate() {
                    let path = format!("{name}.{}", element(Some(object), index));
                    check(&path, object)?;
                    for key in ["storm", "flood", "translate"] {
                        object.get(key).map_or(Ok(()), |inner| check(&format!("{path}.{key}"), inner))?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn check(path: &str, value: &Value) -> Result<(), String> {
    match value {
        Value::Array(_) => Err(format!("{path} is a list, allowed is an object")),
        _ => Ok(()),
    }
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Strict, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Strict, E> {
        Ok(Strict(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Strict, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Strict(Value::Array(values)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Strict, A::Error> {
        let mut values = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let Strict(value) = map.next_value()?;
            if values.contains_key(&key) {
                return Err(A::Error::custom(format_args!(
                    "{} is there twice, allowed is once",
                    quote(&key)
                )));
            }
            values.insert(key, value);
        }
        Ok(Strict(Value::Object(values)))
    }
}
