//! `l2gw show revisions`: who published each, when by his own clock, and why.

use std::io::{self, Write};
use std::time::Duration;

use agent::revisions::RevisionView;
use vlan::model::shown::printable;
use vlan::time::span;

use super::{Row, dash, print_columns, some};
use crate::cli::time::utc;

/// Prints them. Behind the list stands what an operator looks for in vain in the file; `now_ms` is the time of this machine, in milliseconds
/// since 1970.
pub(super) fn print(rows: &[RevisionView], now_ms: u64, out: &mut impl Write) -> io::Result<()> {
    print_columns(rows, out)?;
    if let Some(ahead) = ahead(rows, now_ms) {
        writeln!(out, "\n{ahead}")?;
    }
    let Some(RevisionView { revision, sources, .. }) = rows.first() else { return Ok(()) };
    let count = sources.others().count();
    if count == 0 {
        return Ok(());
    }
    writeln!(out, "\nin revision {revision}, and from no file:")?;
    for other in sources.others().take(ORIGINS_SHOWN) {
        writeln!(out, "  {}", printable(&other))?;
    }
    match count.saturating_sub(ORIGINS_SHOWN) {
        0 => Ok(()),
        more => writeln!(out, "  and {more} more; `l2gw show config` has all of them"),
    }
}

/// That times lie ahead of this machine's clock, if some do: they are the clock's of whoever published it, which may be on another machine.
fn ahead(rows: &[RevisionView], now_ms: u64) -> Option<String> {
    let lead = |row: &RevisionView| row.at_ms.saturating_sub(now_ms);
    let ahead = rows.iter().filter(|row| row.unreadable.is_none() && lead(row) > USUAL_LEAD_MS);
    let ahead: Vec<&RevisionView> = ahead.collect();
    let most = span(Duration::from_millis(ahead.iter().map(|row| lead(row)).max()?));
    let revisions: Vec<String> = ahead.iter().map(|row| row.revision.to_string()).collect();
    let (whose, by) = match &revisions[..] {
        [one] => (format!("the time of revision {one} lies"), most),
        all => (format!("the times of revisions {} lie", some(all)), format!("up to {most}")),
    };
    Some(format!(
        "{whose} {by} ahead of this machine's clock: TIME is by the clock of the machine that published, and one of the two is wrong"
    ))
}

impl Row for RevisionView {
    const HEADINGS: &'static [&'static str] = &["REVISION", "TIME", "BY", "WHAT"];

    fn cells(&self) -> Vec<String> {
        let number = self.revision.to_string();
        match &self.unreadable {
            None => vec![number, utc(self.at_ms), self.author.clone(), self.note.clone() + &waits(self)],
            Some(why) => vec![number, dash(""), dash(""), why.clone()],
        }
    }
}

/// That a revision waits for its confirmation, if it does.
fn waits(row: &RevisionView) -> String {
    match (row.confirm_within_s.filter(|_| row.is_unconfirmed), row.seconds_left) {
        (None, _) => String::new(),
        (Some(_), Some(left)) => format!(" (unconfirmed, {left} s left)"),
        (Some(within), None) => format!(" (unconfirmed, within {within})"),
    }
}

/// How far clocks of machines that are kept in step may be apart.
const USUAL_LEAD_MS: u64 = 5_000;
/// Objects from no file that `show revisions` lists.
const ORIGINS_SHOWN: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_the_revisions_stands_what_came_from_no_file() {
        let said = |ports: usize| {
            let port = |n: usize| {
                (format!("ports.p{n:02}"), serde_json::json!({"origin": "socket", "author": "ann"}))
            };
            let mut sources: serde_json::Map<_, _> = (0..ports).map(port).collect();
            sources.insert("ports.of-file".to_owned(), serde_json::json!({"author": "ann"}));
            let newest = serde_json::json!({"revision": 7, "at_ms": 0, "author": "ann", "note": "", "sources": sources});
            let older = serde_json::json!({"revision": 6, "at_ms": 0, "author": "file", "note": "run"});
            let rows = serde_json::from_value::<Vec<RevisionView>>([newest, older].into()).unwrap();
            let mut out = Vec::new();
            print(&rows, 0, &mut out).unwrap();
            String::from_utf8(out).unwrap().lines().skip(3).map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(said(0).is_empty());
        assert_eq!(said(1), ["", "in revision 7, and from no file:", "  ports.p00 (by socket, from ann)"]);
        assert_eq!(said(23).len(), 23);
        assert_eq!(said(23)[22], "  and 3 more; `l2gw show config` has all of them");
    }

    #[test]
    fn a_time_that_lies_ahead_is_told_to_be_another_clocks() {
        let said = |now_ms: u64| {
            let row = |revision: u64, at_ms: u64| serde_json::json!({"revision": revision, "at_ms": at_ms, "author": "ann", "note": ""});
            let mut unreadable = row(1, 9_000_000);
            unreadable["unreadable"] = "a newer version wrote it".into();
            let rows = serde_json::json!([row(3, 7_260_000), row(2, 7_200_000), unreadable]);
            let rows = serde_json::from_value::<Vec<RevisionView>>(rows).unwrap();
            let mut out = Vec::new();
            print(&rows, now_ms, &mut out).unwrap();
            String::from_utf8(out).unwrap().lines().skip(4).map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(said(7_260_000).is_empty() && said(7_255_000).is_empty());
        let clock = "ahead of this machine's clock: TIME is by the clock of the machine that published, and one of the two is wrong";
        assert_eq!(said(7_200_000), ["".to_owned(), format!("the time of revision 3 lies 1m00s {clock}")]);
        let both = format!("the times of revisions 3, 2 lie up to 2h01m {clock}");
        assert_eq!(said(0), ["".to_owned(), both]);
    }
}
