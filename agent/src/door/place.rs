//! Where in a body something is, in the words of the file.

use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use crate::tree::called;

/// Where something is, in the words of the file: `ports.vm8.vid`. What has no name goes by its number, from 1.
pub(super) fn place(path: &Path, value: &Value) -> String {
    let (mut at, mut place) = (Some(value), Vec::new());
    for segment in path {
        let (next, name) = match segment {
            Segment::Map { key } => (at.and_then(|at| at.get(key)), called(key)),
            Segment::Seq { index } => {
                let next = at.and_then(|at| at.get(index));
                (next, element(next, *index))
            }
            Segment::Enum { variant } => (at.and_then(|at| at.get(variant)), called(variant)),
            Segment::Unknown => break,
        };
        at = next;
        place.push(name);
    }
    // The file has no such table: what it declares stands at its top.
    if place.len() > 1 && place[0] == "topology" {
        place.remove(0);
    }
    place.join(".")
}

/// What a value of a list goes by: its name, or its number from 1.
pub(super) fn element(value: Option<&Value>, index: usize) -> String {
    let name = value.and_then(|value| value.get("name")).and_then(Value::as_str);
    name.map_or_else(|| (index + 1).to_string(), called)
}
