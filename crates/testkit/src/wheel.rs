//! The Python wheel that contains PANDA, downloaded once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::checkout::scratch;

const WHEEL: &str = "pandare-0.1.1.5-py3-none-any.whl";

/// The path of a PANDA from that wheel in a home.
pub const PANDA: &str = "panda/0.1.1.5";

/// The folder with the wheel.
pub fn wheelhouse() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = scratch().join("wheelhouse");
        if !folder.join(WHEEL).is_file() {
            let mut pip = Command::new("python3");
            pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "pandare==0.1.1.5", "--dest"]);
            crate::run(pip.arg(&folder));
        }
        folder
    })
}

/// The wheel itself.
pub fn wheel() -> PathBuf {
    wheelhouse().join(WHEEL)
}
