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
    for file in [".git/HEAD", ".git/refs/heads"].into_iter().filter(|file| Path::new(file).exists()) {
        println!("cargo::rerun-if-changed={file}");
    }
    let git = Command::new("git").args(["rev-parse", "--short=10", "HEAD"]).output();
    match git {
        Ok(output) if output.status.success() => {
            format!("{version} ({})", String::from_utf8_lossy(&output.stdout).trim())
        }
        _ => version,
    }
}
