//! Where a program lies: `run` looks before it records, so that a typo costs no recording.

use crate::{
    bytes::Buffer,
    linux::{self, EACCES, ENOENT, Errno},
    slices::split_once,
    strings::Text,
};

/// Where to look when the environment has no `PATH`, as early in a boot.
const DEFAULT_PATH: &[u8] = b"/usr/sbin:/usr/bin:/sbin:/bin";

/// The longest path that Linux takes, its NUL included.
const PATH_MAX: usize = 4096;

/// A program's path, built in place.
pub(crate) struct Path(Buffer<PATH_MAX>);

impl Path {
    pub(crate) fn new() -> Path {
        Path(Buffer::new())
    }

    /// Becomes a program's, as a shell would find it: its name when that has a slash, else the first one
    /// in the folders of `search`.
    pub(crate) fn find(&mut self, name: &[u8], search: &[u8]) -> Result<(), Errno> {
        if split_once(name, b'/').1.is_some() {
            return self.check(b"", b"", name);
        }
        let mut failure = ENOENT;
        let mut folders = Some(if search.is_empty() { DEFAULT_PATH } else { search });
        while let Some(list) = folders {
            let (folder, rest) = split_once(list, b':');
            folders = rest;
            // An empty one is the current folder.
            match self.check(if folder.is_empty() { b"." } else { folder }, b"/", name) {
                Ok(()) => return Ok(()),
                // A later folder may have one that can be executed.
                Err(EACCES) => failure = EACCES,
                Err(_) => {}
            }
        }
        Err(failure)
    }

    pub(crate) fn as_text(&self) -> Text<'_> {
        Text::from(&self.0)
    }

    /// Becomes the path of these parts; whether there is a program.
    fn check(&mut self, folder: &[u8], slash: &[u8], name: &[u8]) -> Result<(), Errno> {
        self.0.truncate(0);
        self.0.push(folder);
        self.0.push(slash);
        self.0.push(name);
        let len = self.0.bytes().len();
        // There has to be room for the slash below.
        if len >= PATH_MAX - 1 {
            return Err(ENOENT);
        }
        linux::is_executable(self.as_text())?;
        // Only a folder is still there with a slash after it.
        self.0.push(b"/");
        let is_folder = linux::exists(self.as_text());
        self.0.truncate(len);
        if is_folder { Err(EACCES) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str) -> Folder {
            let folder = std::env::temp_dir().join(format!("recctrlu-{test}-{}", std::process::id()));
            fs::create_dir_all(&folder).expect("a folder for the test");
            Folder(folder)
        }

        fn file(&self, name: &str, mode: u32) {
            let path = self.0.join(name);
            fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
            fs::write(&path, "").expect("a file");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
        }

        fn find(&self, name: &str, search: &str) -> Result<String, Errno> {
            let root = self.0.to_str().expect("UTF-8");
            let search = search.replace('@', root);
            let mut path = Path::new();
            path.find(name.replace('@', root).as_bytes(), search.as_bytes())?;
            Ok(String::from_utf8_lossy(path.as_text().bytes()).replace(root, "@"))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_first_folder_that_has_it_executable_wins() {
        let folder = Folder::new("path");
        folder.file("a/tool/inside", 0o644);
        folder.file("b/tool", 0o644);
        folder.file("c/tool", 0o755);
        folder.file("d/tool", 0o755);
        let found = folder.find("tool", "@/none:@/a:@/b:@/c:@/d");
        assert_eq!(found.as_deref(), Ok("@/c/tool"));
        assert_eq!(folder.find("tool", "@/a:@/b"), Err(EACCES), "there, but a folder and a plain file");
        assert_eq!(folder.find("missing", "@/a:@/b"), Err(ENOENT));
        assert_eq!(folder.find("", "@/a"), Err(EACCES), "the folder itself");
    }

    #[test]
    fn a_name_with_a_slash_is_taken_as_it_is() {
        let folder = Folder::new("slash");
        folder.file("tool", 0o755);
        folder.file("plain", 0o644);
        assert_eq!(folder.find("@/tool", "/nowhere").as_deref(), Ok("@/tool"));
        assert_eq!(folder.find("@/plain", "@"), Err(EACCES));
        assert_eq!(folder.find("@/none", "@"), Err(ENOENT));
        assert_eq!(folder.find("@/", "@"), Err(EACCES), "a folder");
    }

    #[test]
    fn a_path_that_linux_would_not_take_is_not_found() {
        let long = vec![b'x'; 5000];
        assert_eq!(Path::new().find(&long, b""), Err(ENOENT));
        assert_eq!(Path::new().find(b"sh", &long), Err(ENOENT));
    }

    #[test]
    fn without_a_path_the_usual_folders_are_searched() {
        assert!(Path::new().find(b"sh", b"").is_ok());
    }
}
