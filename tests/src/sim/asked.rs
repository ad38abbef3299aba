//! What whoever runs a simulation asks of it, by environment variables: `L2GW_SEED`, `L2GW_CASES`.

/// The command that plays the case of one seed again; `tests` are tests of a target, `backends::` all of a module.
pub fn again(seed: u64, target: &str, tests: &str) -> String {
    format!("L2GW_SEED={seed} L2GW_CASES=1 cargo test --workspace --test {target} {tests}")
}

/// The number in a variable, if it is set.
///
/// # Panics
/// It is set to something else.
pub fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}: {text:?} is not a number")))
}
