//! Which values are right, taken by themselves: names, links, addresses, numbers, times. A description may come from a file, from a socket or from a
//! store; these checks are the same for all three, and what they say is meant to stand behind the place of the value.

use std::net::IpAddr;
use std::time::Duration;

use crate::addr::MacAddr;
use crate::model::shown::{self, is_shown};

/// `text` in double quotes, on one line, at most 64 characters of it: what came from outside may be shown to a terminal.
pub fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for (count, c) in text.chars().enumerate() {
        if count == LONGEST_QUOTE {
            quoted.push('…');
            break;
        }
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c => shown::push(&mut quoted, c),
        }
    }
    quoted.push('"');
    quoted
}

/// The name of an object: 1 to 63 bytes of `a-z`, `0-9` and `-`, not `-` first.
///
/// # Errors
/// The name and what is allowed.
pub fn name(name: &str) -> Result<(), String> {
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if name.len() > LONGEST_NAME {
        return Err(format!("{} has {} bytes, allowed are {LONGEST_NAME}", quote(name), name.len()));
    }
    if name.bytes().all(is_inner) && !name.is_empty() && !name.starts_with('-') {
        return Ok(());
    }
    Err(format!("{} is not a name, allowed is a-z, 0-9 and '-' (not first), at most 63 bytes", quote(name)))
}

/// A netdev's name: 1 to 15 bytes (`IFNAMSIZ` of `include/uapi/linux/if.h`, less its end), as `dev_valid_name` of `net/core/dev.c` has it,
/// and all of them to be seen ([`is_shown`]).
///
/// # Errors
/// The name and what is allowed.
pub fn link(link: &str) -> Result<(), String> {
    let mistake = match link {
        "" => "is empty",
        "." | ".." => "is no link's name",
        _ if link.len() > LONGEST_LINK => "is longer than a link's name can be",
        // The kernel also forbids ':' (alias names).
        _ if link.contains(['/', ':']) || link.chars().any(char::is_whitespace) => {
            "has a character no link has"
        }
        _ if link.chars().any(char::is_control) => "has a control character",
        // The kernel allows it; an operator could not tell such a name from another one.
        _ if !link.chars().all(is_shown) => "has a character that does not show (format or direction)",
        _ => return Ok(()),
    };
    Err(format!(
        "{} {mistake}, allowed are 1 to {LONGEST_LINK} bytes without '/', ':' and white space",
        quote(link)
    ))
}

/// The address of a station: individual and not zero.
///
/// # Errors
/// What is to be said of the address.
pub fn station(mac: MacAddr) -> Result<(), &'static str> {
    if mac.is_group() {
        return Err("is a group address, allowed are individual ones (lowest bit of the first byte 0)");
    }
    if mac.is_zero() {
        return Err("is no station's address, allowed are individual ones");
    }
    Ok(())
}

/// An address that one machine can have on a network.
///
/// # Errors
/// What is to be said of the address.
pub fn machine(ip: IpAddr) -> Result<(), &'static str> {
    if matches!(ip, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some()) {
        // RFC 4291 2.5.5.2: it stands for an IPv4 address within a program, and on no network.
        return Err("is an IPv4 address in the form of IPv6, allowed is its own form, such as \"192.0.2.1\"");
    }
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    if ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() || is_broadcast {
        return Err(
            "is not the address of one machine, allowed is neither multicast, broadcast, loopback nor unspecified",
        );
    }
    Ok(())
}

/// A tunnel address: one that a machine can have, and that says by itself where it is.
///
/// # Errors
/// What is to be said of the address.
pub fn underlay(ip: IpAddr) -> Result<(), &'static str> {
    machine(ip)?;
    match ip {
        // RFC 4007 6: without a zone it may be any machine's.
        IpAddr::V6(ip) if ip.is_unicast_link_local() => {
            Err("is an address on one link (fe80::/10), allowed is one that routers know")
        }
        // RFC 1122 3.2.1.3: never a destination.
        IpAddr::V4(ip) if ip.octets()[0] == 0 => {
            Err("is of \"this network\" (0.0.0.0/8), allowed is the address of one machine")
        }
        _ => Ok(()),
    }
}

/// The time until an address is forgotten: 10 s to 1 000 000 s (802.1Q table 8-6), or zero for never, in whole milliseconds: a file says
/// no shorter ones, and what is in force can be written as a file.
///
/// # Errors
/// The time and what is allowed.
pub fn ageing(ageing: Duration) -> Result<(), String> {
    let is_whole = ageing.subsec_nanos().is_multiple_of(NANOS_OF_A_MILLISECOND);
    let fault = if ageing.is_zero() || (is_whole && (SHORTEST_AGEING..=LONGEST_AGEING).contains(&ageing)) {
        return Ok(());
    } else if ageing < SHORTEST_AGEING {
        "too short"
    } else if ageing > LONGEST_AGEING {
        "too long"
    } else {
        "no whole number of milliseconds"
    };
    let (shortest, longest) = (SHORTEST_AGEING.as_secs(), LONGEST_AGEING.as_secs());
    Err(format!("{ageing:?} is {fault}, allowed is {shortest}s to {longest}s, or \"0s\" for never"))
}

/// The whole numbers that a key allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The least.
    pub first: u32,
    /// The greatest.
    pub last: u32,
    /// What is counted; empty where that goes without saying.
    pub unit: &'static str,
}

impl Range {
    pub(super) const fn new(first: u32, last: u32, unit: &'static str) -> Range {
        Range { first, last, unit }
    }

    /// Whether `number` is one of them.
    pub fn allows(&self, number: u32) -> bool {
        (self.first..=self.last).contains(&number)
    }

    /// What is allowed, in words.
    pub fn allowed(&self) -> String {
        let space = if self.unit.is_empty() { "" } else { " " };
        format!("allowed is {} to {}{space}{}", self.first, self.last, self.unit)
    }

    /// Refuses other numbers.
    ///
    /// # Errors
    /// The number and what is allowed.
    pub fn check(&self, number: u32) -> Result<(), String> {
        if self.allows(number) {
            Ok(())
        } else {
            Err(format!("{number} is out of range, {}", self.allowed()))
        }
    }
}

/// Addresses that a limit may allow: at most half a gigabyte of entries.
pub const MAC_LIMITS: Range = Range::new(1, 16_000_000, "addresses");
/// Addresses that a port may pin: as many as it has by default.
pub const STICKY: Range = Range::new(1, 1_024, "addresses");
/// Weights of a trunk.
pub const WEIGHTS: Range = Range::new(1, 1_000, "");
/// Rates of storm control; 0 is off. More than any link carries: 400 Gbit/s are 595 million frames of 64 bytes a second.
pub const STORM_RATES: Range = Range::new(0, 1_000_000_000, "packets per second");
/// The shortest time until an address is forgotten.
pub const SHORTEST_AGEING: Duration = Duration::from_secs(10);
/// The longest time until an address is forgotten.
pub const LONGEST_AGEING: Duration = Duration::from_secs(1_000_000);
const NANOS_OF_A_MILLISECOND: u32 = 1_000_000;
/// Most characters of a value that a message repeats.
const LONGEST_QUOTE: usize = 64;
/// Most bytes of a name.
const LONGEST_NAME: usize = 63;
/// `IFNAMSIZ` less the terminating zero.
const LONGEST_LINK: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_stays_on_one_line_and_short() {
        assert_eq!(quote("a\n\"b\"\u{1b}[31m"), r#""a\n\"b\"\u{1b}[31m""#);
        assert_eq!(quote("\u{202e}x"), "\"\\u{202e}x\"");
        assert_eq!(quote(&"é".repeat(100)).chars().count(), LONGEST_QUOTE + 3);
    }

    #[test]
    fn an_ipv4_address_has_one_form() {
        for refused in
            ["::ffff:127.0.0.1", "::ffff:192.0.2.1", "::ffff:0.0.0.0", "127.0.0.1", "::1", "::", "ff02::1"]
        {
            assert!(machine(refused.parse().unwrap()).is_err(), "{refused}");
        }
        for right in ["192.0.2.1", "2001:db8::1", "fe80::1", "64:ff9b::192.0.2.1"] {
            assert_eq!(machine(right.parse().unwrap()), Ok(()), "{right}");
        }
    }

    #[test]
    fn a_tunnel_address_says_where_a_machine_is() {
        for refused in
            ["127.0.0.1", "0.0.0.0", "0.0.0.7", "255.255.255.255", "239.1.1.1", "::1", "ff02::1", "fe80::1"]
        {
            assert!(underlay(refused.parse().unwrap()).is_err(), "{refused}");
        }
        for right in ["192.0.2.1", "1.0.0.0", "169.254.0.1", "2001:db8::1", "fd00::1", "fec0::1"] {
            assert_eq!(underlay(right.parse().unwrap()), Ok(()), "{right}");
        }
    }

    #[test]
    fn the_ends_of_a_range_are_in_it() {
        assert_eq!(ageing(Duration::ZERO), Ok(()));
        assert_eq!(ageing(SHORTEST_AGEING), Ok(()));
        let never = ", allowed is 10s to 1000000s, or \"0s\" for never";
        assert_eq!(ageing(Duration::from_nanos(1)), Err(format!("1ns is too short{never}")));
        assert_eq!(
            ageing(LONGEST_AGEING + Duration::from_nanos(1)),
            Err(format!("1000000.000000001s is too long{never}"))
        );
        assert_eq!(ageing(Duration::from_millis(10_001)), Ok(()));
        assert_eq!(
            ageing(SHORTEST_AGEING + Duration::from_micros(1)),
            Err(format!("10.000001s is no whole number of milliseconds{never}"))
        );
    }
}
