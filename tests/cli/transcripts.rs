//! The transcripts in the documentation match the output of commands that need no PANDA.

use std::fs;
use std::path::{Path, PathBuf};

use testkit::checkout::root;
use testkit::program::{nowhere, pandacap};
use testkit::transcript::{hold, shown};

use crate::config::configured;
use crate::trace::{LAST, recording, tear};

/// The first block of a page in this language.
fn block(page: &str, language: &str) -> String {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let (_, block) = text.split_once(&format!("```{language}\n")).unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

#[test]
fn the_page_on_bootstrap_folders_matches_the_output() {
    const PAGE: &str = "docs/guide/bootstrap.md";
    let dir = tempfile::tempdir().unwrap();
    let pandacap = |arguments: &[&str]| {
        let mut command = pandacap(nowhere());
        command.current_dir(dir.path()).args(arguments).assert().success().get_output().stdout.clone()
    };
    pandacap(&["bootstrap", "new", "lab"]);
    let listed = shown(PAGE, "find lab -type f");
    let mut expected: Vec<&Path> = listed.lines().map(Path::new).collect();
    expected.sort();
    assert_eq!(files(dir.path(), Path::new("lab")), expected);
    let made = pandacap(&["bootstrap", "render", "lab", "--disk", "lab.img"]);
    // The same content gives the same disk as in the documentation.
    let disk = shown(PAGE, "pandacap bootstrap render lab --disk lab.img");
    assert_eq!(String::from_utf8(made).unwrap().trim_end(), disk);

    let environment = dir.path().join("lab/bootstrap.env.j2");
    let wrong = fs::read_to_string(&environment).unwrap().replace("{{ user", "{{ usr");
    fs::write(environment, wrong).unwrap();
    hold(PAGE, "pandacap bootstrap render lab", dir.path());
}

/// Every file below a folder, in order.
fn files(root: &Path, folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join(folder)).unwrap().map(Result::unwrap) {
        let path = folder.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() { found.extend(files(root, &path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn the_page_on_settings_matches_the_output() {
    const PAGE: &str = "docs/guide/config.md";
    let dir = configured(&block(PAGE, "toml"));
    hold(PAGE, "pandacap config show -- rec --timeout 5 -- true", dir.path());
    let dir = configured("[defaults.rec]\ntimeuot = 3\n");
    hold(PAGE, "pandacap rec -- true", dir.path());
}

#[test]
fn the_page_on_new_plugins_matches_the_output() {
    let dir = tempfile::tempdir().unwrap();
    hold("docs/guide/plugin-new.md", "pandacap plugin new sightings", dir.path());
}

#[test]
fn the_page_on_salvaging_matches_the_output() {
    const PAGE: &str = "docs/guide/trace-salvage.md";
    let dir = recording();
    tear(&dir, LAST + 5);
    for ending in ["rr-snp", "rr-nondet.log"] {
        fs::rename(dir.path().join(format!("boot-{ending}")), dir.path().join(format!("cut-{ending}")))
            .unwrap();
    }
    hold(PAGE, "pandacap trace salvage cut", dir.path());
    hold(PAGE, "pandacap trace salvage cut-salvaged", dir.path());
}
