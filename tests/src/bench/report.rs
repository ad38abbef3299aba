//! What the figures of one kernel come to: tables, ratios, and whether the aims are met.

use super::contender::Kind;
use super::figure::{Figure, Measure, find};
use super::samples::Samples;
use super::table::{Table, grouped};

/// Something that is to hold of two figures.
#[derive(Debug, Clone, Copy)]
pub struct Aim {
    /// What is compared.
    pub measure: Measure,
    /// With whom.
    pub against: Kind,
    /// Ours may be so much of theirs.
    pub most: f64,
    /// What a reader calls it.
    pub title: &'static str,
}

/// What the kernel's figures have to be (in instructions, which repeat).
pub const AIMS: [Aim; 4] = [
    Aim {
        measure: Measure::Forwarding,
        against: Kind::StaticFlow,
        most: 1.02,
        title: "forwarding a frame, of the bare openvswitch.ko flow",
    },
    Aim {
        measure: Measure::SetUp,
        against: Kind::LeastProgram,
        most: 1.35,
        title: "setting a flow up, many in flight, of the least program's",
    },
    Aim {
        measure: Measure::SetUpAlone,
        against: Kind::LeastProgram,
        most: 1.5,
        title: "setting a flow up, one in flight, of the least program's",
    },
    Aim {
        measure: Measure::Overlay,
        against: Kind::OpenVswitch,
        most: 1.0,
        title: "forwarding a frame from host to host, of ovs-vswitchd's",
    },
];

impl Aim {
    /// Ours as a part of theirs; none if one of them was not measured.
    pub fn share(&self, figures: &[Figure]) -> Option<f64> {
        let theirs = find(figures, self.measure, self.against)?.median();
        let ours = find(figures, self.measure, Kind::Ours)?.median();
        (theirs > 0.0).then(|| ours / theirs)
    }

    /// Whether it is met. What was not measured is not met.
    pub fn is_met(&self, figures: &[Figure]) -> bool {
        self.share(figures).is_some_and(|share| share <= self.most)
    }

    /// In words.
    pub fn judge(&self, figures: &[Figure]) -> String {
        let Some(share) = self.share(figures) else { return format!("aim not measured: {}", self.title) };
        let verdict = if share <= self.most { "met" } else { "MISSED" };
        let (percent, most) = (100.0 * share, 100.0 * self.most);
        format!("aim {verdict}: ours is {percent:.1} % {}; at most {most:.0} %", self.title)
    }
}

/// Whether an address that one host hears is known at another as soon as is aimed at: by the frame itself, which came through the tunnel
/// (behaviour.md 8, hints). In words.
pub fn judge_hints(figures: &[Figure]) -> (bool, String) {
    let Some(samples) = find(figures, Measure::FirstAcross, Kind::Ours) else {
        return (false, "aim not measured: an address known at another host by its first frame".to_owned());
    };
    let part = samples.part(0.99);
    let is_met = part <= KNOWN_WITHIN;
    let (verdict, ms, most) = (if is_met { "met" } else { "MISSED" }, part / 1e6, KNOWN_WITHIN / 1e6);
    let what = "an address is known at another host by its first frame";
    (is_met, format!("aim {verdict}: {what} after {ms:.3} ms (99 of 100); at most {most:.0} ms"))
}

/// In nanoseconds.
const KNOWN_WITHIN: f64 = 2e6;

/// Instructions a frame, of everyone.
pub fn forwarding(figures: &[Figure]) -> String {
    let mut table = Table::new(&[
        "60-byte frame, access to trunk",
        "instructions a frame",
        "least",
        "most",
        "over the cable",
        "to the static flow",
    ]);
    let measured = |kind| find(figures, Measure::Forwarding, kind);
    let cable = measured(Kind::Cable).map_or(0.0, Samples::median);
    let base = measured(Kind::StaticFlow).map_or(0.0, Samples::median);
    for kind in Kind::ALL {
        let Some(samples) = measured(kind) else { continue };
        let (median, (least, most)) = (samples.median(), samples.spread());
        table.row(vec![
            kind.title().into(),
            grouped(median),
            grouped(least),
            grouped(most),
            grouped(median - cable),
            share(median, base),
        ]);
    }
    table.to_markdown()
}

/// Instructions a frame from one host's VM to another's, of those that were measured.
pub fn overlay(figures: &[Figure]) -> String {
    let heading =
        ["60-byte frame, VM to VXLAN to VM", "instructions a frame", "least", "most", "to ovs-vswitchd"];
    let mut table = Table::new(&heading);
    let measured = |kind| find(figures, Measure::Overlay, kind);
    let base = measured(Kind::OpenVswitch).map_or(0.0, Samples::median);
    for kind in Kind::ALL {
        let Some(samples) = measured(kind) else { continue };
        let (median, (least, most)) = (samples.median(), samples.spread());
        let figures = [median, least, most].map(grouped);
        table.row([kind.title().into()].into_iter().chain(figures).chain([share(median, base)]).collect());
    }
    table.to_markdown()
}

fn share(median: f64, base: f64) -> String {
    if base > 0.0 { format!("{:.3}", median / base) } else { "-".into() }
}

/// One measure of those that learn addresses; `to` is whom the last column compares with.
pub fn learning(figures: &[Figure], measure: Measure, heading: &str, unit: &str, to: Kind) -> String {
    let mut table = Table::new(&[heading, unit, "least", "90 %", "most", "ratio"]);
    let base = find(figures, measure, to).map_or(0.0, Samples::median);
    for kind in Kind::ALL {
        let Some(samples) = find(figures, measure, kind) else { continue };
        let (median, (least, most)) = (samples.median(), samples.spread());
        table.row(vec![
            kind.title().into(),
            grouped(median),
            grouped(least),
            grouped(samples.part(0.9)),
            grouped(most),
            share(median, base),
        ]);
    }
    table.to_markdown()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(ours: f64, theirs: f64) -> Vec<Figure> {
        let figure = |contender, value| Figure {
            measure: Measure::SetUp,
            contender,
            samples: [value].into_iter().collect(),
        };
        vec![figure(Kind::Ours, ours), figure(Kind::LeastProgram, theirs)]
    }

    #[test]
    fn an_aim_is_met_up_to_its_limit_and_not_without_figures() {
        assert!(AIMS[1].is_met(&figures(135.0, 100.0)));
        assert!(!AIMS[1].is_met(&figures(135.1, 100.0)));
        assert!(!AIMS[1].is_met(&[]));
        assert!(AIMS[1].judge(&figures(150.0, 100.0)).starts_with("aim MISSED: ours is 150.0 %"));
    }
}
