//! Pages of the documentation that name parts of the code are up to date.

use std::fs;
use std::path::{Path, PathBuf};

use testkit::checkout::root;

/// The modules in a folder of sources: files, and folders with a `mod.rs`.
fn modules(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let modules = names.filter(|path| match path.is_dir() {
        true => path.join("mod.rs").exists(),
        false => path.extension().is_some_and(|extension| extension == "rs"),
    });
    let mut names: Vec<String> =
        modules.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.retain(|name| !matches!(&**name, "lib" | "mod") && !name.ends_with("tests"));
    names
}

#[test]
fn the_page_on_the_architecture_has_a_word_on_every_module() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let packages = [
        "kernel-profile",
        "files",
        "kernel",
        "rr-log",
        "panda-host",
        "machine",
        "guest",
        "trace",
        "analysis",
        "run",
        "container",
    ];
    for package in packages {
        let title = format!("### `crates/{package}`\n");
        let (_, section) = page.split_once(&title).unwrap_or_else(|| panic!("no {title}"));
        let section = section.split("\n## ").next().unwrap().split("\n### ").next().unwrap();
        for module in modules(&root().join("crates").join(package).join("src")) {
            assert!(
                section.contains(&format!("`{module}`")),
                "{package} has {module}, and the page does not"
            );
        }
    }
    let (_, section) = page.split_once("### `src/cli`\n").unwrap();
    for module in modules(&root().join("src/cli")) {
        assert!(section.contains(&format!("`{module}`")), "src/cli has {module}, and the page does not");
    }
}

/// Every Rust source below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        match path.is_dir() {
            true => sources(&path, found),
            false if path.extension().is_some_and(|extension| extension == "rs") => found.push(path),
            false => {}
        }
    }
}

#[test]
fn every_test_that_the_page_on_security_names_exists() {
    let mut files = Vec::new();
    for folder in ["tests", "crates", "plugin", "guest-agent"] {
        sources(&root().join(folder), &mut files);
    }
    let code: Vec<String> = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let page = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let names =
        page.split('`').filter(|quoted| quoted.contains("::") && !quoted.contains(char::is_whitespace));
    for name in names.filter_map(|path| path.rsplit("::").next()) {
        let item = if name == "tests" { "mod tests".to_owned() } else { format!("fn {name}()") };
        assert!(code.iter().any(|file| file.contains(&item)), "there is no {name}");
    }
}
