//! Stamps the version, and compiles PANDA's launcher, which pandacap carries inside itself.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rustc-env=PANDACAP_VERSION={}", version());
    println!("cargo::rerun-if-changed=launcher/main.rs");
    if let Err(problem) = compile_launcher() {
        println!("cargo::error=cannot compile launcher/main.rs: {problem}");
    }
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

/// With rustc itself: cargo cannot build one program into another.
fn compile_launcher() -> Result<(), Box<dyn std::error::Error>> {
    let output = PathBuf::from(env::var("OUT_DIR")?).join("launcher");
    let mut rustc = Command::new(env::var_os("RUSTC").ok_or("cargo has set no RUSTC")?);
    rustc.args(["--edition=2024", "--crate-name=launcher", "--crate-type=bin", "launcher/main.rs"]);
    rustc.args(["-Copt-level=z", "-Clto=fat", "-Cpanic=abort", "-Cstrip=symbols", "-Dwarnings"]);
    rustc.arg("--target").arg(env::var("TARGET")?).arg("-o").arg(output);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut option = OsString::from("-Clinker=");
        option.push(linker);
        rustc.arg(option);
    }
    let status = rustc.status()?;
    status.success().then_some(()).ok_or_else(|| status.to_string().into())
}
