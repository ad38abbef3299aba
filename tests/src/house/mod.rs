//! The size of the code against its budgets: `make house`.
//!
//! [`reading`] parses a file, [`source`] finds a crate's files and tells code from tests, [`part`] lays each [`budget`] on the code of a crate
//! and, apart, on its tests, and [`reason`] reads `tests/house.txt`: why what is over is left so. [`House`] is all of it together, as it is
//! printed. What is over without a reason, and a reason for what is not over any more, are both out of order.
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
        Ok(House { parts, reasons })
    }

    /// Judges what was measured by a list of reasons.
    pub fn new(parts: Vec<Part>, reasons: Vec<Reason>) -> House {
        House { parts, reasons }
    }

    /// Whether all that is over has its reason, and every reason is needed.
    pub fn is_in_order(&self) -> bool {
        self.stale().is_empty() && self.over().all(|over| self.reason(over).is_some())
    }

    /// All that is over, with a reason or without.
    pub fn over(&self) -> impl Iterator<Item = &Over> {
        self.parts.iter().flat_map(|part| &part.over)
    }

    /// Reasons for what is not over any more.
    pub fn stale(&self) -> Vec<&Reason> {
        self.reasons.iter().filter(|reason| !self.over().any(|over| reason.covers(over))).collect()
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
const CRATES: [&str; 6] = ["vlan", "datapath", "nsdb", "agent", "l2gw", "tests"];
