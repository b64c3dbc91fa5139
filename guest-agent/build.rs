//! Links the program on its own: no C library, no start files, one segment.

use std::{env, path::Path};

fn main() {
    println!("cargo:rerun-if-changed=agent.ld");
    if env::var_os("CARGO_FEATURE_FREESTANDING").is_none() {
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("agent.ld");
    let linker = env::var("RUSTC_LINKER").unwrap_or_default();
    let for_linker =
        [format!("-T{}", script.display()), "--build-id=none".into(), "--no-eh-frame-hdr".into()];
    if Path::new(&linker).file_stem().is_some_and(|name| name.to_string_lossy().contains("lld")) {
        for argument in for_linker.iter().map(String::as_str).chain(["--no-pie", "-static"]) {
            println!("cargo:rustc-link-arg-bins={argument}");
        }
    } else {
        for argument in ["-nostartfiles", "-nostdlib", "-static", "-no-pie"] {
            println!("cargo:rustc-link-arg-bins={argument}");
        }
        println!("cargo:rustc-link-arg-bins=-Wl,{}", for_linker.join(","));
    }
}
