//! The budgets of size, and what is over one of them.

use std::fmt;

/// What there is a budget for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Budget {
    /// Lines of the middle function, from its `fn` to its last brace.
    FunctionMedian,
    /// Lines that nine functions of ten do not exceed.
    FunctionP90,
    /// Lines of a function.
    Function,
    /// Lines of the middle file.
    FileMedian,
    /// Lines of a file.
    File,
    /// Parameters of a function, `self` included.
    Parameters,
    /// Public items of a file: what it declares itself. Modules, names passed on and methods are none.
    PublicItems,
    /// Public items, methods, fields and variants without documentation, and files without a first line that says what they decide.
    Undocumented,
    /// `unwrap` and `expect` in 1 000 lines that are not tests.
    Unwrap,
    /// Methods of a stateful type, of all its `impl` blocks in all files. Stateful is a struct with a method that takes `&mut self`.
    Methods,
    /// Fields of a stateful type.
    Fields,
    /// Other files that a file names and that name it, but for the modules around it and below it. Each two count once.
    Circles,
}

/// Something that is over its budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Over {
    /// Its budget.
    pub budget: Budget,
    /// The file, or the part (`vlan`, `vlan/tests`) where the budget is one of many files together.
    pub path: String,
    /// What it is within the file, [`WHOLE`] if it is the file or the part itself.
    pub item: String,
    /// The line where it begins.
    pub line: Option<usize>,
    /// How much it is.
    pub got: String,
}

impl Budget {
    /// Every budget, in the order of the report.
    pub const ALL: [Budget; 12] = [
        Budget::FunctionMedian,
        Budget::FunctionP90,
        Budget::Function,
        Budget::FileMedian,
        Budget::File,
        Budget::Parameters,
        Budget::PublicItems,
        Budget::Undocumented,
        Budget::Unwrap,
        Budget::Methods,
        Budget::Fields,
        Budget::Circles,
    ];

    /// The most that is in order.
    pub const fn limit(self) -> usize {
        match self {
            Budget::FunctionMedian => 8,
            Budget::FunctionP90 => 30,
            Budget::Function => 60,
            Budget::FileMedian => 200,
            Budget::File => 500,
            Budget::Parameters => 6,
            Budget::PublicItems => 15,
            Budget::Undocumented => 0,
            Budget::Unwrap => 1,
            Budget::Methods => 40,
            Budget::Fields => 12,
            Budget::Circles => 0,
        }
    }

    /// Its name in the list of reasons.
    pub const fn name(self) -> &'static str {
        match self {
            Budget::FunctionMedian => "function-median",
            Budget::FunctionP90 => "function-p90",
            Budget::Function => "function",
            Budget::FileMedian => "file-median",
            Budget::File => "file",
            Budget::Parameters => "parameters",
            Budget::PublicItems => "public-items",
            Budget::Undocumented => "undocumented",
            Budget::Unwrap => "unwrap",
            Budget::Methods => "methods",
            Budget::Fields => "fields",
            Budget::Circles => "circles",
        }
    }

    /// What is counted, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Budget::FunctionMedian => "lines of the middle function",
            Budget::FunctionP90 => "lines of 9 functions in 10",
            Budget::Function => "lines of the longest function",
            Budget::FileMedian => "lines of the middle file",
            Budget::File => "lines of the longest file",
            Budget::Parameters => "most parameters",
            Budget::PublicItems => "most public items of a file",
            Budget::Undocumented => "public and undocumented",
            Budget::Unwrap => "unwrap, expect in 1000 lines",
            Budget::Methods => "methods of a stateful type",
            Budget::Fields => "fields of a stateful type",
            Budget::Circles => "files that name each other",
        }
    }

    /// How many exceptions stand in the list of reasons: no more are taken, and whoever mends one lowers the number.
    pub const fn exceptions(self) -> usize {
        match self {
            Budget::FunctionMedian => 4,
            Budget::PublicItems => 1,
            Budget::Circles => 0,
            _ => 0,
        }
    }

    /// Whether test code is held to it as well.
    pub const fn holds_for_tests(self) -> bool {
        !matches!(self, Budget::Unwrap | Budget::Methods | Budget::Fields | Budget::Circles)
    }

    /// The budget with a name.
    pub fn named(name: &str) -> Option<Budget> {
        Budget::ALL.into_iter().find(|budget| budget.name() == name)
    }
}

/// A place and how much it is: `vlan/src/a.rs:7: decide: function: 71, at most 60`.
impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if self.item != WHOLE {
            write!(f, ": {}", self.item)?;
        }
        write!(f, ": {}: {}, at most {}", self.budget.name(), self.got, self.budget.limit())
    }
}

/// The item of what is a whole file or part.
pub const WHOLE: &str = "-";
