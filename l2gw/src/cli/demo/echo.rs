//! Echo requests: whether one machine reaches another, and what is lost while something happens.

use std::io::{self, BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use super::program::{LabError, Running, inside, output};

/// Whether an address answers in a namespace: at most `tries` echo requests, the first answer counts.
///
/// # Errors
/// `ping` cannot be run.
pub(super) fn is_answered(namespace: &str, address: &str, tries: u32) -> Result<bool, LabError> {
    for _ in 0..tries {
        let mut command = inside(namespace, "ping");
        command.args(["-n", "-q", "-c", "1", "-W", "1", address]);
        if output(&mut command)?.status.success() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What became of a row of echo requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Losses {
    /// How many were sent, as far as that matters: up to the last one that was answered; all, if the last ones were not.
    pub(super) sent: u32,
    answered: u32,
}

impl Losses {
    /// Sends one echo request every 10 ms before `meanwhile` happens, while it does, and until 100 more are answered.
    ///
    /// # Errors
    /// `ping` cannot be run, or what `meanwhile` returns.
    pub(super) fn count(
        namespace: &str,
        address: &str,
        meanwhile: impl FnOnce() -> Result<(), LabError>,
    ) -> Result<Losses, LabError> {
        let broken = |source| LabError::Program { program: "ping".to_owned(), source };
        let mut command = inside(namespace, "ping");
        command.args(["-n", "-i", "0.01", "-w", &PATIENCE.as_secs().to_string(), address]);
        let mut ping = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::null()))?;
        let said = ping.child.stdout.take().ok_or_else(|| broken(io::ErrorKind::BrokenPipe.into()))?;
        let lines = read_along(said);
        let mut losses = Losses::default();
        losses.read(lines.iter(), WARM_UP);
        meanwhile()?;
        losses.read(lines.try_iter(), u32::MAX);
        losses.read(lines.iter(), losses.answered + AFTERWARDS);
        Ok(losses)
    }

    /// How many got no answer.
    pub(super) fn lost(&self) -> u32 {
        self.sent.saturating_sub(self.answered)
    }

    /// Reads what `ping` says until that many requests are answered in all, or there is no more of it.
    fn read(&mut self, mut lines: impl Iterator<Item = String>, until: u32) {
        while self.answered < until {
            let Some(line) = lines.next() else { return };
            if let Some(sequence) = sequence(&line) {
                self.answered += 1;
                self.sent = self.sent.max(sequence);
            } else if let Some((sent, _)) = line.split_once(" packets transmitted") {
                self.sent = sent.parse().unwrap_or(self.sent);
            }
        }
    }
}

/// What a program says, line by line as it says it, until it ends.
fn read_along(said: impl io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(said).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// The number of the request that a line reports the answer to; from 1.
fn sequence(line: &str) -> Option<u32> {
    let is_answer = line.contains(" bytes from ");
    let number = line.split_once("icmp_seq=")?.1.split(' ').next()?;
    number.parse().ok().filter(|_| is_answer)
}

/// When `ping` gives up, whatever happens.
const PATIENCE: Duration = Duration::from_secs(30);
/// Echo requests answered before something happens.
const WARM_UP: u32 = 20;
/// Echo requests answered after it.
const AFTERWARDS: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, until: u32) -> Losses {
        let mut losses = Losses::default();
        losses.read(text.lines().map(str::to_owned), until);
        losses
    }

    const THREE: &str = "PING 10.0.0.28 (10.0.0.28) 56(84) bytes of data.\n\
        64 bytes from 10.0.0.28: icmp_seq=1 ttl=64 time=0.1 ms\n\
        64 bytes from 10.0.0.28: icmp_seq=2 ttl=64 time=0.1 ms\n\
        64 bytes from 10.0.0.28: icmp_seq=5 ttl=64 time=0.1 ms\n";

    #[test]
    fn gaps_between_answers_are_losses() {
        let losses = read(THREE, 3);
        assert_eq!((losses.sent, losses.lost()), (5, 2));
    }

    #[test]
    fn reading_stops_at_the_wanted_answer() {
        let losses = read(THREE, 2);
        assert_eq!((losses.sent, losses.lost()), (2, 0));
    }

    #[test]
    fn what_is_not_answered_at_the_end_is_lost_too() {
        let end = "From 10.0.0.18 icmp_seq=6 Destination Host Unreachable\n\n\
            --- 10.0.0.28 ping statistics ---\n9 packets transmitted, 3 received, 66% packet loss, time 90ms\n";
        let losses = read(&format!("{THREE}{end}"), 100);
        assert_eq!((losses.sent, losses.lost()), (9, 6));
    }
}
