//! Whom a host hears, as it says it to others: numbers of hosts, in runs.

use serde::{Deserialize, Serialize};

/// Numbers of hosts, as runs from the first to the last of each: of a fleet that is all there, one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hears(Vec<(u32, u32)>);

impl Hears {
    /// Whether a host is among them.
    pub fn contains(&self, host: u32) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&host))
    }
}

/// Numbers in rising order.
impl FromIterator<u32> for Hears {
    fn from_iter<I: IntoIterator<Item = u32>>(hosts: I) -> Hears {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for host in hosts {
            match runs.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(host) => *last = host,
                _ => runs.push((host, host)),
            }
        }
        Hears(runs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_runs_and_found_again() {
        let all = [1, 2, 3, 7, 9, 10, u32::MAX];
        let hears: Hears = all.into_iter().collect();
        assert_eq!(serde_json::to_string(&hears).unwrap(), "[[1,3],[7,7],[9,10],[4294967295,4294967295]]");
        let found: Vec<u32> =
            (0..20).chain([u32::MAX - 1, u32::MAX]).filter(|host| hears.contains(*host)).collect();
        assert_eq!(found, all);
        assert!(!Hears::default().contains(0));
    }
}
