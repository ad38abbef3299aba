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

/// Insertions, deletions, replacements of one character and swaps of neighbours, the fewest that make one of the other.
fn edits(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let (mut before, mut last): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..=to.len()).collect());
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let replaced = last[j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let mut fewest = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                fewest = fewest.min(before[j - 2] + 1);
            }
            row.push(fewest);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_nothing_else() {
        assert_eq!(nearest("brige", ["bridge", "host"]), Some("bridge"));
        assert_eq!(nearest("vub9", ["vub8", "vub5"]), Some("vub8"));
        assert_eq!(nearest("prot", ["port"]), Some("port"));
        assert_eq!(nearest("zzz", ["bridge", "host"]), None);
    }
}
