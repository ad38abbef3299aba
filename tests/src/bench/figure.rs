//! What was measured of whom, and how it travels out of the machine that measured it: a line of JSON with a mark before it.

use serde::{Deserialize, Serialize};

use super::contender::Kind;
use super::samples::Samples;

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// A frame of an established flow; nanoseconds of the machine's clock a frame.
    Forwarding,
    /// A frame of an established flow from one host's VM through a VXLAN tunnel to another host's; nanoseconds a frame.
    Overlay,
    /// From sending one first frame of one host's VM until it is read behind another host, which knows its source by then; nanoseconds.
    FirstAcross,
    /// A first frame more than an established one, a window of them in flight; nanoseconds.
    SetUp,
    /// A first frame more than an established one, one in flight; nanoseconds.
    SetUpAlone,
    /// From sending one first frame until it is read at the other side; nanoseconds.
    FirstFrame,
    /// From sending one frame of an established flow until it is read at the other side; nanoseconds.
    LaterFrame,
    /// First frames until all are read at the other side, many in flight; flows a second.
    NewFlows,
    /// Resident memory with so many addresses learned; KiB.
    Memory(u32),
    /// From starting a program until it has done what its name says; milliseconds.
    Took(Step),
}

/// A step that takes its time with a large file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// `l2gw check` of the file has ended.
    Check,
    /// `l2gw run` of the file says that it is ready.
    Ready,
    /// `l2gw run` of the file has forwarded its first frame.
    Forwarding,
    /// `l2gw run` of the file, started again on the state of a run that was killed, has all its ports up.
    Again,
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What was measured.
    pub measure: Measure,
    /// Of whom.
    pub contender: Kind,
    /// How much it is.
    pub samples: Samples,
}

impl Figure {
    /// Writes it to standard output, for [`Figure::read`] on the other side of a console.
    pub fn tell(self) {
        let text = serde_json::to_string(&self).unwrap_or_else(|e| panic!("cannot write {self:?}: {e}"));
        println!("{MARK}{text}");
    }

    /// The figure in a line of output, if there is one.
    pub fn read(line: &str) -> Option<Figure> {
        let (_, text) = line.split_once(MARK)?;
        serde_json::from_str(text.trim()).ok()
    }
}

/// The figures of this measure and contender, put together; none if nothing was measured.
pub fn find(figures: &[Figure], measure: Measure, contender: Kind) -> Option<&Samples> {
    let found = figures.iter().find(|figure| figure.measure == measure && figure.contender == contender);
    found.map(|figure| &figure.samples)
}

const MARK: &str = "figure: ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_read_as_it_was_told() {
        let figure = Figure {
            measure: Measure::Memory(10_000),
            contender: Kind::Ours,
            samples: [1.5].into_iter().collect(),
        };
        let line = format!("noise {MARK}{}\r", serde_json::to_string(&figure).unwrap());
        assert_eq!(Figure::read(&line), Some(figure));
        assert_eq!(Figure::read("nothing"), None);
    }
}
