//! Running a bootstrap folder's scripts right here, which is how a container is bootstrapped.

use std::process::{Command, Stdio};

use super::{Bootstrap, BootstrapError, FAILED};

/// How much of what the scripts said is told if one fails, in lines.
const TOLD: usize = 20;

/// Renders the folder, and runs its scripts in their order. What they need of the rendered folder is gone afterwards.
pub fn run_here(bootstrap: Bootstrap<'_>) -> Result<(), BootstrapError> {
    let folder = tempfile::tempdir().map_err(BootstrapError::file("make", &std::env::temp_dir()))?;
    bootstrap.render(folder.path())?;
    let runner = folder.path().join("bootstrap.sh");
    let mut command = Command::new("/bin/sh");
    command.arg(&runner).stdin(Stdio::null());
    log::info!("running the container scripts of {}", bootstrap.source.display());
    let output = command.output().map_err(BootstrapError::file("run", &runner))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().collect();
    let failed = lines.iter().rev().find_map(|line| line.strip_prefix(FAILED)).map_or_else(
        || output.status.to_string(),
        |failed| failed.replacen(" status ", " failed with status ", 1),
    );
    let others = lines.iter().copied().filter(|line| !line.starts_with(FAILED));
    let said = files::last(others, TOLD).join("\n  ");
    Err(BootstrapError::Container { failed, said })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstrap::Place;
    use std::fs;
    use std::path::Path;

    fn folder(scripts: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("scripts")).expect("made");
        fs::write(folder.path().join("variables.toml"), "user = \"o'brien\"\n").expect("written");
        fs::write(folder.path().join("bootstrap.env.j2"), "WHO={{ user | sh }}\n").expect("written");
        for (name, text) in scripts {
            fs::write(folder.path().join("scripts").join(name), text).expect("written");
        }
        folder
    }

    fn run(source: &Path, place: Place) -> Result<(), BootstrapError> {
        run_here(Bootstrap { source, settings: &[], place })
    }

    #[test]
    fn scripts_for_containers_run_in_order_with_the_folders_variables() {
        let out = tempfile::tempdir().expect("a temporary folder");
        let into = out.path().join("out");
        let note = |what: &str| format!("#!/bin/sh\necho \"{what} $WHO\" >> {}\n", into.display());
        let (second, first, machine) = (note("second"), note("first"), note("machine"));
        let scripts = [("docker_20_b.sh", &*second), ("10_a.sh", &*first), ("vm_15_x.sh", &*machine)];
        run(folder(&scripts).path(), Place::Docker).expect("ran");
        assert_eq!(fs::read_to_string(&into).expect("read"), "first o'brien\nsecond o'brien\n");
    }

    #[test]
    fn the_first_script_that_fails_ends_it_and_is_told_with_what_it_said() {
        let scripts = [
            ("docker_10_bad.sh", "#!/bin/sh\necho no such luck\nexit 7\n"),
            ("20_never.sh", "#!/bin/sh\necho never\n"),
        ];
        let error = run(folder(&scripts).path(), Place::Docker).expect_err("failed").to_string();
        assert!(error.contains("10_bad.sh failed with status 7"), "{error}");
        assert!(error.contains("no such luck") && !error.contains("never"), "{error}");
    }
}
