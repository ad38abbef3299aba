//! What the demo prints, and what it is judged by.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::interrupt::Interrupt;
use super::network::Network;
use crate::lab::gateway::Gateway;

/// Why the script stopped before its end.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The story cannot be written.
    Write(io::Error),
    /// Somebody wants it to end.
    Interrupted,
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Write(error)
    }
}

/// Tells the story and keeps the score.
pub(super) struct Script<'a> {
    out: &'a mut dyn Write,
    interrupt: Interrupt,
    steps: usize,
    as_expected: usize,
    tried: usize,
}

impl<'a> Script<'a> {
    /// Nothing tried yet.
    pub(super) fn new(out: &'a mut dyn Write, interrupt: Interrupt) -> Script<'a> {
        Script { out, interrupt, steps: 0, as_expected: 0, tried: 0 }
    }

    /// Whether all that was tried came as expected.
    pub(super) fn is_all_expected(&self) -> bool {
        self.as_expected == self.tried
    }

    /// The step that was begun last; 0 before the first.
    pub(super) fn steps(&self) -> usize {
        self.steps
    }

    /// Prints a line at once, so that its reader can follow.
    ///
    /// # Errors
    /// It cannot be written, or all is to end.
    pub(super) fn say(&mut self, line: &str) -> Result<(), Trouble> {
        self.go_on()?;
        writeln!(self.out, "{line}")?;
        Ok(self.out.flush()?)
    }

    /// Begins the next step.
    ///
    /// # Errors
    /// As [`Script::say`].
    pub(super) fn step(&mut self, title: &str) -> Result<(), Trouble> {
        self.steps += 1;
        self.say(&format!("\n{}. {title}", self.steps))
    }

    /// Runs a verb of `l2gw` at a host or at the desk, and shows it as its reader would type it.
    ///
    /// # Errors
    /// As [`Script::say`].
    ///
    /// # Panics
    /// It ends with anything but 0.
    pub(super) fn show(&mut self, network: &Network, at: &str, line: &str) -> Result<(), Trouble> {
        self.say(&format!("\n{at}$ l2gw {line}"))?;
        let said = network.l2gw(at, line);
        self.say(said.trim_end())
    }

    /// Says what was tried and what came of it, and whether it should.
    ///
    /// # Errors
    /// As [`Script::say`].
    pub(super) fn judge(&mut self, what: &str, expected: &str, got: &str) -> Result<(), Trouble> {
        self.go_on()?;
        self.tried += 1;
        self.as_expected += usize::from(expected == got);
        let mark = match expected == got {
            true => "as expected".to_owned(),
            false => format!("NOT AS EXPECTED: {expected}"),
        };
        self.say(&format!("  {what}: {got}  [{mark}]"))
    }

    /// Says the score.
    ///
    /// # Errors
    /// As [`Script::say`].
    pub(super) fn sum(&mut self) -> Result<(), Trouble> {
        self.say(&format!("\ndemo: {} of {} as expected", self.as_expected, self.tried))
    }

    /// Waits until something holds of a host.
    ///
    /// # Errors
    /// All is to end.
    ///
    /// # Panics
    /// It does not hold in time; the daemon's log is shown.
    pub(super) fn wait_for(
        &self,
        host: &Gateway,
        what: &str,
        mut holds: impl FnMut(&Gateway) -> bool,
    ) -> Result<(), Trouble> {
        host.wait_for(what, |host| self.interrupt.is_there() || holds(host));
        self.go_on()
    }

    /// Waits until something holds, at most for this long; whether it does.
    ///
    /// # Errors
    /// All is to end.
    pub(super) fn until(&self, patience: Duration, mut holds: impl FnMut() -> bool) -> Result<bool, Trouble> {
        let last = Instant::now() + patience;
        while !holds() {
            self.go_on()?;
            if Instant::now() > last {
                return Ok(false);
            }
            std::thread::sleep(STEP);
        }
        Ok(true)
    }

    /// Whether the story goes on.
    fn go_on(&self) -> Result<(), Trouble> {
        if self.interrupt.is_there() { Err(Trouble::Interrupted) } else { Ok(()) }
    }
}

const STEP: Duration = Duration::from_millis(2);
