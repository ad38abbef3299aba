//! What whoever runs a simulation asks of it, by environment variables: `L2GW_SEED`, `L2GW_CASES`.

/// The number in a variable, if it is set.
///
/// # Panics
/// It is set to something else.
pub fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}: {text:?} is not a number")))
}
