//! Paths of the build machine that are left in a PANDA, and from which it would load files.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use object::LittleEndian;
use object::elf::{self, FileHeader64};
use object::read::elf::FileHeader;

use crate::loader::LoaderError;

/// The end of the path of QEMU's configuration, which it reads by default.
const CONFIGURATION: &[u8] = b"/qemu.conf\0";
/// The size of an entry of ELF's dynamic section, and of the tag before its value.
const TAG: usize = 8;

/// The paths from which PANDA would load files and which other users of this machine can make: those that the build
/// left in `code`, PANDA's program or library, and in its plugins.
pub fn exposed_paths(code: &Path, plugins: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = configurations(&fs::read(code)?);
    for plugin in libraries(plugins)? {
        let data = fs::read(plugin)?;
        paths.extend(runpath(&data).ok().flatten().map(|(_, path)| path));
    }
    Ok(paths.into_iter().filter(|path| path.is_absolute() && is_exposed(path)).collect())
}

/// Whether what exists of a path belongs to another user, or others may write to it.
fn is_exposed(path: &Path) -> bool {
    let there = path.ancestors().find_map(|path| fs::symlink_metadata(path).ok());
    let own = rustix::process::geteuid().as_raw();
    there.is_some_and(|there| (there.uid() != 0 && there.uid() != own) || there.mode() & 0o022 != 0)
}

/// The plugin without its DT_RUNPATH; none where it has none.
pub(super) fn without_runpath(plugin: &Path) -> Result<Option<Vec<u8>>, LoaderError> {
    let mut data =
        fs::read(plugin).map_err(|source| LoaderError::Read { path: plugin.to_owned(), source })?;
    let found = runpath(&data)
        .map_err(|source| LoaderError::Malformed { path: plugin.to_owned(), source })?
        .filter(|(_, path)| !path.as_os_str().is_empty());
    let Some((at, _)) = found else { return Ok(None) };
    // Every table of strings begins with the empty one.
    data[at + TAG..at + 2 * TAG].fill(0);
    Ok(Some(data))
}

/// The plugins in a folder, which need not exist.
pub(super) fn libraries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "so")).collect())
}

/// Every path of a `qemu.conf` in a program.
fn configurations(code: &[u8]) -> BTreeSet<PathBuf> {
    let ends = code.windows(CONFIGURATION.len()).enumerate().filter(|(_, bytes)| *bytes == CONFIGURATION);
    ends.filter_map(|(at, _)| {
        let begin = code[..at].iter().rposition(|byte| !(b' '..=b'~').contains(byte))? + 1;
        std::str::from_utf8(&code[begin..at + CONFIGURATION.len() - 1]).ok().map(PathBuf::from)
    })
    .collect()
}

/// A library's DT_RUNPATH: where its entry is in the file, and what it says.
fn runpath(data: &[u8]) -> object::read::Result<Option<(usize, PathBuf)>> {
    let endian = LittleEndian;
    let file = FileHeader64::<LittleEndian>::parse(data)?;
    let sections = file.sections(endian, data)?;
    let Some((entries, strings)) = sections.dynamic(endian, data)? else { return Ok(None) };
    let strings = sections.strings(endian, data, strings)?;
    let Some(entry) = entries.iter().find(|entry| entry.d_tag.get(endian) == u64::from(elf::DT_RUNPATH))
    else {
        return Ok(None);
    };
    let at = std::ptr::from_ref(entry).addr() - data.as_ptr().addr();
    let path = strings.get(entry.d_val.get(endian) as u32).unwrap_or_default();
    Ok(Some((at, String::from_utf8_lossy(path).into_owned().into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_configuration_in_a_home_is_found_among_other_strings() {
        let code = b"\0/usr/local/etc/qemu/qemu.conf\0x\0/home/me/etc/qemu.conf\0qemu.conf\0";
        let found: Vec<_> = configurations(code).into_iter().collect();
        assert_eq!(found, [Path::new("/home/me/etc/qemu.conf"), Path::new("/usr/local/etc/qemu/qemu.conf")]);
    }

    #[test]
    fn a_path_that_others_can_make_is_exposed() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        assert!(!is_exposed(&dir.path().join("a/b")) && !is_exposed(Path::new("/nosuch/b")));
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("set");
        assert!(is_exposed(&dir.path().join("a/b")));
    }
}
