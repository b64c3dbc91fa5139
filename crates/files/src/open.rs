//! Files that others made: opened only if they are plain ones, and copied without what else they carry.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file to read, and waits for no pipe's other end.
pub fn open(path: &Path) -> io::Result<File> {
    regular(path, OFlags::empty())
}

/// The same, unless the path's last part is a link: what is in a stranger's folder may point anywhere.
pub fn open_unlinked(path: &Path) -> io::Result<File> {
    regular(path, OFlags::NOFOLLOW).map_err(|error| match error.raw_os_error() {
        Some(code) if code == rustix::io::Errno::LOOP.raw_os_error() => io::Error::other("it is a link"),
        _ => error,
    })
}

fn regular(path: &Path, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("not a regular file")),
    }
}

/// Copies what is in a regular file into a new one, and never its mode: with set-user-ID it would run as us.
pub fn copy(from: &Path, to: &Path) -> io::Result<u64> {
    io::copy(&mut open(from)?, &mut File::create_new(to)?)
}

/// Reads a file, up to one byte more than `most`: a longer result has too much in it, whatever the file's size.
pub fn read_up_to(file: File, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    #[test]
    fn a_copy_has_the_content_and_the_mode_of_any_new_file() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let [from, to, fresh] = ["from", "to", "fresh"].map(|name| dir.path().join(name));
        fs::write(&from, "content").expect("written");
        fs::write(&fresh, "").expect("written");
        fs::set_permissions(&from, Permissions::from_mode(0o4777)).expect("set");
        assert_eq!(copy(&from, &to).expect("copied"), 7);
        let mode = |path| fs::metadata(path).expect("there").mode();
        assert_eq!((fs::read(&to).expect("read"), mode(&to)), (b"content".to_vec(), mode(&fresh)));
        assert!(copy(&from, &to).is_err(), "what is there is not overwritten");
    }

    #[test]
    fn only_regular_files_are_opened_and_links_only_where_they_may_lead() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let [file, link] = ["file", "link"].map(|name| dir.path().join(name));
        fs::write(&file, "").expect("written");
        symlink(&file, &link).expect("made");
        assert!(open(&link).is_ok() && open_unlinked(&file).is_ok());
        assert_eq!(open_unlinked(&link).expect_err("a link").to_string(), "it is a link");
        for other in [dir.path(), Path::new("/dev/null")] {
            assert_eq!(open(other).expect_err("no file").to_string(), "not a regular file");
        }
    }
}
