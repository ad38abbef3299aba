//! The JSON of a request: each key once, objects where they belong, and every mistake told with the object that it is in.

use serde::de::DeserializeOwned;

use super::place::place;
use super::{strict, unread};

/// Reads a body; `what` it is to be stands in what is said of it.
///
/// # Errors
/// It is no JSON, has a key twice, or is not what is asked for: where, and what is allowed.
pub(crate) fn read<T: DeserializeOwned>(what: &str, text: &[u8]) -> Result<T, String> {
    let value = strict::read(text).map_err(|error| unread::in_words(&error))?;
    strict::check_objects(what, &value)?;
    serde_path_to_error::deserialize(&value).map_err(|error| {
        let (place, said) = (place(error.path(), &value), unread::in_words(error.inner()));
        if place.is_empty() { said } else { format!("{place}: {said}") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::TraceQuestion;
    use crate::door::Proposal;
    use crate::input::Command;

    fn proposal(topology: &str) -> String {
        let text = format!(r#"{{"topology":{topology},"note":""}}"#);
        read::<Proposal>("the proposal", text.as_bytes()).map(drop).unwrap_err()
    }

    #[test]
    fn a_mistake_is_told_with_the_object_that_it_is_in() {
        for (topology, said) in [
            (
                r#"{"ports":[{"name":"vm8","bridge":"vub8","host":"gw1","link":"tap8","mac-limit":"x"}]}"#,
                r#"ports.vm8.mac-limit: the string "x" is given, allowed is a whole number from 0 to 4294967295"#,
            ),
            (
                r#"{"ports":[{"mac-limit":-1}]}"#,
                "ports.1.mac-limit: -1 is given, allowed is a whole number from 0 to 4294967295",
            ),
            (
                r#"{"ports":[{"name":"a\"b","vids":7}]}"#,
                r#"ports."a\"b".vids: "vids" is an unknown key, the nearest known one is "vid""#,
            ),
            (
                r#"{"bridges":{"vub8":{"mac-limit":[]}}}"#,
                "bridges.vub8.mac-limit: a list is given, allowed is a whole number from 0 to 4294967295",
            ),
            (r#"{"ports":[{"name":"a"}]}"#, r#"ports.a: "bridge" is missing"#),
            (r#"{"ports":{}}"#, "ports: an object is given, allowed is a list"),
        ] {
            assert_eq!(proposal(topology), said, "{topology}");
        }
    }

    #[test]
    fn a_list_is_no_object() {
        let question = |text: &str| read::<TraceQuestion>("the question", text.as_bytes());
        assert_eq!(question(r#"["vm8",[1]]"#).unwrap_err(), "the question is a list, allowed is an object");
        assert_eq!(
            question(r#"{"port":"vm8","port":"vm5","frame":[1]}"#).unwrap_err(),
            r#""port" is there twice, allowed is once at line 1 column 26"#
        );
        assert_eq!(
            question(r#"{"port":"vm8","frame":[1,256]}"#).unwrap_err(),
            "frame.2: 256 is given, allowed is a whole number from 0 to 255"
        );
        assert_eq!(question(r#"{"port":"vm8"}"#).unwrap_err(), r#""frame" is missing"#);
        assert_eq!(question(r#"{"port":"vm8","frame":[1]}"#).unwrap().frame, [1]);
        let command = |text: &str| read::<Command>("the command", text.as_bytes());
        assert_eq!(command(r#"["unblock"]"#).unwrap_err(), "the command is a list, allowed is an object");
        assert_eq!(command(r#"{"unblock":["vm8"]}"#).unwrap_err(), "unblock is a list, allowed is an object");
        assert_eq!(
            command(r#"{"unblock":{"port":"vm8"}}"#).unwrap(),
            Command::Unblock { port: "vm8".to_owned() }
        );
    }
}
