//! The list of reasons: what is over its budget, and why it is left so.
//!
//! A line is `PATH ITEM BUDGET REASON…`, with spaces between; `#` begins a remark. ITEM is `-` for a whole file, and for what is measured over
//! many files, whose PATH is then the part's name. An entry speaks for every item of that name in its file.

use super::budget::{Budget, Over};

/// A line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Its line in the list.
    pub line: usize,
    /// The file or part.
    pub path: String,
    /// What it is within.
    pub item: String,
    /// The budget.
    pub budget: Budget,
    /// Why.
    pub why: String,
}

impl Reason {
    /// Whether it speaks of this.
    pub fn covers(&self, over: &Over) -> bool {
        self.budget == over.budget && self.path == over.path && self.item == over.item
    }
}

/// Reads a list.
///
/// # Errors
/// Every line that is none, with its number.
pub fn parse(text: &str) -> Result<Vec<Reason>, Vec<String>> {
    let (mut reasons, mut mistakes) = (Vec::new(), Vec::new());
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        match parse_line(number, line) {
            Ok(reason) => reasons.push(reason),
            Err(mistake) => mistakes.push(format!("{number}: {mistake}")),
        }
    }
    if mistakes.is_empty() { Ok(reasons) } else { Err(mistakes) }
}

fn parse_line(line: usize, text: &str) -> Result<Reason, String> {
    let mut words = text.split_whitespace();
    let (Some(path), Some(item), Some(budget)) = (words.next(), words.next(), words.next()) else {
        return Err("a line is PATH ITEM BUDGET REASON".to_owned());
    };
    let known = Budget::named(budget).ok_or_else(|| {
        let names: Vec<&str> = Budget::ALL.iter().map(|budget| budget.name()).collect();
        format!("{budget} is no budget; they are {}", names.join(", "))
    })?;
    let why = words.collect::<Vec<&str>>().join(" ");
    if why.is_empty() {
        return Err(format!("{path} {item}: no reason"));
    }
    Ok(Reason { line, path: path.to_owned(), item: item.to_owned(), budget: known, why })
}
