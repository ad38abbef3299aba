//! The known name that a misspelt one probably meant.

/// The name in `known` with the fewest single-character edits from `given`, if they are few enough to be a slip: at most
/// a third of the longer name's characters, and at least one allowed. The first of equals wins.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given_len = given.chars().count();
    known
        .into_iter()
        .filter_map(|name| {
            let name_len = name.chars().count();
            let most = (given_len.max(name_len) / 3).max(1);
            // The length alone tells most strangers apart, without the table.
            let may_be = given_len.abs_diff(name_len) <= most;
            may_be.then(|| edits(given, name)).filter(|count| *count <= most).map(|count| (count, name))
        })
        .min_by_key(|(count, _)| *count)
        .map(|(_, name)| name)
}

/// Levenshtein distance: insertions, deletions and replacements of one character.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_nothing_else() {
        assert_eq!(nearest("brige", ["bridge", "host"]), Some("bridge"));
        assert_eq!(nearest("vub9", ["vub8", "vub5"]), Some("vub8"));
        assert_eq!(nearest("zzz", ["bridge", "host"]), None);
    }
}
