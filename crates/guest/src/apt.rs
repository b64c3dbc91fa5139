//! Getting packages from Debian with the machine's own apt, which checks what it downloads.

use schemars::JsonSchema;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why there is no package.
#[derive(Debug, thiserror::Error)]
pub enum AptError {
    /// A program is not there.
    #[error("cannot run {program}; guests are made from Debian's packages, on Debian or a derivative")]
    Run {
        /// Which program.
        program: String,
        /// What the system says.
        source: io::Error,
    },
    /// apt knows no such package.
    #[error("apt knows no package {0}; try `sudo apt-get update` first")]
    Unknown(String),
    /// A program failed.
    #[error("`{command}` failed: {said}")]
    Failed {
        /// What was run.
        command: String,
        /// The end of what it said.
        said: String,
    },
    /// The package is not as expected.
    #[error("{package} has no {what}: pandacap does not know this release of Debian")]
    Strange {
        /// The package.
        package: String,
        /// What was looked for.
        what: &'static str,
    },
    /// Files could not be handled.
    #[error("cannot unpack packages in {}", .folder.display())]
    Files {
        /// Where.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// A package that was downloaded and unpacked.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, JsonSchema)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The first package whose name begins with `prefix` among those that `package` depends on.
pub fn dependency(package: &str, prefix: &str) -> Result<String, AptError> {
    let shown =
        run(Command::new("apt-cache").args(["show", "--no-all-versions", package])).map_err(|error| {
            if let AptError::Failed { .. } = error { AptError::Unknown(package.to_owned()) } else { error }
        })?;
    let depends = shown.lines().find_map(|line| line.strip_prefix("Depends: ")).unwrap_or_default();
    depends
        .split([',', '|'])
        .filter_map(|one| one.split_whitespace().next())
        .find(|name| name.starts_with(prefix))
        .map(str::to_owned)
        .ok_or_else(|| AptError::Strange { package: package.to_owned(), what: "such dependency" })
}

/// Downloads `package` and unpacks it into `folder`, which must be there.
pub fn fetch(package: &str, folder: &Path) -> Result<Package, AptError> {
    let files = |source| AptError::Files { folder: folder.to_owned(), source };
    let downloads = tempfile::tempdir_in(folder).map_err(files)?;
    run(Command::new("apt-get").args(["download", package]).current_dir(downloads.path())).map_err(
        |error| match error {
            AptError::Failed { said, .. } if said.contains("Unable to locate") => {
                AptError::Unknown(package.to_owned())
            }
            error => error,
        },
    )?;
    let mut entries = downloads.path().read_dir().map_err(files)?;
    let deb = entries.find_map(|entry| {
        Some(entry.ok()?.path()).filter(|path| path.extension().is_some_and(|e| e == "deb"))
    });
    let Some(deb) = deb else {
        return Err(AptError::Strange { package: package.to_owned(), what: "package file" });
    };
    run(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(folder))?;
    let version = run(Command::new("dpkg-deb").arg("-f").arg(&deb).arg("Version"))?;
    Ok(Package { name: package.to_owned(), version: version.trim().to_owned() })
}

fn run(command: &mut Command) -> Result<String, AptError> {
    let output = command.env("LC_ALL", "C").stdin(Stdio::null()).output().map_err(|source| {
        AptError::Run { program: command.get_program().to_string_lossy().into_owned(), source }
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said.lines().rev().take(3).collect();
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    Err(AptError::Failed {
        command: words.join(" "),
        said: said.into_iter().rev().collect::<Vec<_>>().join("; "),
    })
}
