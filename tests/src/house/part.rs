//! What a part of the house measures: the code of a crate, or its tests.

use super::budget::{Budget, Over, WHOLE};
use super::files::{Circle, Files, Stateful};
use super::reading::{Function, Reading};
use super::source::TEST_CRATE;

/// The code of a crate, or its tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// `vlan`, `vlan/tests`.
    pub name: String,
    /// How much it is of each budget, in the order of [`Budget::ALL`].
    pub measured: Vec<String>,
    /// What is over.
    pub over: Vec<Over>,
}

/// Which lines of a crate a part has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Those that run in a gateway.
    Code,
    /// Those that run in tests.
    Tests,
}

/// How much something is, and what of it is over.
type Measure = (String, Vec<Over>);

impl Part {
    /// Measures those lines of a crate's files that are of a kind; `None` if there are none.
    pub fn measure(crate_name: &str, kind: Kind, files: &[Reading]) -> Option<Part> {
        let name = match kind {
            Kind::Code => crate_name.to_owned(),
            Kind::Tests if crate_name == TEST_CRATE => crate_name.to_owned(),
            Kind::Tests => format!("{crate_name}/tests"),
        };
        let ruler = Ruler { name: &name, kind, files, modules: Files::new(crate_name, files) };
        if ruler.lines() == 0 {
            return None;
        }
        let (measured, over): (Vec<_>, Vec<_>) =
            Budget::ALL.into_iter().map(|budget| ruler.lay(budget)).unzip();
        Some(Part { measured, over: over.concat(), name })
    }
}

/// What is laid on a part.
struct Ruler<'a> {
    name: &'a str,
    kind: Kind,
    files: &'a [Reading],
    modules: Files<'a>,
}

impl Ruler<'_> {
    fn lay(&self, budget: Budget) -> Measure {
        match budget {
            _ if self.kind == Kind::Tests && !budget.holds_for_tests() => (NOTHING.to_owned(), Vec::new()),
            Budget::FunctionMedian => self.rank(budget, self.function_lengths(), 50),
            Budget::FunctionP90 => self.rank(budget, self.function_lengths(), 90),
            Budget::FileMedian => self.rank(budget, self.whole_files().map(|file| file.lines).collect(), 50),
            Budget::Function => self.most(budget, self.of_functions(|function| function.lines)),
            Budget::Parameters => self.most(budget, self.of_functions(|function| Some(function.parameters))),
            Budget::File => {
                self.most(budget, self.whole_files().map(|file| whole(file, file.lines)).collect())
            }
            Budget::PublicItems => self.most(budget, self.public_items()),
            Budget::Undocumented => self.undocumented(),
            Budget::Unwrap => self.unwraps(),
            Budget::Methods => self.most(budget, self.of_stateful(|found| found.methods)),
            Budget::Fields => self.most(budget, self.of_stateful(|found| found.declared.fields)),
            Budget::Circles => self.circles(),
        }
    }

    fn has(&self, file: &Reading, line: usize) -> bool {
        file.is_test_line(line) == (self.kind == Kind::Tests)
    }

    fn lines(&self) -> usize {
        let of_kind = |file: &Reading| match self.kind {
            Kind::Code => file.code_lines(),
            Kind::Tests => file.lines - file.code_lines(),
        };
        self.files.iter().map(of_kind).sum()
    }

    /// A file is one of code, with the tests at its end, or one of tests.
    fn whole_files(&self) -> impl Iterator<Item = &Reading> {
        self.files.iter().filter(|file| file.is_test == (self.kind == Kind::Tests))
    }

    fn of_functions(&self, of: impl Fn(&Function) -> Option<usize>) -> Vec<Found<'_>> {
        let mut found = Vec::new();
        for file in self.files {
            for function in file.functions.iter().filter(|function| self.has(file, function.line)) {
                if let Some(got) = of(function) {
                    found.push(Found { path: &file.path, item: &function.name, line: function.line, got });
                }
            }
        }
        found
    }

    fn function_lengths(&self) -> Vec<usize> {
        self.of_functions(|function| function.lines).iter().map(|found| found.got).collect()
    }

    fn public_items(&self) -> Vec<Found<'_>> {
        let count = |file: &Reading| {
            file.publics.iter().filter(|public| public.is_item && self.has(file, public.line)).count()
        };
        self.files.iter().map(|file| whole(file, count(file))).collect()
    }

    /// The value that so many of a hundred do not exceed.
    fn rank(&self, budget: Budget, mut values: Vec<usize>, percent: usize) -> Measure {
        values.sort_unstable();
        let at = (values.len() * percent).div_ceil(100);
        let Some(got) = at.checked_sub(1).and_then(|at| values.get(at).copied()) else {
            return (NOTHING.to_owned(), Vec::new());
        };
        let over = (got > budget.limit()).then(|| self.over_together(budget, got.to_string()));
        (got.to_string(), over.into_iter().collect())
    }

    /// The largest value, and all that are over.
    fn most(&self, budget: Budget, found: Vec<Found>) -> Measure {
        let most =
            found.iter().map(|found| found.got).max().map_or(NOTHING.to_owned(), |most| most.to_string());
        let over = found.iter().filter(|found| found.got > budget.limit());
        (most, over.map(|found| found.over(budget, found.got.to_string())).collect())
    }

    fn undocumented(&self) -> Measure {
        let mut over = Vec::new();
        for file in self.files {
            let lacking = file.publics.iter().filter(|public| !public.is_documented);
            for public in lacking.filter(|public| self.has(file, public.line)) {
                let found = Found { path: &file.path, item: &public.name, line: public.line, got: 1 };
                over.push(found.over(Budget::Undocumented, "1".to_owned()));
            }
        }
        (over.len().to_string(), over)
    }

    fn unwraps(&self) -> Measure {
        let mut places = Vec::new();
        for file in self.files {
            let lines = file.unwraps.iter().filter(|line| self.has(file, **line));
            places.extend(lines.map(|line| format!("{}:{line}", file.path)));
        }
        let lines = self.lines().max(1);
        let tenths = (places.len() * 10_000).div_ceil(lines);
        let got = format!("{}.{}", tenths / 10, tenths % 10);
        let is_over = places.len() * 1_000 > Budget::Unwrap.limit() * lines;
        let over =
            is_over.then(|| self.over_together(Budget::Unwrap, format!("{got} ({})", places.join(", "))));
        (got, over.into_iter().collect())
    }

    fn of_stateful(&self, of: impl Fn(&Stateful) -> usize) -> Vec<Found<'_>> {
        let found = self.modules.stateful().into_iter();
        found
            .map(|found| {
                let (got, Stateful { path, declared, .. }) = (of(&found), found);
                Found { path, item: &declared.name, line: declared.line, got }
            })
            .collect()
    }

    fn circles(&self) -> Measure {
        let over: Vec<Over> = self.modules.circles().into_iter().map(over_of_circle).collect();
        (over.len().to_string(), over)
    }

    fn over_together(&self, budget: Budget, got: String) -> Over {
        Over { budget, path: self.name.to_owned(), item: WHOLE.to_owned(), line: None, got }
    }
}

/// What is measured where there is nothing to measure.
pub const NOTHING: &str = "-";

/// Something with its size.
struct Found<'a> {
    path: &'a str,
    item: &'a str,
    line: usize,
    got: usize,
}

impl Found<'_> {
    fn over(&self, budget: Budget, got: String) -> Over {
        Over { budget, path: self.path.to_owned(), item: self.item.to_owned(), line: Some(self.line), got }
    }
}

fn over_of_circle(Circle { one, other }: Circle) -> Over {
    let got = format!("it names this at {}", other.1);
    Found { path: one.0, item: other.0, line: one.1, got: 1 }.over(Budget::Circles, got)
}

fn whole(file: &Reading, got: usize) -> Found<'_> {
    Found { path: &file.path, item: WHOLE, line: 1, got }
}
