//! The size of the code keeps to its budgets, as `make house` prints them; and what the measure itself counts.

use std::fs;
use std::path::{Path, PathBuf};

use tests::house::House;
use tests::house::budget::{Budget, Over};
use tests::house::part::{Kind, Part};
use tests::house::reading::Reading;
use tests::house::reason;

#[test]
fn the_house_is_in_order() {
    let house = House::inspect(&root()).unwrap_or_else(|error| panic!("{error}: {:?}", error));
    assert!(house.is_in_order(), "{house}");
}

#[test]
fn contributing_names_each_budget_with_its_limit() {
    let page = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let section = page.split_once("## Size").unwrap().1.split_once("\n## ").unwrap().0;
    for budget in Budget::ALL {
        let row = format!("| `{}` | {} |", budget.name(), budget.limit());
        assert!(section.contains(&row), "no line {row}");
    }
    assert_eq!(section.matches("\n| `").count(), Budget::ALL.len(), "a budget that is none any more");
}

#[test]
fn a_long_function_needs_a_reason() {
    let over = over(&read("fn f() {\n", 59, "    step();\n", "}\n"), Budget::Function);
    assert_eq!(over.len(), 1);
    assert_eq!(over[0].to_string(), "vlan/src/a.rs:3: f: function: 61, at most 60");
    assert_eq!(over_of(&read("fn f() {\n", 58, "    step();\n", "}\n")), []);

    let others = "}\n".to_owned() + &"fn g() {}\n".repeat(20);
    let part = |lines| measure(&read("fn f() {\n", lines, "    step();\n", &others), Kind::Code);
    let listed = reason::parse("# why\n\nvlan/src/a.rs f function one step a line\n").unwrap();
    let reasons = || listed.clone();
    let one = |budget| usize::from(budget == Budget::Function);
    assert!(House::new(vec![part(59)], reasons(), one).is_in_order());
    assert!(!House::new(vec![part(59)], Vec::new(), |_| 0).is_in_order());
    let stale = House::new(vec![part(58)], reasons(), one);
    assert!(!stale.is_in_order());
    assert!(stale.to_string().contains("tests/house.txt:3: stale: vlan/src/a.rs f"), "{stale}");
}

#[test]
fn a_method_is_named_with_its_type() {
    let file = of("/// A.\npub struct A<T>(T);\nimpl<T> A<T> {\n    fn m(&self, a: u8) {}\n}\n");
    let names: Vec<&str> = file.functions.iter().map(|function| function.name.as_str()).collect();
    assert_eq!(names, ["A::m"]);
    assert_eq!((file.functions[0].lines, file.functions[0].parameters), (Some(1), 2));
}

#[test]
fn parameters_count_with_self_and_without_a_body() {
    let text =
        "/// T.\npub trait T {\n    /// M.\n    fn m(&self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8);\n}\n";
    assert_eq!(over(&of(text), Budget::Parameters)[0].item, "T::m");
    assert_eq!(over_of(&of(&text.replace(", f: u8", ""))), []);
}

#[test]
fn the_sixteenth_public_item_is_one_too_many() {
    let of_items = |count| read("", count, "/// C.\npub const C: u8 = 0;\n", "");
    assert_eq!(over(&of_items(16), Budget::PublicItems)[0].got, "16");
    assert_eq!(over_of(&of_items(15)), []);
    let methods = read("/// A.\npub struct A;\nimpl A {\n", 16, "/// M.\npub fn m() {}\n", "}\n");
    assert_eq!(over_of(&methods), [], "methods are their type's");
    let names = read("", 16, "pub use a::b;\npub mod c;\npub(crate) fn d() {}\n", "");
    assert_eq!(over_of(&names), [], "what others declare, and what is not public");
}

#[test]
fn what_is_public_is_documented() {
    let lacking = |text: &str| -> Vec<String> {
        over(&of(text), Budget::Undocumented).into_iter().map(|over| over.item).collect()
    };
    assert_eq!(lacking("pub struct A { pub b: u8, c: u8 }"), ["A", "A::b"]);
    assert_eq!(lacking("/// E.\npub enum E { A, B { c: u8 } }"), ["E::A", "E::B", "E::B::c"]);
    assert_eq!(lacking("/// T.\npub trait T { fn m(&self); }"), ["T::m"]);
    assert_eq!(lacking("struct A;\nimpl A { pub fn m() {}\n fn n() {} }"), ["A::m"]);
    assert_eq!(lacking("enum E { A }\ntrait T { fn m(&self); }\nimpl T for E { fn m(&self) {} }"), [""; 0]);
    let bare = Reading::of("vlan/src/a.rs", false, "fn f() {}\n").unwrap();
    assert_eq!(over(&bare, Budget::Undocumented)[0].item, "-", "the file says what it decides");
}

#[test]
fn an_unwrap_counts_in_code_and_in_the_arguments_of_a_macro() {
    let calls = "fn f() { a.unwrap(); b.expect(\"c\"); }\nfn g() {\n    log!(a.unwrap_err());\n    a.unwrap_or(b);\n    unwrap(a);\n}\n";
    assert_eq!(of(calls).unwraps, [3, 5]);
    assert!(!over(&of(calls), Budget::Unwrap).is_empty());
    let one = read("fn f() { a.unwrap(); }\n", 997, "\n", "");
    assert_eq!((one.lines, over_of(&one)), (1_000, vec![]));
    assert_eq!(over(&read("fn f() { a.unwrap(); }\n", 996, "\n", ""), Budget::Unwrap).len(), 1);
}

#[test]
fn test_code_is_apart() {
    let file = of("fn f() {}\n\n#[cfg(test)]\nmod tests {\n    fn g() { a.unwrap(); }\n}\n");
    assert!(!file.is_test_line(3) && file.is_test_line(7));
    assert_eq!(over(&file, Budget::Unwrap), []);
    let names = |kind| measure(&file, kind).measured[2].clone();
    assert_eq!((names(Kind::Code), names(Kind::Tests)), ("1".to_owned(), "1".to_owned()));
    assert_eq!(of("#[cfg(test)]\nmod tests;\n").test_modules, ["tests"]);
    assert_eq!(of("#[cfg(all(test, unix))]\nmod tests;\n").test_modules, ["tests"]);
    assert_eq!(of("#[cfg(unix)]\nmod tests;\n").test_modules, [""; 0]);
}

#[test]
fn a_line_that_is_no_reason_is_refused() {
    let mistakes = reason::parse("a b\nvlan/src/a.rs f size why\nvlan/src/a.rs f file\n").unwrap_err();
    assert_eq!(mistakes.len(), 3);
    assert!(mistakes[1].starts_with("2: size is no budget; they are function-median, "), "{mistakes:?}");
}

#[test]
fn exceptions_only_become_fewer() {
    let text = read("fn f() {\n", 59, "    step();\n", &("}\n".to_owned() + &"fn g() {}\n".repeat(20)));
    let listed = reason::parse("vlan/src/a.rs f function one step a line\n").unwrap();
    let house = |exceptions| House::new(vec![measure(&text, Kind::Code)], listed.clone(), exceptions);
    let added = house(|_| 0);
    assert!(!added.is_in_order());
    assert!(added.to_string().contains("function: 1 exceptions, 0 stand: a new one is not taken"), "{added}");
    let mended = House::new(Vec::new(), Vec::new(), |budget| usize::from(budget == Budget::Function));
    assert!(!mended.is_in_order());
    assert!(mended.to_string().contains("function: 0 exceptions, 1 stand: lower"), "{mended}");
}

#[test]
fn methods_count_over_all_files_of_a_stateful_type() {
    let declared = ("a.rs", "pub struct A;\nmod own;\nimpl A { fn b(&mut self) {} }\n");
    let more =
        |name: &str, count| format!("use {name};\nimpl A {{\n{}}}\n", "fn m(&self) {}\n".repeat(count));
    let found = |here: usize, there: usize, tests: &str| {
        let (own, far) = (more("super::A", here), more("crate::A", there) + tests);
        let files =
            [("lib.rs", "mod a;\nmod far;\npub use a::A;\n"), declared, ("a/own.rs", &own), ("far.rs", &far)];
        over_in(&files, Budget::Methods)
    };
    assert_eq!(found(20, 20, ""), ["vlan/src/a.rs:1: A: methods: 41, at most 40"]);
    assert_eq!(found(20, 19, ""), [""; 0]);
    let of_tests = "#[cfg(test)]\nmod tests { impl A { fn t(&self) {} } }\n";
    assert_eq!(found(20, 19, of_tests), [""; 0], "what tests add is not the type's");
    let of_trait = "impl std::fmt::Display for A { fn fmt(&self) {} }\n";
    assert_eq!(found(20, 19, of_trait), ["vlan/src/a.rs:1: A: methods: 41, at most 40"]);
    let other = "mod b { pub struct A; impl A { fn c(&mut self) {} } }\n";
    assert_eq!(over_in(&[("lib.rs", other)], Budget::Methods), [""; 0]);
}

#[test]
fn two_types_of_one_name_are_two() {
    let half = format!("pub struct A;\nimpl A {{\n{}}}\n", "fn m(&mut self) {}\n".repeat(21));
    let files = [("lib.rs", "mod a;\nmod b;\n"), ("a.rs", &half), ("b.rs", &half)];
    assert_eq!(over_in(&files, Budget::Methods), [""; 0]);
}

#[test]
fn fields_count_where_a_method_changes_the_type() {
    let found = |fields: usize, itself: &str| {
        let fields = "a: u8,\n".repeat(fields);
        let text = format!("struct A {{\n{fields}}}\nimpl A {{ fn b({itself}) {{}} }}\n");
        over_in(&[("lib.rs", &text)], Budget::Fields)
    };
    assert_eq!(found(13, "&mut self"), ["vlan/src/lib.rs:1: A: fields: 13, at most 12"]);
    assert_eq!(found(12, "&mut self"), [""; 0]);
    assert_eq!(found(13, "mut self"), [""; 0], "a value that is given away is no state");
    assert_eq!(found(13, "&self"), [""; 0]);
}

#[test]
fn two_files_that_name_each_other_are_a_circle() {
    let lib = ("lib.rs", "pub mod a;\npub mod b;\nmod c;\npub use a::A;\n");
    let circles = |a: &str, b: &str| over_in(&[lib, ("a.rs", a), ("b.rs", b), ("c.rs", "")], Budget::Circles);
    let a = "pub struct A;\nfn f() { crate::b::g(); }\n";
    let found = ["vlan/src/a.rs:2: vlan/src/b.rs: circles: it names this at 1, at most 0"];
    assert_eq!(circles(a, "use crate::a::A;\n"), found);
    assert_eq!(circles(a, "use super::{a::A as Other, c};\n"), found);
    assert_eq!(circles(a, "use crate::A;\n"), found, "by a name that another file passes on");
    assert_eq!(circles(a, "fn g() -> crate::A { log!(\"{}\", 1) }\n"), found);
    assert_eq!(circles(a, "fn g() { log!(\"{}\", crate::a::A) }\n"), found, "in a macro's arguments");
    assert_eq!(circles(a, "use vlan::a;\n"), found, "by the crate's name");

    assert_eq!(circles(a, "fn g() {}\n"), [""; 0], "one names the other, and that is all");
    assert_eq!(circles(a, "#[cfg(test)]\nmod tests { use crate::a::A; }\n"), [""; 0]);
    assert_eq!(circles(a, "//! [`A`](crate::a::A)\n"), [""; 0], "a link in documentation");
    assert_eq!(circles(a, "use other::a::A;\n"), [""; 0], "another crate's module of the same name");
}

#[test]
fn a_module_and_what_is_around_it_are_no_circle_but_its_children_may_be() {
    let around = ("a/mod.rs", "mod one;\nmod two;\npub use one::One;\npub use two::Two;\n");
    let circles = |one: &str, two: &str| {
        let files = [("lib.rs", "mod a;\n"), around, ("a/one.rs", one), ("a/two.rs", two)];
        over_in(&files, Budget::Circles)
    };
    assert_eq!(circles("use super::X;\n", "use super::X;\n"), [""; 0]);
    let found = ["vlan/src/a/one.rs:1: vlan/src/a/two.rs: circles: it names this at 1, at most 0"];
    assert_eq!(circles("use super::Two; pub struct One;\n", "use super::One; pub struct Two;\n"), found);
    let within = "mod x { use super::super::Two; } pub struct One;\n";
    assert_eq!(circles(within, "use super::One; pub struct Two;\n"), found);
}

/// What is over a budget in the crate `vlan` of these files.
fn over_in(files: &[(&str, &str)], budget: Budget) -> Vec<String> {
    let read = |(name, text): &(&str, &str)| Reading::of(&format!("vlan/src/{name}"), false, text).unwrap();
    let files: Vec<Reading> = files.iter().map(read).collect();
    let part = Part::measure("vlan", Kind::Code, &files).unwrap();
    part.over.iter().filter(|over| over.budget == budget).map(ToString::to_string).collect()
}

/// A documented file with a repetition in it.
fn read(before: &str, times: usize, again: &str, after: &str) -> Reading {
    of(&format!("{before}{}{after}", again.repeat(times)))
}

/// A documented file: its text begins at line 3.
fn of(text: &str) -> Reading {
    let text = format!("//! Decides.\n\n{text}");
    Reading::of("vlan/src/a.rs", false, &text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn measure(file: &Reading, kind: Kind) -> Part {
    Part::measure("vlan", kind, std::slice::from_ref(file)).unwrap()
}

/// What is over a budget.
fn over(file: &Reading, budget: Budget) -> Vec<Over> {
    over_of(file).into_iter().filter(|over| over.budget == budget).collect()
}

/// What is over, but for what is measured over many functions.
fn over_of(file: &Reading) -> Vec<Over> {
    let over = measure(file, Kind::Code).over.into_iter();
    over.filter(|over| {
        !matches!(over.budget, Budget::FunctionMedian | Budget::FunctionP90 | Budget::FileMedian)
    })
    .filter(|over| over.budget != Budget::File)
    .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}
