//! PANDA plugins, built as users build them.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::checkout::{root, scratch, target};
use crate::run;

/// Compiles a C plugin from its path in the checkout.
pub fn in_c(source: &str) -> tempfile::TempPath {
    let plugin = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC"]);
    cc.arg("-I").arg(root().join("plugin/include")).arg("-I").arg(root().join("panda-sys/include"));
    run(cc.arg("-o").arg(&plugin).arg(root().join(source)));
    plugin
}

/// A plugin of `examples/`.
pub fn example(name: &str) -> PathBuf {
    member(&format!("example-{name}"), name)
}

/// A plugin of `analyses/`.
pub fn analysis(name: &str) -> PathBuf {
    member(&format!("analysis-{name}"), name)
}

fn member(package: &str, name: &str) -> PathBuf {
    let mut cargo = cargo();
    cargo.args(["build", "--quiet", "-p", package, "--target-dir"]).arg(target());
    run(cargo.current_dir(root()));
    target().join(format!("debug/libpanda_{name}.so"))
}

/// A plugin in its own folder, as `pandacap plugin new` creates it. Common dependencies are built once.
pub fn own(name: &str, folder: &Path) -> PathBuf {
    let built = scratch().join("plugin-new");
    let mut cargo = cargo();
    cargo.args(["build", "--release", "--quiet", "--offline", "--target-dir"]).arg(&built);
    run(cargo.current_dir(folder));
    built.join(format!("release/libpanda_{name}.so"))
}

/// The cargo that runs the test.
fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
