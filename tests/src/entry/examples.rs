//! The configurations under `examples/`.

use vlan::model::description::Description;

/// Name and text of each.
pub const FILES: [(&str, &str); 8] = [
    ("gateway", include_str!("../../../examples/gateway.example.toml")),
    ("01", include_str!("../../../examples/01-one-trunk-two-vlans/gateway.toml")),
    ("02", include_str!("../../../examples/02-vid-translation/gateway.toml")),
    ("03", include_str!("../../../examples/03-native-vlan/gateway.toml")),
    ("04", include_str!("../../../examples/04-qinq/gateway.toml")),
    ("05", include_str!("../../../examples/05-chain/gateway.toml")),
    ("06", include_str!("../../../examples/06-two-trunks/gateway.toml")),
    ("07", include_str!("../../../examples/07-priority/gateway.toml")),
];

/// What each declares.
///
/// # Panics
/// An example is not accepted.
pub fn descriptions() -> Vec<Description> {
    let read = |(name, text): &(&str, &str)| {
        l2gw::config::parse(name, text).unwrap_or_else(|problems| panic!("{problems}")).description
    };
    FILES.iter().map(read).collect()
}
