//! Which host a machine is. Hosts are named in lower case and without a dot; a machine may call itself otherwise.

use vlan::model::value;

/// The names by which a machine called `name` may be a host, the best first: as it is, in lower case, and in lower case up to its first
/// dot; each once.
pub fn candidates(name: &str) -> Vec<String> {
    let lower = name.to_lowercase();
    let short = lower.split('.').next().unwrap_or_default().to_owned();
    let mut candidates = Vec::new();
    for candidate in [name.to_owned(), lower, short] {
        if !candidates.contains(&candidate) {
            candidates.push(candidate);
        }
    }
    candidates
}

/// The host that a machine called `name` is where no topology tells: the best name that a host may have.
pub fn host_of(name: &str) -> Option<String> {
    candidates(name).into_iter().find(|candidate| value::name(candidate).is_ok())
}

/// The hostname, as the kernel has it.
pub fn hostname() -> String {
    nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_called_as_its_machine_as_far_as_it_may_be() {
        for (name, host) in [
            ("gw1", Some("gw1")),
            ("GW1", Some("gw1")),
            ("gw1.lab.example", Some("gw1")),
            ("GW1.Lab.Example", Some("gw1")),
            ("", None),
            (".lab", None),
            ("gw_1", None),
        ] {
            assert_eq!(host_of(name).as_deref(), host, "{name:?}");
        }
    }
}
