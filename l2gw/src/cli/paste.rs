//! A frame as people have it at hand: hexadecimal digits, or a dump with offsets and characters as tcpdump, tshark, Wireshark,
//! hexdump and xxd print it.
//!
//! ```text
//! 12:00:00.000000 ARP, Request who-has 192.0.2.2 tell 192.0.2.1, length 28      tcpdump -e -xx, -XX
//!         0x0000:  ffff ffff ffff 0200 0000 0001 8100 0008  ................
//! 0000   ff ff ff ff ff ff 02 00 00 00 00 01 81 00 00 08   ................     Wireshark, tshark -x
//! 00000000  ff ff ff ff ff ff 02 00  00 00 00 01 81 00 00 08  |................|  hexdump -C
//! 00000000: ffff ffff ffff 0200 0000 0001 8100 0008  ................            xxd
//! ```

/// Why a text is no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasteError {
    /// No bytes at all.
    #[error("there are no hexadecimal digits in it")]
    Empty,
    /// Something else than digits.
    #[error("{0:?} is not a hexadecimal digit")]
    Digit(char),
    /// Half a byte.
    #[error("{0} digits are no whole number of bytes")]
    Half(usize),
    /// A dump whose first lines are missing.
    #[error("the dump starts at offset {0:#06x}, its lines before that are missing")]
    NoStart(usize),
    /// A dump with a line missing, or with one that is cut.
    #[error("line {line} of the dump says offset {offset:#06x}, but {before} bytes come before it")]
    Gap {
        /// The line's number, from 1.
        line: usize,
        /// Its offset.
        offset: usize,
        /// Bytes before it.
        before: usize,
    },
    /// More than one frame.
    #[error("there are {0} frames in the dump; give one of them, or a capture file by --pcap")]
    Several(usize),
}

/// The bytes of one frame.
///
/// # Errors
/// None, several, or what is no dump and no digits.
pub fn frame(text: &str) -> Result<Vec<u8>, PasteError> {
    let lines: Vec<Line<'_>> = text.lines().enumerate().filter_map(Line::read).collect();
    let bytes = match lines.first() {
        Some(first) if first.offset == 0 => dump(&lines)?,
        Some(first) if first.has_colon => return Err(PasteError::NoStart(first.offset)),
        _ => digits(text)?,
    };
    if bytes.is_empty() { Err(PasteError::Empty) } else { Ok(bytes) }
}

/// A line of a dump.
struct Line<'a> {
    number: usize,
    offset: usize,
    has_colon: bool,
    /// Behind the offset.
    rest: &'a str,
}

impl<'a> Line<'a> {
    /// `None` of a line that does not start with an offset, such as the one in which tcpdump says what the frame is.
    fn read((index, line): (usize, &'a str)) -> Option<Line<'a>> {
        let line = line.trim_start();
        let bare = line.strip_prefix("0x").unwrap_or(line);
        let count = bare.bytes().take_while(u8::is_ascii_hexdigit).count();
        let (offset, rest) = bare.split_at(count);
        let has_colon = rest.starts_with(": ") || rest.starts_with(":\t");
        // Digits in groups have one space between them.
        let is_column = count >= 4 && (rest.starts_with("  ") || rest.starts_with('\t'));
        if !(1..=8).contains(&count) || !(has_colon || is_column) {
            return None;
        }
        let offset = usize::from_str_radix(offset, 16).ok()?;
        Some(Line { number: index + 1, offset, has_colon, rest: rest.trim_start_matches(':') })
    }

    /// Its bytes: as many as are `expected`, where the next line tells; otherwise up to the column of characters.
    fn bytes(&self, expected: Option<usize>) -> Vec<u8> {
        let (mut bytes, mut rest) = (Vec::new(), self.rest);
        let most = expected.unwrap_or(MOST_IN_LINE);
        while bytes.len() < most {
            let word = rest.trim_start();
            let gap = rest.len() - word.len();
            let end = word.find(char::is_whitespace).unwrap_or(word.len());
            let (group, after) = word.split_at(end);
            let is_middle = gap == 2 && bytes.len() == MOST_IN_LINE / 2 && group.len() == 2;
            let is_beyond = expected.is_none() && gap > 1 && !bytes.is_empty() && !is_middle;
            match pairs(group) {
                Ok(more) if !more.is_empty() && !is_beyond => bytes.extend(more),
                _ => break,
            }
            rest = after;
        }
        bytes
    }
}

fn dump(lines: &[Line<'_>]) -> Result<Vec<u8>, PasteError> {
    let starts = lines.iter().filter(|line| line.offset == 0).count();
    if starts > 1 {
        return Err(PasteError::Several(starts));
    }
    let mut bytes: Vec<u8> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        if line.offset != bytes.len() {
            return Err(PasteError::Gap { line: line.number, offset: line.offset, before: bytes.len() });
        }
        let next = lines.get(index + 1).map(|next| next.offset);
        bytes.extend(line.bytes(next.and_then(|next| next.checked_sub(line.offset))));
    }
    Ok(bytes)
}

/// Digits; what usually stands between and before them is passed over: white space, colons, and the `\x`, `0x`, commas and quotation
/// marks of a program's text.
fn digits(text: &str) -> Result<Vec<u8>, PasteError> {
    let bare = text.replace("\\x", "").replace("0x", "");
    let is_between = |c: char| c.is_whitespace() || matches!(c, ':' | ',' | '"' | ';' | '{' | '}');
    pairs(&bare.replace(is_between, ""))
}

fn pairs(digits: &str) -> Result<Vec<u8>, PasteError> {
    if let Some(bad) = digits.chars().find(|c| !c.is_ascii_hexdigit()) {
        return Err(PasteError::Digit(bad));
    }
    if digits.len() % 2 == 1 {
        return Err(PasteError::Half(digits.len()));
    }
    let value = |digit: u8| char::from(digit).to_digit(16).unwrap_or(0) as u8;
    Ok(digits.as_bytes().chunks(2).map(|pair| value(pair[0]) << 4 | value(pair[1])).collect())
}

/// Bytes in a line of each of these dumps.
const MOST_IN_LINE: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// An ARP request in VLAN 8, without its last bytes, so that the last line is short and its characters look like digits.
    const BYTES: &[u8] = &[
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 1, 0x81, 0, 0, 8, 0x08, 0x06, 0, 1, 8, 0, 6, 4,
        0xab, 0xcd, 0x61,
    ];

    #[test]
    fn each_programs_dump_is_read() {
        for text in [
            "ffffffffffff020000000001810000080806000108000604abcd61",
            "ff:ff:ff:ff:ff:ff 02:00:00:00:00:01 8100 0008\n0806 0001 0800 0604 abcd 61\n",
            "12:00:00.000000 02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff, ethertype 802.1Q (0x8100), length 46: vlan 8, p 0\n\
             \t0x0000:  ffff ffff ffff 0200 0000 0001 8100 0008\n\t0x0010:  0806 0001 0800 0604 abcd 61\n",
            "\t0x0000:  ffff ffff ffff 0200 0000 0001 8100 0008  ................\n\
             \t0x0010:  0806 0001 0800 0604 abcd 61              ..........cafe\n",
            "0000   ff ff ff ff ff ff 02 00 00 00 00 01 81 00 00 08   ................\n\
             0010   08 06 00 01 08 00 06 04 ab cd 61                  ........ab a\n",
            "0000  ff ff ff ff ff ff 02 00 00 00 00 01 81 00 00 08   ................\n\
             0010  08 06 00 01 08 00 06 04 ab cd 61                  ab cd efgh a\n",
            "00000000  ff ff ff ff ff ff 02 00  00 00 00 01 81 00 00 08  |................|\n\
             00000010  08 06 00 01 08 00 06 04  ab cd 61                 |..........a|\n0000001b\n",
            "00000000: ffff ffff ffff 0200 0000 0001 8100 0008  ................\r\n\
             00000010: 0806 0001 0800 0604 abcd 61              ..........a\r\n",
            "\"\\xff\\xff\\xff\\xff\\xff\\xff\\x02\\x00\\x00\\x00\\x00\\x01\\x81\\x00\\x00\\x08\" \\
             \"\\x08\\x06\\x00\\x01\\x08\\x00\\x06\\x04\\xab\\xcd\\x61\""
                .replace(" \\\n", "\n")
                .as_str(),
            "{ 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0x00 };".replace(", 0,", ", 0x00,").replace(
                " };",
                ", 0x00, 0x00, 0x01, 0x81, 0x00, 0x00, 0x08, 0x08, 0x06, 0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0xab, 0xcd, 0x61 };",
            )
            .as_str(),
        ] {
            assert_eq!(frame(text).as_deref(), Ok(BYTES), "{text}");
        }
    }

    #[test]
    fn a_full_last_line_ends_before_its_characters() {
        let bytes: Vec<u8> = BYTES[..16].to_vec();
        for text in [
            "0000   ff ff ff ff ff ff 02 00 00 00 00 01 81 00 00 08   abcdefabcdefabcd",
            "00000000  ff ff ff ff ff ff 02 00  00 00 00 01 81 00 00 08  |................|",
            "0x0000:  ffff ffff ffff 0200 0000 0001 8100 0008  abcdefabcdefabcd",
        ] {
            assert_eq!(frame(text), Ok(bytes.clone()), "{text}");
        }
        assert_eq!(frame("0x0000:  ffff ffff ffff 0200 abcd"), Ok([&BYTES[..8], &[0xab, 0xcd]].concat()));
    }

    #[test]
    fn what_is_no_frame_is_refused_in_words() {
        for (text, said) in [
            ("", "there are no hexadecimal digits in it"),
            (" \n", "there are no hexadecimal digits in it"),
            ("fffg", "'g' is not a hexadecimal digit"),
            ("ffé", "'é' is not a hexadecimal digit"),
            ("fff", "3 digits are no whole number of bytes"),
            ("0x0010:  0806 0001", "the dump starts at offset 0x0010, its lines before that are missing"),
            (
                "0x0000:  ffff ffff\n0x0010:  0806 0001",
                "line 2 of the dump says offset 0x0010, but 4 bytes come before it",
            ),
            (
                "0000  ff ff\nremark\n0000  ff ff",
                "there are 2 frames in the dump; give one of them, or a capture file by --pcap",
            ),
        ] {
            assert_eq!(frame(text).map_err(|error| error.to_string()), Err(said.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn groups_of_digits_are_no_offsets() {
        assert_eq!(frame("0000 5e00 5301"), Ok(vec![0, 0, 0x5e, 0, 0x53, 1]));
        assert_eq!(frame("00005e005301\n0000 5e00"), Ok(vec![0, 0, 0x5e, 0, 0x53, 1, 0, 0, 0x5e, 0]));
        assert_eq!(frame("ffffffff  0200"), Ok(vec![255, 255, 255, 255, 2, 0]));
    }
}
