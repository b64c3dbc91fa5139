//! `pandacap bootstrap`: how a folder is rendered.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command as Process;
use std::time::Duration;

use guest::bootstrap::{Bootstrap, Place, disk};
use predicates::str::contains;
use tempfile::TempDir;
use testkit::files::bootstrap;
use testkit::program::{nowhere, pandacap};

fn render(dir: &Path, more: &[&str]) -> assert_cmd::assert::Assert {
    pandacap(nowhere()).args(["bootstrap", "render"]).arg(dir).args(more).assert()
}

/// Every file below a folder, with its permissions.
fn tree(root: &Path) -> Vec<String> {
    let find =
        Process::new("find").args([".", "-type", "f", "-printf", "%m %P\n"]).current_dir(root).output();
    let mut lines: Vec<String> =
        String::from_utf8(find.unwrap().stdout).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn the_example_that_new_creates_runs_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let (example, out) = (dir.path().join("example"), dir.path().join("out"));
    pandacap(nowhere()).args(["bootstrap", "new"]).arg(&example).assert().success();
    pandacap(nowhere())
        .args(["bootstrap", "new"])
        .arg(&example)
        .assert()
        .code(1)
        .stderr(contains("is not empty"));
    render(&example, &["--for", "docker", "--set", "user=alice", "--out", out.to_str().unwrap()]).success();
    assert_eq!(
        tree(&out),
        [
            "644 bootstrap.env",
            "644 files/motd",
            "755 bootstrap.sh",
            "755 scripts/10_greet.sh",
            "755 scripts/20_hello.sh"
        ]
    );
    assert_eq!(fs::read_to_string(out.join("files/motd")).unwrap(), "Welcome. You are alice.\n");

    // As in a container: no root, and nothing that is changed.
    let run = Process::new("sh").arg(out.join("bootstrap.sh")).output().unwrap();
    let said = String::from_utf8(run.stdout).unwrap();
    let user = rustix::process::geteuid().as_raw();
    assert_eq!(
        said,
        format!(
            "bootstrap: 10_greet.sh\nWelcome. You are alice.\nbootstrap: 20_hello.sh\n\
             the container is for alice, and runs as user {user}\nbootstrap: done\n"
        )
    );
}

#[test]
fn an_error_in_a_folder_is_reported_with_its_line_and_nothing_is_written() {
    let wrong = [
        (
            "bootstrap.env.j2",
            "A=1\nB={{ user }}\nC={{ usr | sh }}\n",
            "bootstrap.env.j2:3: variables.toml has no variable usr",
        ),
        ("files/deep/x.j2", "\n{{ user.name.first }}", "files/deep/x.j2:2: .name.first has no value"),
        ("files/x.j2", "{{ user", "x.j2:1: syntax error"),
        ("variables.toml", "user = \"u\"\nuid = \n", "variables.toml:2: "),
        ("scripts/setup.sh", "", "scripts/setup.sh: call it NN_name.sh"),
        ("scripts/vm_10_a.sh", "", "would both become 10_a.sh"),
        ("bootstrap.env", "", "would both become bootstrap.env"),
    ];
    for (name, text, said) in wrong {
        let dir = bootstrap(&[
            ("variables.toml", "user = \"u\"\n"),
            ("scripts/10_a.sh", ""),
            ("bootstrap.env.j2", ""),
            (name, text),
        ]);
        let (out, image) = (dir.path().join("out"), dir.path().join("disk"));
        render(dir.path(), &["--out", out.to_str().unwrap()]).code(1).stderr(contains(said));
        render(dir.path(), &["--disk", image.to_str().unwrap()]).code(1).stderr(contains(said));
        assert!(!out.exists() && !image.exists());
    }
    render(nowhere(), &[]).code(1).stderr(contains("not a bootstrap folder"));
    let dir = bootstrap(&[("variables.toml", "uid = 1\n[t]\n")]);
    for (set, said) in
        [("id=2", "no such variable"), ("uid=x", "\"x\" is no integer"), ("t=x", "it is a table")]
    {
        render(dir.path(), &["--set", set]).code(1).stderr(contains(said));
    }
    render(dir.path(), &["--set", "uid"]).code(2).stderr(contains("expected NAME=VALUE"));
}

#[test]
fn links_that_lead_out_of_a_bootstrap_folder_are_refused() {
    let elsewhere = tempfile::tempdir().unwrap();
    fs::create_dir(elsewhere.path().join("scripts")).unwrap();
    for file in ["secret", "scripts/10_a.sh"] {
        fs::write(elsewhere.path().join(file), "secret = 'what only the user may read'\n").unwrap();
    }
    let secret = elsewhere.path().join("secret");
    for link in
        ["files/a", "files/b.j2", "bootstrap.env", "bootstrap.env.j2", "variables.toml", "scripts/20_b.sh"]
    {
        let dir = bootstrap(&[("scripts/10_a.sh", ""), ("files/x", "")]);
        symlink(&secret, dir.path().join(link)).unwrap();
        refused(&dir, "leads out of the bootstrap folder");
    }
    let dir = tempfile::tempdir().unwrap();
    symlink(elsewhere.path().join("scripts"), dir.path().join("scripts")).unwrap();
    refused(&dir, "leads out of the bootstrap folder");
    let dir = bootstrap(&[]);
    symlink(elsewhere.path(), dir.path().join("files")).unwrap();
    refused(&dir, "leads out of the bootstrap folder");

    // Links within the folder are treated like their targets.
    let dir = bootstrap(&[("shared/a", "the file"), ("files/x", "")]);
    symlink("../shared/a", dir.path().join("files/a")).unwrap();
    render(dir.path(), &[]).success().stdout(contains("==> files/a <==\nthe file"));
}

#[test]
fn special_and_endless_files_are_refused() {
    let dir = bootstrap(&[("files/x", "")]);
    assert!(Process::new("mkfifo").arg(dir.path().join("files/pipe")).status().unwrap().success());
    refused(&dir, "not a plain file or folder");
    let dir = bootstrap(&[("files/x", "")]);
    symlink("/dev/zero", dir.path().join("files/zero")).unwrap();
    refused(&dir, "leads out of the bootstrap folder");
    let _socket = UnixListener::bind(dir.path().join("files/a")).unwrap();
    refused(&dir, "not a plain file or folder");

    for (file, length) in [("files/a", 1 << 40), ("files/a.j2", 1 << 30), ("variables.toml", 1 << 30)] {
        let dir = bootstrap(&[("files/x", "")]);
        fs::File::create(dir.path().join(file)).unwrap().set_len(length).unwrap();
        refused(&dir, "more than");
    }
    let dir = bootstrap(&[("files/a", "")]);
    symlink(".", dir.path().join("files/loop")).unwrap();
    refused(&dir, "Too many levels of symbolic links");
    // Few folders, but 65,536 paths through them.
    let dir = bootstrap(&[("files/0/x", "")]);
    for level in 0..16 {
        let folder = dir.path().join(format!("files/{level}"));
        fs::create_dir_all(&folder).unwrap();
        for way in ["a", "b"] {
            symlink(format!("../{}", level + 1), folder.join(way)).unwrap();
        }
    }
    fs::create_dir(dir.path().join("files/16")).unwrap();
    refused(&dir, "more than 4096 files");
    for endless in [
        "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
        "{% for a in range(9999) %}{{ 'x' * 99999 }}{% endfor %}",
    ] {
        refused(&bootstrap(&[("files/a.j2", endless)]), "files/a.j2:1: ");
    }
}

/// Rendering fails for `why`, and creates neither output, folder nor disk.
fn refused(dir: &TempDir, why: &str) {
    let out = tempfile::tempdir().unwrap();
    let [folder, disk] = ["folder", "disk"].map(|name| out.path().join(name).to_str().unwrap().to_owned());
    for more in [&[][..], &["--out", &folder], &["--disk", &disk]] {
        let mut render = pandacap(nowhere());
        render.args(["bootstrap", "render"]).arg(dir.path()).args(more).timeout(Duration::from_secs(120));
        render.assert().code(1).stdout("").stderr(contains(why.to_owned()));
    }
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0, "something is left");
}

#[test]
fn the_same_folder_always_gives_the_same_disk() {
    let files = [("scripts/10_a.sh", "#!/bin/sh\n"), ("files/b", "b"), ("files/a/c", "c"), ("files/a/a", "")];
    let first = bootstrap(&files);
    let turned: Vec<_> = files.iter().rev().copied().collect();
    let second = bootstrap(&turned);
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(second.path().join("files/b"), Some(1234), Some(1234)).unwrap();
    }
    let out = tempfile::tempdir().unwrap();
    let make = |source: &TempDir, name: &str| {
        let path = out.path().join(name);
        let made =
            disk(Some(Bootstrap { source: source.path(), settings: &[], place: Place::Vm }), None, &path)
                .unwrap();
        (made, fs::read(path).unwrap())
    };
    let (one, other) = (make(&first, "1"), make(&second, "2"));
    assert_eq!(one.0, other.0);
    assert!(one.1 == other.1, "same content, other bytes");
    assert_eq!(one.0.bytes, one.1.len() as u64);
    let check = Process::new("/usr/sbin/e2fsck").args(["-fn"]).arg(out.path().join("1")).status().unwrap();
    assert!(check.success());

    fs::set_permissions(second.path().join("files/b"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_ne!(make(&second, "3").0.uuid, one.0.uuid, "new content must be run again");
}
