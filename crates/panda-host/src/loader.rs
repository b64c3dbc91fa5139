//! Which libraries PANDA needs, and which of them the dynamic loader finds.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, Sym};
use object::{LittleEndian, SymbolIndex};

use crate::standin::{StandIn, Symbol};
use rr_log::Target;

/// Where every x86_64 Linux has its dynamic loader.
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

/// Libraries that PANDA cannot work without, with the Debian package that brings each.
const REAL: [(&str, &str); 14] = [
    ("ld-linux-x86-64.so.2", "libc6"),
    ("libc.so.6", "libc6"),
    ("libdl.so.2", "libc6"),
    ("libm.so.6", "libc6"),
    ("libpthread.so.0", "libc6"),
    ("librt.so.1", "libc6"),
    ("libutil.so.1", "libc6"),
    ("libgcc_s.so.1", "libgcc-s1"),
    ("libstdc++.so.6", "libstdc++6"),
    ("libglib-2.0.so.0", "libglib2.0-0"),
    ("libgobject-2.0.so.0", "libglib2.0-0"),
    // Every PANDA initialises it, and draws random numbers from it.
    ("libgnutls.so.30", "libgnutls30"),
    ("libpixman-1.so.0", "libpixman-1-0"),
    ("libz.so.1", "zlib1g"),
];

/// The same for the machines whose device tree PANDA makes itself.
const REAL_DEVICE_TREE: (&str, &str) = ("libfdt.so.1", "libfdt1");

/// Why the libraries could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum LoaderError {
    /// A library could not be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The library.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// A library is not what it should be.
    #[error("{} is not a whole shared library", .path.display())]
    Malformed {
        /// The library.
        path: PathBuf,
        /// What is wrong with it.
        source: object::read::Error,
    },
    /// The dynamic loader could not be run.
    #[error("cannot run the dynamic loader {LOADER}; PANDA needs an x86_64 Linux with glibc")]
    Loader(#[source] io::Error),
}

/// The libraries that one libpanda asks for, as this machine has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Libraries {
    /// Asked for by libpanda, and not there or there without the version asked for; sorted.
    pub missing: Vec<String>,
    /// Those that would be loaded, dependencies of dependencies included.
    pub present: Vec<PathBuf>,
}

impl Libraries {
    /// Asks the dynamic loader; nothing is loaded and no code of the libraries is run.
    pub fn of(libpanda: &Path) -> Result<Libraries, LoaderError> {
        let output = Command::new(LOADER)
            .arg(libpanda)
            .env("LD_TRACE_LOADED_OBJECTS", "1")
            .env_remove("LD_PRELOAD")
            .stdin(Stdio::null())
            .output()
            .map_err(LoaderError::Loader)?;
        let mut libraries = Libraries::parse(&String::from_utf8_lossy(&output.stdout));
        let late = Libraries::parse(&String::from_utf8_lossy(&output.stderr));
        libraries.missing.extend(late.missing);
        let needed = needed(libpanda)?;
        libraries.missing.retain(|soname| needed.contains(soname));
        libraries.missing.sort_unstable();
        libraries.missing.dedup();
        Ok(libraries)
    }

    /// Reads the loader's lines: `NAME => PATH (ADDRESS)`, `NAME => not found`, and
    /// `PATH: version `V' not found (required by PATH)`.
    fn parse(text: &str) -> Libraries {
        let mut libraries = Libraries::default();
        for line in text.lines().map(str::trim) {
            if let Some((name, place)) = line.split_once(" => ") {
                match place.rsplit_once(" (0x") {
                    Some((path, _)) => libraries.present.push(path.into()),
                    None => libraries.missing.push(name.to_owned()),
                }
            } else if let Some((path, _)) = line.split_once(": version `")
                && let Some(name) = Path::new(path).file_name()
            {
                libraries.missing.push(name.to_string_lossy().into_owned());
            }
        }
        libraries
    }

    /// The packages to install before PANDA can work for `target`, where stand-ins would not do.
    pub fn packages(&self, target: Target) -> BTreeSet<&'static str> {
        let device_tree = matches!(target, Target::Arm | Target::Aarch64);
        REAL.iter()
            .chain(device_tree.then_some(&REAL_DEVICE_TREE))
            .filter(|(soname, _)| self.missing.iter().any(|missing| missing == soname))
            .map(|(_, package)| *package)
            .collect()
    }

    /// The stand-in for each missing library.
    ///
    /// An import without a version says nothing about its library: those that no library here defines go into
    /// the first stand-in that has no versions, for libpanda takes them from any library that it loads.
    pub fn stand_ins(&self, libpanda: &Path) -> Result<Vec<StandIn>, LoaderError> {
        let mut stand_ins: BTreeMap<&str, StandIn> =
            self.missing.iter().map(|soname| (soname.as_str(), StandIn::of(soname))).collect();
        let mut unversioned: BTreeMap<String, Symbol> = BTreeMap::new();
        for import in imports(libpanda)? {
            match import.library {
                Some(library) => {
                    if let Some(stand_in) = stand_ins.get_mut(library.as_str()) {
                        stand_in.symbols.push(import.symbol);
                    }
                }
                None if !import.weak => {
                    unversioned.insert(import.symbol.name.clone(), import.symbol);
                }
                None => {}
            }
        }
        for library in &self.present {
            for name in exports(library)? {
                unversioned.remove(&name);
            }
        }
        let mut stand_ins: Vec<StandIn> = stand_ins.into_values().collect();
        let candidates: Vec<&StandIn> = stand_ins.iter().filter(|one| one.symbols.is_empty()).collect();
        let label = candidates.iter().map(|one| one.soname.as_str()).collect::<Vec<_>>().join(", ");
        if let Some(first) = stand_ins.iter_mut().find(|one| one.symbols.is_empty()) {
            first.label = format!("one of {label}");
            first.symbols = unversioned.into_values().collect();
        }
        Ok(stand_ins)
    }
}

/// Something that a library asks of others.
struct Import {
    symbol: Symbol,
    /// The library that it is asked of; unknown where it is asked for without a version.
    library: Option<String>,
    /// It may stay undefined.
    weak: bool,
}

fn needed(path: &Path) -> Result<BTreeSet<String>, LoaderError> {
    with_elf(path, |file, data| {
        let endian = LittleEndian;
        let sections = file.sections(endian, data)?;
        let Some((entries, strings)) = sections.dynamic(endian, data)? else { return Ok(BTreeSet::new()) };
        let strings = sections.strings(endian, data, strings)?;
        let names = entries.iter().filter(|entry| entry.d_tag.get(endian) == u64::from(elf::DT_NEEDED));
        Ok(names.filter_map(|entry| strings.get(entry.d_val.get(endian) as u32).ok()).map(text).collect())
    })
}

fn imports(path: &Path) -> Result<Vec<Import>, LoaderError> {
    with_elf(path, |file, data| {
        let endian = LittleEndian;
        let sections = file.sections(endian, data)?;
        let symbols = sections.symbols(endian, data, elf::SHT_DYNSYM)?;
        let versions = sections.versions(endian, data)?.unwrap_or_default();
        let mut imports = Vec::new();
        for (index, symbol) in symbols.enumerate() {
            if !symbol.is_undefined(endian) || symbol.st_bind() == elf::STB_LOCAL {
                continue;
            }
            let version = versions.version(versions.version_index(endian, SymbolIndex(index.0)))?;
            imports.push(Import {
                symbol: Symbol {
                    name: text(symbol.name(endian, symbols.strings())?),
                    version: version.map(|version| text(version.name())),
                    data: symbol.st_type() == elf::STT_OBJECT,
                },
                library: version.and_then(|version| version.file()).map(text),
                weak: symbol.st_bind() == elf::STB_WEAK,
            });
        }
        Ok(imports)
    })
}

fn exports(path: &Path) -> Result<Vec<String>, LoaderError> {
    with_elf(path, |file, data| {
        let endian = LittleEndian;
        let sections = file.sections(endian, data)?;
        let symbols = sections.symbols(endian, data, elf::SHT_DYNSYM)?;
        let defined = symbols.iter().filter(|symbol| !symbol.is_undefined(endian));
        defined.map(|symbol| Ok(text(symbol.name(endian, symbols.strings())?))).collect()
    })
}

fn with_elf<T>(
    path: &Path,
    read: impl FnOnce(&FileHeader64<LittleEndian>, &[u8]) -> object::read::Result<T>,
) -> Result<T, LoaderError> {
    let data = std::fs::read(path).map_err(|source| LoaderError::Read { path: path.to_owned(), source })?;
    FileHeader64::<LittleEndian>::parse(&*data)
        .and_then(|file| read(file, &data))
        .map_err(|source| LoaderError::Malformed { path: path.to_owned(), source })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loaders_lines_tell_what_is_there_and_what_is_not() {
        let libraries = Libraries::parse(
            "\tlinux-vdso.so.1 (0x00007fe411588000)\n\
             \tlibgbm.so.1 => /lib/x86_64-linux-gnu/libgbm.so.1 (0x00007fe411566000)\n\
             \tlibepoxy.so.0 => not found\n\
             ./x: /opt/lib/libnettle.so.7: version `NETTLE_7' not found (required by ./x)\n\
             \t/lib64/ld-linux-x86-64.so.2 (0x00007fe41158a000)\n",
        );
        assert_eq!(libraries.missing, ["libepoxy.so.0", "libnettle.so.7"]);
        assert_eq!(libraries.present, [Path::new("/lib/x86_64-linux-gnu/libgbm.so.1")]);
    }

    #[test]
    fn a_library_that_must_be_real_is_asked_for_by_its_package() {
        let missing = ["libepoxy.so.0", "libfdt.so.1", "libz.so.1"].map(str::to_owned).to_vec();
        let libraries = Libraries { missing, present: Vec::new() };
        assert_eq!(libraries.packages(Target::X86_64), BTreeSet::from(["zlib1g"]));
        assert_eq!(libraries.packages(Target::Arm), BTreeSet::from(["libfdt1", "zlib1g"]));
    }
}
