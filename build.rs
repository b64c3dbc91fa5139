//! Stamps the version.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=PANDACAP_VERSION={}", version());
}

/// The package's version, with the commit where there is one: a source archive has none.
fn version() -> String {
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    // In a worktree they are not below .git.
    for name in ["HEAD", "refs/heads"] {
        if let Some(file) = git(&["--git-path", name]).filter(|file| Path::new(file).exists()) {
            println!("cargo::rerun-if-changed={file}");
        }
    }
    match git(&["--short=10", "HEAD"]) {
        Some(commit) => format!("{version} ({commit})"),
        None => version,
    }
}

/// What `git rev-parse` answers.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("rev-parse").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
