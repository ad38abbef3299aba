//! The grammar of what has to be confirmed, and of its confirmation.

use clap::Args;
use nsdb::ConfirmWithin;
use vlan::model::value::quote;
use vlan::time::{parse, written};

use super::Of;

/// What `confirm` is asked.
#[derive(Debug, Args)]
pub struct ConfirmRequest {
    /// The revision, as `apply --confirm` named it; without it, whichever waits
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub revision: Option<u64>,
    /// By whom
    #[command(flatten)]
    pub of: Of,
}

/// A time within which a revision has to be confirmed, such as `60s`.
pub(super) fn time(text: &str) -> Result<ConfirmWithin, String> {
    let (least, most) = (ConfirmWithin::SHORTEST, ConfirmWithin::LONGEST);
    let allowed = || {
        let range = [least, most].map(|bound| written(bound.as_duration()));
        format!(
            "{} is no such time, allowed are whole seconds from {} to {} (24h), such as 60s or 5m",
            quote(text),
            range[0],
            range[1]
        )
    };
    parse(text).and_then(ConfirmWithin::new).ok_or_else(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_confirm_has_a_unit_and_bounds() {
        for (text, expected) in [("60s", 60), ("5m", 300), ("1s", 1), ("24h", 86_400), ("2000ms", 2)] {
            assert_eq!(time(text).map(ConfirmWithin::as_secs), Ok(expected), "{text}");
        }
        for text in ["60", "0s", "500ms", "1500ms", "25h", "soon", "-5s", ""] {
            let said = time(text).unwrap_err();
            let allowed =
                "is no such time, allowed are whole seconds from 1s to 86400s (24h), such as 60s or 5m";
            assert_eq!(said, format!("{} {allowed}", quote(text)));
        }
    }
}
