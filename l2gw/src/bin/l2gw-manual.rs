//! Writes the manual pages and the shell completions of both programs, as `make install` puts them below `share/`.
//!
//! ```text
//! the command line's grammar ──► share/man/man1/l2gw-VERB.1, share/man/man8/l2gw-agent.8, completions of bash, zsh and fish
//! ```
//! They are made of the grammar and of nothing else, so that neither says what the programs do not.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use agent::program::options::Arguments;
use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;
use l2gw::cli::args::Cli;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let (Some(share), None) = (words.next(), words.next()) else {
        eprintln!("l2gw-manual: usage: l2gw-manual DIR, where man/ and the shells' folders are made");
        return ExitCode::from(l2gw::cli::WRONG_USAGE);
    };
    match write_all(Path::new(&share)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("l2gw-manual: {}: {error}", share.display());
            ExitCode::FAILURE
        }
    }
}

fn write_all(share: &Path) -> io::Result<()> {
    let programs = [(Cli::command(), "1"), (Arguments::command(), "8")];
    for (program, section) in programs {
        let pages = share.join("man").join(format!("man{section}"));
        fs::create_dir_all(&pages)?;
        for page in pages_of(program.clone(), section) {
            fs::write(pages.join(&page.file), page.text)?;
        }
        for (shell, folder) in SHELLS {
            let folder = share.join(folder);
            fs::create_dir_all(&folder)?;
            let name = program.get_name().to_owned();
            let path = generate_to(shell, &mut program.clone(), &name, &folder)?;
            if shell == Shell::Bash {
                // bash-completion looks for a file with the command's name.
                fs::rename(path, folder.join(name))?;
            }
        }
    }
    Ok(())
}

/// One page.
struct Page {
    file: String,
    text: String,
}

/// The page of a program, and one for each of its verbs.
fn pages_of(program: Command, section: &str) -> Vec<Page> {
    let mut program = program.disable_help_subcommand(true);
    let source = format!("{} {}", program.get_name(), program.get_version().unwrap_or_default());
    program.build();
    let mut pages = Vec::new();
    collect(&program, None, (section, &source), &mut pages);
    pages
}

fn collect(command: &Command, above: Option<&str>, (section, source): (&str, &str), pages: &mut Vec<Page>) {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let man =
        Man::new(command.clone()).title(name.to_uppercase()).section(section).source(source).manual("l2gw");
    let mut text = Vec::new();
    // Into memory nothing fails.
    let _ = render(command, &man, above, &mut text);
    let text = in_ascii(&String::from_utf8_lossy(&text));
    pages.push(Page { file: format!("{name}.{section}"), text });
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        collect(verb, Some(&name), (section, source), pages);
    }
}

fn render(command: &Command, man: &Man, above: Option<&str>, out: &mut Vec<u8>) -> io::Result<()> {
    man.render_title(out)?;
    // No word is broken and no line stretched: what is an option's name and what can be typed stays whole.
    writeln!(out, ".nh\n.ad l")?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    if let Some(help) = command.get_after_help() {
        write_help(&help.to_string(), out)?;
    }
    man.render_options_section(out)?;
    if command.has_subcommands() {
        writeln!(out, ".SH VERBS")?;
        for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let name = verb.get_display_name().unwrap_or_else(|| verb.get_name());
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            writeln!(out, ".TP\n\\fB{}\\fR(1)\n{}", escaped(name), escaped(&about))?;
        }
    }
    let others = ["l2gw", "l2gw-agent"].map(|name| (name, if name == "l2gw" { "1" } else { "8" }));
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let named = |(other, section): &(&str, &str)| format!("\\fB{}\\fR({section})", escaped(other));
    let above = above.filter(|above| *above != "l2gw").map(|above| (above, "1"));
    let others = above.iter().chain(&others).filter(|(other, _)| *other != name).map(named);
    writeln!(out, ".SH SEE ALSO\n{}", others.collect::<Vec<_>>().join(",\n"))
}

/// What `--help` says after the options: lines at the margin are prose, which goes to the width of the page; indented ones stand as
/// they are.
fn write_help(help: &str, out: &mut impl Write) -> io::Result<()> {
    for paragraph in help.split("\n\n") {
        let mut is_literal = false;
        writeln!(out, ".PP")?;
        for line in paragraph.lines() {
            if line.starts_with(' ') != is_literal {
                is_literal = !is_literal;
                writeln!(out, "{}", if is_literal { ".nf" } else { ".fi" })?;
            }
            // Two columns fewer, so that they fit into 80 with the page's own margin.
            writeln!(out, "{}", escaped(line.strip_prefix("  ").unwrap_or(line)))?;
        }
        if is_literal {
            writeln!(out, ".fi")?;
        }
    }
    Ok(())
}

/// Text as roff writes it: what it takes for its own, and what it would show as another character.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    if text.starts_with(['.', '\'']) {
        escaped.push_str("\\&");
    }
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("\\e"),
            '-' => escaped.push_str("\\-"),
            '\'' => escaped.push_str("\\(aq"),
            '`' => escaped.push_str("\\(ga"),
            '^' => escaped.push_str("\\(ha"),
            '~' => escaped.push_str("\\(ti"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Other characters by their numbers, which every roff understands, whatever it takes its input to be.
fn in_ascii(text: &str) -> String {
    let written = |character: char| match character {
        '\0'..='\x7f' => character.to_string(),
        other => format!("\\[u{:04X}]", u32::from(other)),
    };
    text.chars().map(written).collect()
}

/// Where each shell looks for completions that a package brings, below `share/`.
const SHELLS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions"),
    (Shell::Zsh, "zsh/vendor-completions"),
    (Shell::Fish, "fish/vendor_completions.d"),
];

#[cfg(test)]
mod tests {
    use std::process::{self, Stdio};

    use super::*;

    fn all() -> Vec<Page> {
        [pages_of(Cli::command(), "1"), pages_of(Arguments::command(), "8")].into_iter().flatten().collect()
    }

    /// What a reader sees, with what groff complains about.
    fn shown(page: &str, width: usize) -> (String, String) {
        let width = format!("-rLL={width}n");
        let mut groff = process::Command::new("groff")
            .args(["-man", "-Tutf8", "-ww", "-P-cbou", &width])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("groff, which make setup installs");
        groff.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
        let said = groff.wait_with_output().unwrap();
        (String::from_utf8(said.stdout).unwrap(), String::from_utf8(said.stderr).unwrap())
    }

    /// Each verb, also below another one, with the name of its page.
    fn verbs(command: &Command, name: &str, found: &mut Vec<(String, Command)>) {
        found.push((name.to_owned(), command.clone()));
        for verb in command.get_subcommands() {
            verbs(verb, &format!("{name}-{}", verb.get_name()), found);
        }
    }

    #[test]
    fn every_verb_has_a_page_that_names_all_its_options() {
        let pages = all();
        let mut expected = Vec::new();
        verbs(&Cli::command(), "l2gw", &mut expected);
        verbs(&Arguments::command(), "l2gw-agent", &mut expected);
        assert_eq!(pages.len(), expected.len());
        assert!(expected.len() > 15, "{}", expected.len());
        for (name, verb) in expected {
            let section = if name == "l2gw-agent" { 8 } else { 1 };
            let page = pages.iter().find(|page| page.file == format!("{name}.{section}"));
            let (text, complaints) = shown(&page.unwrap_or_else(|| panic!("{name} has no page")).text, 100);
            assert_eq!(complaints, "", "{name}");
            for argument in verb.get_arguments().filter(|argument| !argument.is_hide_set()) {
                let word = argument.get_long().map(|long| format!("--{long}"));
                let value = argument.get_value_names().map(|names| names[0].to_string());
                let word = word.or(value).unwrap_or_else(|| argument.get_id().as_str().to_uppercase());
                assert!(text.contains(&word), "{name}: {word}: {text}");
            }
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            let one_line: Vec<&str> = text.split_whitespace().collect();
            let about: Vec<&str> = about.split_whitespace().collect();
            assert!(one_line.join(" ").contains(&about.join(" ")), "{name}: {text}");
        }
    }

    /// What stands in columns and what can be typed is on the page as it is in the help.
    #[test]
    fn lines_that_are_laid_out_by_hand_stay_as_they_are() {
        for (pages, program) in [(all(), Cli::command()), (all(), Arguments::command())] {
            let mut commands = Vec::new();
            let name = program.get_name().to_owned();
            verbs(&program, &name, &mut commands);
            for (name, verb) in commands {
                let page = pages.iter().find(|page| page.file.starts_with(&format!("{name}."))).unwrap();
                let (text, _) = shown(&page.text, 80);
                let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
                for line in help.lines().filter(|line| line.starts_with(' ')) {
                    let found = text.lines().find(|shown| shown.trim() == line.trim());
                    let found = found.unwrap_or_else(|| panic!("{name}: {line}: {text}"));
                    assert!(found.chars().count() <= 87, "{name}: {found}");
                }
            }
        }
    }

    #[test]
    fn signs_that_are_roffs_own_are_shown_as_they_are() {
        let text = ".br is 'it' \\fB a-b `c` ^~ …";
        let page = format!(".TH A 1\n.SH B\n{}\n.nf\n{}\n.fi\n", escaped(text), escaped("'x .y"));
        let (shown, complaints) = shown(&in_ascii(&page), 80);
        assert_eq!(complaints, "");
        assert!(shown.contains(text) && shown.contains("'x .y"), "{shown}");
    }

    #[test]
    fn all_is_written_where_it_is_looked_for() {
        let share = tempfile::tempdir().unwrap();
        write_all(share.path()).unwrap();
        for file in [
            "man/man1/l2gw.1",
            "man/man1/l2gw-apply.1",
            "man/man1/l2gw-store-init.1",
            "man/man8/l2gw-agent.8",
            "bash-completion/completions/l2gw",
            "bash-completion/completions/l2gw-agent",
            "zsh/vendor-completions/_l2gw",
            "zsh/vendor-completions/_l2gw-agent",
            "fish/vendor_completions.d/l2gw.fish",
            "fish/vendor_completions.d/l2gw-agent.fish",
        ] {
            let text = fs::read_to_string(share.path().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
            assert!(text.len() > 300, "{file}");
        }
    }
}
