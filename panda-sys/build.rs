//! Generates the bindings from our own header and compiles the C shim.

use std::{env, error::Error, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo:rerun-if-changed=include");
    println!("cargo:rerun-if-changed=shim");

    let header = |path: &str| {
        bindgen::Builder::default()
            .header(path)
            .clang_arg("-Iinclude")
            .use_core()
            .layout_tests(true)
            .wrap_unsafe_ops(true)
            .rust_edition(bindgen::RustEdition::Edition2024)
    };
    // PANDA is in the process that loads the plugin, in one version or another: every symbol is looked up there,
    // and one that is missing is an answer, not a failure to load.
    header("include/panda_abi.h")
        .allowlist_file("include/panda_abi.h")
        .dynamic_library_name("Panda")
        .dynamic_link_require_all(false)
        .generate()?
        .write_to_file(out.join("abi.rs"))?;
    header("shim/gate.h")
        .allowlist_file("shim/gate.h")
        .blocklist_type("CPUState")
        .raw_line("use super::CPUState;")
        .generate()?
        .write_to_file(out.join("gate.rs"))?;

    cc::Build::new()
        .file("shim/gate.c")
        .include("include")
        .opt_level(2)
        .warnings(true)
        .compile("pandacap_gate");
    Ok(())
}
