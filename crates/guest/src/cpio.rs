//! Writing cpio archives in the `newc` format, the one that Linux reads an initramfs from.

/// An archive under construction: the same entries give the same bytes.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;

impl Archive {
    /// Adds a folder, which has to come before what is in it.
    pub fn folder(self, path: &str) -> Archive {
        self.entry(path, FOLDER | 0o755, &[])
    }

    /// Adds a file with its content (less than 4 GiB); `mode` is its permissions.
    pub fn file(self, path: &str, mode: u32, content: &[u8]) -> Archive {
        self.entry(path, FILE | mode, content)
    }

    /// The archive's bytes. Archives can be concatenated.
    pub fn finish(mut self) -> Vec<u8> {
        self.entries = 0;
        self.entry("TRAILER!!!", 0, &[]).bytes
    }

    fn entry(mut self, path: &str, mode: u32, content: &[u8]) -> Archive {
        let inode = self.entries;
        self.entries += 1;
        // inode, mode, uid, gid, links, mtime, size, device, device node, name's size, checksum
        let fields = [inode, mode, 0, 0, 1, 0, content.len() as u32, 0, 0, 0, 0, path.len() as u32 + 1, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
        self
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn archive() -> Vec<u8> {
        Archive::default().folder("bin").file("bin/odd", 0o755, b"12345").file("empty", 0o600, b"").finish()
    }

    #[test]
    fn another_reader_finds_what_was_packed() {
        let archive = archive();
        let (mut rest, mut seen) = (archive.as_slice(), Vec::new());
        loop {
            let mut reader = cpio::NewcReader::new(rest).expect("an entry");
            if reader.entry().is_trailer() {
                break;
            }
            let mut content = String::new();
            reader.read_to_string(&mut content).expect("its content");
            seen.push((reader.entry().name().to_owned(), reader.entry().mode(), content));
            rest = reader.finish().expect("the next one");
        }
        let entry = |name: &str, mode, content: &str| (name.to_owned(), mode, content.to_owned());
        assert_eq!(
            seen,
            [entry("bin", 0o40755, ""), entry("bin/odd", 0o100755, "12345"), entry("empty", 0o100600, "")]
        );
    }

    #[test]
    fn the_same_entries_give_the_same_aligned_bytes() {
        assert_eq!(archive(), archive());
        assert_eq!(archive().len() % 4, 0);
    }
}
