//! HTTP requests out of choices, and what must hold of the bytes that answer them.

use serde_json::{Value, json};

use super::documents::example_descriptions;
use super::feed::Feed;
use super::json_grammar::changed;

/// Bytes as they are, or requests behind each other.
pub(super) fn requests(bytes: &[u8]) -> Vec<u8> {
    let mut feed = Feed::new(bytes);
    if feed.byte().is_multiple_of(4) {
        return feed.rest().to_vec();
    }
    let mut all = Vec::new();
    for _ in 0..MOST_REQUESTS {
        if !feed.is_empty() {
            request(&mut feed, &mut all);
        }
    }
    all
}

fn request(feed: &mut Feed<'_>, out: &mut Vec<u8>) {
    let shape = feed.byte();
    let method = match shape % 8 {
        0..=2 => "GET",
        7 => feed.pick(&["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "PRI", "get", ""]),
        _ => "POST",
    };
    let path = path(feed);
    let version = if shape >> 3 == 31 { feed.pick(&["1.0", "2.0", "0.9", "9.9"]) } else { "1.1" };
    out.extend(format!("{method} {path} HTTP/{version}\r\nHost: l2gw\r\n").into_bytes());
    for _ in 0..(shape >> 3) % 4 {
        out.extend(header(feed));
    }
    if method == "GET" {
        out.extend(b"\r\n");
        return;
    }
    let body = body(feed);
    match feed.byte() {
        // Fewer or more bytes than are said.
        lie @ 0..=3 => out.extend(format!("Content-Length: {lie}\r\n\r\n").into_bytes()),
        4 => out.extend(b"\r\n"),
        5 => out.extend(format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", body.len()).into_bytes()),
        _ => out.extend(format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes()),
    }
    out.extend(body);
}

fn path(feed: &mut Feed<'_>) -> String {
    match feed.byte() {
        0xff => String::from_utf8_lossy(feed.bytes(24)).into_owned(),
        0xfe => format!("/v1/events?newest={}", feed.u64()),
        0xfd => format!("/v1/events?newest={}", String::from_utf8_lossy(feed.bytes(6))),
        0xfc => format!("/{}", "a/".repeat(usize::from(feed.u16()) % 40_000)),
        choice => PATHS[usize::from(choice) % PATHS.len()].to_owned(),
    }
}

fn header(feed: &mut Feed<'_>) -> Vec<u8> {
    match feed.byte() % 8 {
        0..=2 => b"Content-Type: application/json\r\n".to_vec(),
        3 => b"Connection: close\r\n".to_vec(),
        4 => b"Expect: 100-continue\r\n".to_vec(),
        5 => b"Content-Length: 18446744073709551615\r\n".to_vec(),
        6 => b"Connection: upgrade\r\nUpgrade: websocket\r\n".to_vec(),
        _ => [b"X: ", feed.bytes(8), b"\r\n"].concat(),
    }
}

/// JSON that a handler reads, with parts replaced, or any bytes.
fn body(feed: &mut Feed<'_>) -> Vec<u8> {
    let all = example_descriptions();
    let description = &all[feed.below(all.len())];
    let port =
        &description.trunks.iter().chain(&description.ports).next().expect("an example has ports").name;
    let value = match feed.byte() % 6 {
        0 | 1 => {
            let expected = feed.pick(&[None, Some(0), Some(1), Some(2), Some(u64::MAX)]);
            json!({"expected": expected, "topology": description, "note": ""})
        }
        2 => json!({"port": port, "frame": feed.bytes(64)}),
        3 => json!({"flush-addresses": {"port": port}}),
        4 => json!({"unblock": {"port": port}}),
        _ => return feed.bytes(32).to_vec(),
    };
    changed(feed, &value).to_string().into_bytes()
}

/// Checks that bytes are answers of HTTP, each whole but for the last, and counts them.
pub(super) fn check_answers(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while !bytes.is_empty() {
        bytes = check_answer(bytes);
        count += 1;
    }
    count
}

/// Checks one answer and returns what follows it.
fn check_answer(bytes: &[u8]) -> &[u8] {
    let text = || String::from_utf8_lossy(bytes).into_owned();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| panic!("{}", text()));
    let head = std::str::from_utf8(&bytes[..end]).unwrap_or_else(|_| panic!("{}", text()));
    let rest = &bytes[end + 4..];
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    let (version, number) = status.split_once(' ').unwrap_or_else(|| panic!("{status:?} in {}", text()));
    assert!(["HTTP/1.1", "HTTP/1.0"].contains(&version), "{status:?}");
    let number: u16 =
        number.get(..3).and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("{status:?}"));
    assert!(ALLOWED.contains(&number), "{number} is no answer of ours: {}", text());
    let headers: Vec<(String, &str)> = lines.map(field).collect();
    let find = |name: &str| headers.iter().find(|(other, _)| other == name).map(|(_, value)| *value);
    let len = find("content-length").map_or(0, |len| len.parse::<usize>().expect("a length is a number"));
    // To HEAD only the length is said.
    let is_bare = rest.is_empty() || rest.starts_with(b"HTTP/1.");
    let (body, rest) = if is_bare {
        (&rest[..0], rest)
    } else {
        rest.split_at_checked(len).unwrap_or_else(|| panic!("{}", text()))
    };
    if find("content-type") == Some("application/json") && !body.is_empty() {
        let value: Value = serde_json::from_slice(body).unwrap_or_else(|error| panic!("{error}: {}", text()));
        let words = value["error"].as_str();
        assert!(number < 400 || words.is_some_and(|words| !words.is_empty()), "{}", text());
    }
    rest
}

fn field(line: &str) -> (String, &str) {
    let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{line:?} is no header"));
    (name.to_ascii_lowercase(), value)
}

pub(super) const PATHS: [&str; 18] = [
    "/v1/status",
    "/v1/ports",
    "/v1/trunks",
    "/v1/bridges",
    "/v1/macs",
    "/v1/flows",
    "/v1/counters",
    "/v1/events",
    "/v1/topology",
    "/v1/trace",
    "/v1/command",
    "/metrics",
    "/v1/topology",
    "/v1/trace",
    "/v1/command",
    "/",
    "*",
    "/v1/events?newest=3",
];
/// What may be answered: never that the daemon failed or is stopping.
const ALLOWED: [u16; 11] = [100, 200, 204, 400, 404, 405, 409, 413, 414, 422, 431];
const MOST_REQUESTS: usize = 6;
