//! What plugins have written while a trace was replayed, brought to where the user wants it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// How many names are tried for a file whose own is taken.
const TRIES: u32 = 100;

/// A file that has not its own name, or has not been brought at all, and why.
#[derive(Debug, PartialEq, Eq)]
pub struct Odd(pub String);

/// Moves what lies in `work` to the folder `out`. What is there already is replaced only where `arguments` name it: PANDA
/// may be under a trace's control, and a file's name of its choice. On the same disk, nothing is copied.
pub fn bring(work: &Path, out: &Path, arguments: &[String]) -> io::Result<Vec<Odd>> {
    let mut odd = Vec::new();
    let mut paths =
        fs::read_dir(work)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>()?;
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') || name.contains(char::is_control) || !is_plain(&path)? {
            odd.push(Odd(format!("{name:?}, made by a plugin, is not a plain file and was dropped")));
            continue;
        }
        if path.is_file() && arguments.iter().any(|argument| names(argument, &name)) {
            fs::rename(&path, out.join(&name))?;
            continue;
        }
        let others = (1..=TRIES).map(|count| format!("{name}.{count}"));
        for place in std::iter::once(name.clone()).chain(others) {
            match renameat_with(CWD, &path, CWD, out.join(&place), RenameFlags::NOREPLACE) {
                Err(Errno::EXIST) => {}
                renamed => {
                    renamed?;
                    if place != name {
                        odd.push(Odd(format!("{name} already exists: the plugins' file is {place}")));
                    }
                    break;
                }
            }
        }
    }
    Ok(odd)
}

/// Whether it is a file, or a folder with nothing but files and folders in it.
fn is_plain(path: &Path) -> io::Result<bool> {
    let kind = fs::symlink_metadata(path)?.file_type();
    if !kind.is_dir() {
        return Ok(kind.is_file());
    }
    for entry in fs::read_dir(path)? {
        if !is_plain(&entry?.path())? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a plugin's arguments have this as a value.
fn names(argument: &str, name: &str) -> bool {
    argument == name
        || argument.split([':', ',']).any(|pair| pair.split_once('=').is_some_and(|(_, value)| value == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_named_is_replaced_and_what_was_not_is_kept() {
        let out = tempfile::tempdir().expect("a temporary folder");
        let work = tempfile::tempdir_in(out.path()).expect("a temporary folder");
        for (folder, name) in [(out.path(), "seen.csv"), (out.path(), "Makefile")] {
            fs::write(folder.join(name), "mine").expect("written");
        }
        for name in ["seen.csv", "Makefile", "new", ".profile"] {
            fs::write(work.path().join(name), "theirs").expect("written");
        }
        std::os::unix::fs::symlink("/etc", work.path().join("link")).expect("linked");
        fs::create_dir(work.path().join("tree")).expect("made");
        std::os::unix::fs::symlink("/etc", work.path().join("tree/link")).expect("linked");
        let arguments = ["coverage:mode=x,filename=seen.csv".to_owned()];
        let odd = bring(work.path(), out.path(), &arguments).expect("brought");
        let content = |name: &str| fs::read_to_string(out.path().join(name)).ok();
        assert_eq!(content("seen.csv").as_deref(), Some("theirs"));
        assert_eq!(content("Makefile").as_deref(), Some("mine"));
        assert_eq!(content("Makefile.1").as_deref(), Some("theirs"));
        assert_eq!(content("new").as_deref(), Some("theirs"));
        assert!([".profile", "link", "tree"].iter().all(|name| !out.path().join(name).exists()));
        assert_eq!(odd.len(), 4, "{odd:?}");
    }
}
