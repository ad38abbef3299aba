//! Addresses of stations and machines.

use std::net::IpAddr;

use agent::reader::section::{Reading, Value, refuse};
use agent::reader::value::text;
use vlan::addr::MacAddr;
use vlan::model::value::{self as right, quote};

/// A MAC address of a station: individual and not zero.
pub(super) fn station(value: &Value<'_>) -> Reading<MacAddr> {
    let written = text(value, "a MAC address such as \"52:54:00:00:00:01\"")?;
    let Ok(mac) = written.parse::<MacAddr>() else {
        let mistake = "is not a MAC address, allowed are six bytes such as \"52:54:00:00:00:01\"";
        return refuse(value, format!("{} {mistake}", quote(written)));
    };
    right::station(mac)
        .map(|()| mac)
        .or_else(|mistake| refuse(value, format!("{} {mistake}", quote(written))))
}

/// An IP address that one machine can have on a network.
pub(super) fn machine_ip(value: &Value<'_>) -> Reading<IpAddr> {
    checked(value, right::machine)
}

/// The address at which a host is reached by others.
pub(super) fn underlay(value: &Value<'_>) -> Reading<IpAddr> {
    checked(value, right::underlay)
}

fn checked(value: &Value<'_>, check: impl FnOnce(IpAddr) -> Result<(), &'static str>) -> Reading<IpAddr> {
    let written = text(value, "an IP address such as \"192.0.2.1\" or \"2001:db8::1\"")?;
    let Ok(ip) = written.parse::<IpAddr>() else {
        let mistake = "is not an IP address, allowed is one such as \"192.0.2.1\" or \"2001:db8::1\"";
        return refuse(value, format!("{} {mistake}", quote(written)));
    };
    check(ip).map(|()| ip).or_else(|mistake| refuse(value, format!("{} {mistake}", quote(written))))
}
