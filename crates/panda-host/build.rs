//! Compiles PANDA's launcher, which the crate carries inside itself.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=launcher/main.rs");
    if let Err(problem) = compile_launcher() {
        println!("cargo::error=cannot compile launcher/main.rs: {problem}");
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
