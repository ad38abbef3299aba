//! The known name that a misspelt one probably meant.

use strsim::osa_distance;

/// The name in `known` with the fewest slips in `given`, whatever the case of letters, if they are few: at most a third of the longer
/// name's characters, and at least one allowed. A slip is a character that is missing, too many or another, or two neighbours that
/// changed places. The first of equals wins; a text that is longer than any name means none.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if given.len() > LONGEST {
        return None;
    }
    let given = given.to_lowercase();
    let given_len = given.chars().count();
    let counted = known.into_iter().filter_map(|name| {
        let name_len = name.chars().count();
        let most = (given_len.max(name_len) / 3).max(1);
        // The length alone tells most strangers apart.
        let may_be = given_len.abs_diff(name_len) <= most;
        let slips = may_be.then(|| osa_distance(&given, &name.to_lowercase()));
        slips.filter(|count| *count <= most).map(|count| (count, name))
    });
    counted.min_by_key(|(count, _)| *count).map(|(_, name)| name)
}

/// Bytes of the longest text that is compared; keys and names are shorter.
pub(super) const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_nothing_else() {
        assert_eq!(nearest("brige", ["bridge", "host"]), Some("bridge"));
        assert_eq!(nearest("vub9", ["vub8", "vub5"]), Some("vub8"));
        assert_eq!(nearest("prot", ["port"]), Some("port"));
        assert_eq!(nearest("Mac_Limit", ["mac-limit", "mtu"]), Some("mac-limit"));
        assert_eq!(nearest("DC1", ["dc2", "dc1"]), Some("dc1"));
        assert_eq!(nearest("", ["vid", "vlans"]), None);
        assert_eq!(nearest(&"a".repeat(65), ["a".repeat(65).as_str()]), None);
        assert_eq!(nearest("zzz", ["bridge", "host"]), None);
    }
}
