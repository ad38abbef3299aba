//! The size of the code against its budgets: `make house`.
//!
//! [`reading`] parses a file, [`naming`] finds the names in it, [`source`] finds a crate's files and tells code from tests, and [`files`] knows
//! what a name in one file means in another. [`part`] lays each [`budget`] on the code of a crate and, apart, on its tests. [`reason`] reads
//! `tests/house.txt`: why what is over is left so. [`House`] is all of it together, as it is printed.
//!
//! Out of order are: what is over without a reason, a reason for what is not over any more, and more reasons or fewer than
//! [`Budget::exceptions`] says. That number only falls.
//!
//! ```
//! use tests::house::budget::Budget;
//! use tests::house::part::{Kind, Part};
//! use tests::house::reading::Reading;
//!
//! let text = format!("//! Decides.\n\nfn decide() {{\n{}}}\n", "    step();\n".repeat(60));
//! let file = Reading::of("vlan/src/decide.rs", false, &text)?;
//! let part = Part::measure("vlan", Kind::Code, &[file]).unwrap();
//! let longest = part.over.iter().find(|over| over.budget == Budget::Function).unwrap();
//! assert_eq!(longest.to_string(), "vlan/src/decide.rs:3: decide: function: 62, at most 60");
//! # Ok::<(), syn::Error>(())
//! ```

pub mod budget;
pub mod files;
pub mod naming;
pub mod part;
pub mod reading;
pub mod reason;
pub mod source;

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use crate::house::budget::{Budget, Over};
use crate::house::part::{Kind, NOTHING, Part};
use crate::house::reason::Reason;

/// Every part measured, and the list of reasons.
#[derive(Debug, Clone)]
pub struct House {
    parts: Vec<Part>,
    reasons: Vec<Reason>,
    exceptions: fn(Budget) -> usize,
}

impl House {
    /// Measures the crates of a repository.
    ///
    /// # Errors
    /// A file cannot be read, is not Rust, or the list of reasons has a line that is none.
    pub fn inspect(root: &Path) -> Result<House, HouseError> {
        let list = root.join(REASONS);
        let text = fs::read_to_string(&list).map_err(|cause| HouseError::unreadable(&list, cause))?;
        let reasons = reason::parse(&text).map_err(HouseError::Reasons)?;
        let mut parts = Vec::new();
        for name in CRATES {
            let files = source::read_crate(root, name)?;
            parts.extend(
                [Kind::Code, Kind::Tests].into_iter().filter_map(|kind| Part::measure(name, kind, &files)),
            );
        }
        Ok(House::new(parts, reasons, Budget::exceptions))
    }

    /// Judges what was measured by a list of reasons, which has as many of each budget as `exceptions` says.
    pub fn new(parts: Vec<Part>, reasons: Vec<Reason>, exceptions: fn(Budget) -> usize) -> House {
        House { parts, reasons, exceptions }
    }

    /// Whether all that is over has its reason, every reason is needed, and no exception was added.
    pub fn is_in_order(&self) -> bool {
        self.stale().is_empty()
            && self.miscounted().is_empty()
            && self.over().all(|over| self.reason(over).is_some())
    }

    /// All that is over, with a reason or without.
    pub fn over(&self) -> impl Iterator<Item = &Over> {
        self.parts.iter().flat_map(|part| &part.over)
    }

    /// Reasons for what is not over any more.
    pub fn stale(&self) -> Vec<&Reason> {
        self.reasons.iter().filter(|reason| !self.over().any(|over| reason.covers(over))).collect()
    }

    /// Budgets with other than their number of reasons, with both numbers: those listed, and those that stand.
    pub fn miscounted(&self) -> Vec<(Budget, usize, usize)> {
        let listed = |budget| self.reasons.iter().filter(|reason| reason.budget == budget).count();
        let counted =
            Budget::ALL.into_iter().map(|budget| (budget, listed(budget), (self.exceptions)(budget)));
        counted.filter(|(_, listed, standing)| listed != standing).collect()
    }

    fn reason(&self, over: &Over) -> Option<&Reason> {
        self.reasons.iter().find(|reason| reason.covers(over))
    }

    /// `ok`, `listed` where all that is over has a reason, else `OVER`.
    fn word(&self, part: &Part, budget: Budget) -> &'static str {
        let over: Vec<&Over> = part.over.iter().filter(|over| over.budget == budget).collect();
        match over.iter().all(|over| self.reason(over).is_some()) {
            _ if over.is_empty() => "ok",
            true => "listed",
            false => "OVER",
        }
    }
}

/// The table of each part, then what is over and why, then what is stale.
impl fmt::Display for House {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            writeln!(f, "{:<32}{:>8}{:>10}", part.name, "budget", "measured")?;
            for (budget, measured) in Budget::ALL.into_iter().zip(&part.measured) {
                let word = if measured == NOTHING { "" } else { self.word(part, budget) };
                let line = format!("  {:<30}{:>8}{measured:>10}  {word}", budget.words(), budget.limit());
                writeln!(f, "{}", line.trim_end())?;
            }
            writeln!(f)?;
        }
        for over in self.over() {
            let why = self.reason(over).map_or("OVER, and no reason is listed", |reason| &reason.why);
            writeln!(f, "{over}: {why}")?;
        }
        for Reason { line, path, item, budget, .. } in self.stale() {
            writeln!(f, "{REASONS}:{line}: stale: {path} {item} is not over its budget {}", budget.name())?;
        }
        for (budget, listed, standing) in self.miscounted() {
            let name = budget.name();
            let what = if listed > standing { "a new one is not taken" } else { "lower Budget::exceptions" };
            writeln!(f, "{REASONS}: {name}: {listed} exceptions, {standing} stand: {what}")?;
        }
        let bare = self.over().filter(|over| self.reason(over).is_none()).count();
        let stale = self.stale().len();
        write!(f, "house: {} over, {bare} without a reason, {stale} stale", self.over().count())
    }
}

/// Why the house cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum HouseError {
    /// A file or folder.
    #[error("{path}: cannot be read")]
    Unreadable {
        /// Which.
        path: String,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// A file does not parse.
    #[error("{path}: is not Rust")]
    NotRust {
        /// Which.
        path: String,
        /// What the parser says.
        #[source]
        cause: syn::Error,
    },
    /// Lines of the list of reasons, each with its number.
    #[error("{REASONS}:{}", .0.join("; "))]
    Reasons(Vec<String>),
}

impl HouseError {
    fn unreadable(path: &Path, cause: io::Error) -> HouseError {
        HouseError::Unreadable { path: path.display().to_string(), cause }
    }
}

/// The list of reasons, from the root of the repository.
pub const REASONS: &str = "tests/house.txt";

/// The crates that are measured.
const CRATES: [&str; 7] = ["vlan", "datapath", "nsdb", "agent", "l2gw", "tests", "tests/servers"];
