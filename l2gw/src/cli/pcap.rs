//! Reads the frames of a capture file in the classic pcap format (draft-ietf-opsawg-pcap): byte order and time resolution
//! by the magic number, then records.

use std::path::Path;

use agent::regular::read_bytes;

/// The frames of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// The bytes of each frame, as far as they were captured.
    pub frames: Vec<Vec<u8>>,
    /// Said of the file as a whole, such as that its last record is cut short.
    pub remark: Option<String>,
}

/// Why a capture cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PcapError {
    /// The file cannot be read.
    #[error("{path}: {why}")]
    Unreadable {
        /// Its path.
        path: String,
        /// Why not, such as `is a device, allowed is a regular file`.
        why: String,
    },
    /// It ends inside its header.
    #[error(
        "{path} ends inside its header: it has {}, and the header of a pcap capture has {FILE_HEADER_LEN}",
        bytes_in_words(*.bytes)
    )]
    Cut {
        /// The file's path.
        path: String,
        /// How many bytes there are.
        bytes: usize,
    },
    /// Another format.
    #[error(
        "{path} is not a pcap capture: its first bytes are {magic:02x?}, pcap starts with a1b2c3d4 or a1b23c4d in either byte order (convert pcapng by `tcpdump -r IN -w OUT`)"
    )]
    Format {
        /// The file's path.
        path: String,
        /// Its first bytes.
        magic: Vec<u8>,
    },
    /// Frames of another kind.
    #[error("{path} holds frames of link type {link_type}, only 1 (Ethernet) can be traced")]
    LinkType {
        /// The file's path.
        path: String,
        /// The number from the header.
        link_type: u32,
    },
}

/// Reads a capture file.
///
/// # Errors
/// Unreadable, no regular file or more than 64 MiB, another format, or not Ethernet. A cut last record is a remark, not an error.
pub fn read(path: &Path) -> Result<Capture, PcapError> {
    let name = path.display().to_string();
    let bytes =
        read_bytes(path, MAX_BYTES).map_err(|why| PcapError::Unreadable { path: name.clone(), why })?;
    parse(&name, &bytes)
}

/// Reads the bytes of a capture file.
///
/// # Errors
/// As for [`read`].
pub fn parse(name: &str, bytes: &[u8]) -> Result<Capture, PcapError> {
    let path = || name.to_owned();
    let Some(magic) = bytes.get(..MAGIC_LEN) else {
        return Err(PcapError::Cut { path: path(), bytes: bytes.len() });
    };
    let read_u32: fn([u8; 4]) -> u32 = match magic {
        [0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1] => u32::from_le_bytes,
        [0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d] => u32::from_be_bytes,
        _ => return Err(PcapError::Format { path: path(), magic: magic.to_vec() }),
    };
    let word = |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map(read_u32);
    let Some(link_type) = word(LINK_TYPE_AT).map(|word| word & 0xffff) else {
        return Err(PcapError::Cut { path: path(), bytes: bytes.len() });
    };
    if link_type != ETHERNET {
        return Err(PcapError::LinkType { path: path(), link_type });
    }
    let mut capture = Capture { frames: Vec::new(), remark: None };
    let mut at = FILE_HEADER_LEN;
    while at < bytes.len() {
        let frame = word(at + CAPTURED_LEN_AT)
            .and_then(|len| bytes.get(at + RECORD_HEADER_LEN..)?.get(..len as usize));
        let Some(frame) = frame else {
            let cut = match word(at + CAPTURED_LEN_AT) {
                Some(len) if bytes.len() >= at + RECORD_HEADER_LEN => {
                    let there = bytes_in_words(bytes.len() - at - RECORD_HEADER_LEN);
                    format!(
                        "the record at byte {at} is cut short: it says {len} bytes, and there follow {there}"
                    )
                }
                _ => format!("the record at byte {at} is cut short inside its header"),
            };
            capture.remark = Some(format!("{name}: {cut}; the frames before it were read"));
            break;
        };
        capture.frames.push(frame.to_vec());
        at += RECORD_HEADER_LEN + frame.len();
    }
    Ok(capture)
}

fn bytes_in_words(bytes: usize) -> String {
    match bytes {
        0 => "no byte".to_owned(),
        1 => "1 byte".to_owned(),
        bytes => format!("{bytes} bytes"),
    }
}

/// Most bytes of a capture: each of its frames becomes a line.
const MAX_BYTES: u64 = 64 << 20;
const FILE_HEADER_LEN: usize = 24;
const MAGIC_LEN: usize = 4;
const LINK_TYPE_AT: usize = 20;
const RECORD_HEADER_LEN: usize = 16;
const CAPTURED_LEN_AT: usize = 8;
const ETHERNET: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn file(frames: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
        bytes.extend([0; 8]);
        bytes.extend(65535_u32.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        for frame in frames {
            bytes.extend([0; 8]);
            bytes.extend((frame.len() as u32).to_le_bytes());
            bytes.extend((frame.len() as u32).to_le_bytes());
            bytes.extend(*frame);
        }
        bytes
    }

    #[test]
    fn reads_each_record() {
        let capture = parse("x.pcap", &file(&[&[1, 2, 3], &[]])).unwrap();
        assert_eq!(capture.frames, vec![vec![1, 2, 3], vec![]]);
        assert_eq!(capture.remark, None);
    }

    #[test]
    fn a_cut_record_is_remarked_and_the_rest_kept() {
        let whole = file(&[&[1, 2, 3], &[4, 5, 6]]);
        for len in 24 + 19 + 1..whole.len() {
            let capture = parse("x.pcap", &whole[..len]).unwrap();
            assert_eq!(capture.frames, vec![vec![1, 2, 3]], "{len}");
            let remark = capture.remark.unwrap();
            let expected = match len - 43 {
                1..16 => "x.pcap: the record at byte 43 is cut short inside its header; the frames before it were read".to_owned(),
                more => format!(
                    "x.pcap: the record at byte 43 is cut short: it says 3 bytes, and there follow {}; the frames before it were read",
                    bytes_in_words(more - 16)
                ),
            };
            assert_eq!(remark, expected, "{len}");
        }
    }

    #[test]
    fn a_header_that_is_cut_says_how_much_of_it_there_is() {
        let whole = file(&[]);
        for magic in [[0xd4, 0xc3, 0xb2, 0xa1], [0xa1, 0xb2, 0xc3, 0xd4], [0xa1, 0xb2, 0x3c, 0x4d]] {
            for len in 0..FILE_HEADER_LEN {
                let bytes = [&magic, &whole[4..]].concat();
                let error = parse("x.pcap", &bytes[..len]).unwrap_err().to_string();
                let expected = format!(
                    "x.pcap ends inside its header: it has {}, and the header of a pcap capture has 24",
                    bytes_in_words(len)
                );
                assert_eq!(error, expected);
            }
        }
        assert_eq!(parse("x.pcap", &whole).unwrap().frames, Vec::<Vec<u8>>::new());
    }

    #[test]
    fn another_format_is_named() {
        let error = parse("x.pcapng", &[0x0a, 0x0d, 0x0d, 0x0a]).unwrap_err().to_string();
        assert!(error.contains("pcapng"), "{error}");
    }
}
