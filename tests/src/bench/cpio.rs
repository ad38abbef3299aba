//! An initramfs: an archive of cpio's "newc" kind (Documentation/driver-api/early-userspace/buffer-format.rst).

use std::path::{Component, Path};

/// An archive in the making. The directories of a file are made with the first file in them.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    directories: Vec<String>,
    entries: u32,
}

impl Archive {
    /// Adds a file of which everyone may read and run `content`; `path` is absolute.
    pub fn add_file(&mut self, path: &Path, content: &[u8]) {
        let mut directory = String::new();
        let parents = path.parent().into_iter().flat_map(Path::components);
        for component in parents.filter(|component| matches!(component, Component::Normal(_))) {
            if !directory.is_empty() {
                directory.push('/');
            }
            directory.push_str(&component.as_os_str().to_string_lossy());
            self.add_directory(&directory);
        }
        self.add(path.to_string_lossy().trim_start_matches('/'), FILE, content);
    }

    /// Adds an empty directory; `path` without the leading slash.
    pub fn add_directory(&mut self, path: &str) {
        if !self.directories.iter().any(|known| known == path) {
            self.directories.push(path.to_owned());
            self.add(path, DIRECTORY, &[]);
        }
    }

    /// The archive's bytes.
    pub fn finish(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn add(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let (size, name_size) = (content.len() as u32, name.len() as u32 + 1);
        // ino, mode, uid, gid, nlink, mtime, filesize, four device numbers, namesize, check.
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        self.bytes.extend(b"070701");
        fields.iter().for_each(|field| self.bytes.extend(format!("{field:08x}").bytes()));
        self.bytes.extend(name.bytes().chain([0]));
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

const FILE: u32 = 0o100_755;
const DIRECTORY: u32 = 0o040_755;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_header_a_name_and_the_content_each_padded_to_four() {
        let mut archive = Archive::default();
        archive.add_file(Path::new("/a/b"), b"12345");
        let bytes = archive.finish();
        let text = String::from_utf8_lossy(&bytes);
        let starts: Vec<usize> = text.match_indices("070701").map(|(at, _)| at).collect();
        assert!(starts.iter().all(|at| at % 4 == 0), "{starts:?}");
        assert_eq!(starts.len(), 3, "directory, file and trailer");
        assert_eq!(&text[starts[0] + 110..starts[0] + 112], "a\0");
        assert_eq!(&text[starts[1] + 54..starts[1] + 62], "00000005");
        assert_eq!(&bytes[starts[1] + 116..starts[1] + 121], b"12345");
    }
}
