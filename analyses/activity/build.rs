//! Keeps the plugin in memory once it is loaded.

fn main() {
    // PANDA unloads plugins while the virtual processor's thread may still be in one of their callbacks.
    println!("cargo:rustc-link-arg-cdylib=-Wl,-z,nodelete");
    println!("cargo:rerun-if-changed=build.rs");
}
