//! Bootstrapping: what a folder becomes, and what a real guest does with the disk that is made of it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command as Process;
use std::time::Duration;

use pandacap::bootstrap::{Bootstrap, GuestCommand, Place, Setting, disk, guest};
use pandacap::guest::cpio::Archive;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use tempfile::TempDir;

use crate::disk::{VIRTIO, bootstrapping, driver, image, rec};
use crate::machine::{Plugin, Run};
use crate::support::{home, lab, pandacap};

const ODD: &str = "it's \"odd\" $HOME `id` \\ \n\ttwo lines";

/// A bootstrap folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("scripts")).unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

/// The folder, for a machine.
fn vm<'a>(source: &'a TempDir, settings: &'a [Setting]) -> Bootstrap<'a> {
    Bootstrap { source: source.path(), settings, place: Place::Vm }
}

fn render(dir: &Path, more: &[&str]) -> assert_cmd::assert::Assert {
    pandacap(Path::new("/nowhere")).args(["bootstrap", "render"]).arg(dir).args(more).assert()
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
fn the_example_that_new_makes_runs_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (example, out) = (dir.path().join("example"), dir.path().join("out"));
    pandacap(Path::new("/nowhere")).args(["bootstrap", "new"]).arg(&example).assert().success();
    pandacap(Path::new("/nowhere"))
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
            "755 scripts/20_user.sh"
        ]
    );
    assert_eq!(fs::read_to_string(out.join("files/motd")).unwrap(), "Welcome. You are alice.\n");

    // As in a container, but with a useradd that only tells, and without a script that changes this machine.
    fs::remove_file(out.join("scripts/10_greet.sh")).unwrap();
    let useradd = dir.path().join("useradd");
    fs::write(&useradd, "#!/bin/sh\necho useradd \"$@\"\n").unwrap();
    fs::set_permissions(&useradd, fs::Permissions::from_mode(0o755)).unwrap();
    let run = Process::new("sh")
        .arg(out.join("bootstrap.sh"))
        .env("PATH", format!("{}:/usr/bin:/bin", dir.path().display()))
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(run.stdout).unwrap(),
        "bootstrap: 20_user.sh\nuseradd --create-home --uid 1001 --shell /bin/sh alice\nbootstrap: done\n"
    );
}

#[test]
fn what_is_wrong_in_a_folder_is_named_with_its_line_and_nothing_is_written() {
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
        let dir = folder(&[
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
    render(Path::new("/nowhere"), &[]).code(1).stderr(contains("no bootstrap folder"));
    let dir = folder(&[("variables.toml", "uid = 1\n[t]\n")]);
    for (set, said) in
        [("id=2", "no such variable"), ("uid=x", "\"x\" is no integer"), ("t=x", "it is a table")]
    {
        render(dir.path(), &["--set", set]).code(1).stderr(contains(said));
    }
    render(dir.path(), &["--set", "uid"]).code(2).stderr(contains("expected NAME=VALUE"));
}

#[test]
fn no_link_in_a_strangers_folder_leads_out_of_it() {
    let elsewhere = tempfile::tempdir().unwrap();
    fs::create_dir(elsewhere.path().join("scripts")).unwrap();
    for file in ["secret", "scripts/10_a.sh"] {
        fs::write(elsewhere.path().join(file), "secret = 'what only the user may read'\n").unwrap();
    }
    let secret = elsewhere.path().join("secret");
    for link in
        ["files/a", "files/b.j2", "bootstrap.env", "bootstrap.env.j2", "variables.toml", "scripts/20_b.sh"]
    {
        let dir = folder(&[("scripts/10_a.sh", ""), ("files/x", "")]);
        symlink(&secret, dir.path().join(link)).unwrap();
        refused(&dir, "leads out of the bootstrap folder");
    }
    let dir = tempfile::tempdir().unwrap();
    symlink(elsewhere.path().join("scripts"), dir.path().join("scripts")).unwrap();
    refused(&dir, "leads out of the bootstrap folder");
    let dir = folder(&[]);
    symlink(elsewhere.path(), dir.path().join("files")).unwrap();
    refused(&dir, "leads out of the bootstrap folder");

    // Those within are as good as what they lead to.
    let dir = folder(&[("shared/a", "the file"), ("files/x", "")]);
    symlink("../shared/a", dir.path().join("files/a")).unwrap();
    render(dir.path(), &[]).success().stdout(contains("==> files/a <==\nthe file"));
}

#[test]
fn what_is_no_file_or_has_no_end_is_refused() {
    let dir = folder(&[("files/x", "")]);
    assert!(Process::new("mkfifo").arg(dir.path().join("files/pipe")).status().unwrap().success());
    refused(&dir, "not a plain file or folder");
    let dir = folder(&[("files/x", "")]);
    symlink("/dev/zero", dir.path().join("files/zero")).unwrap();
    refused(&dir, "leads out of the bootstrap folder");
    let _socket = UnixListener::bind(dir.path().join("files/a")).unwrap();
    refused(&dir, "not a plain file or folder");

    for (file, length) in [("files/a", 1 << 40), ("files/a.j2", 1 << 30), ("variables.toml", 1 << 30)] {
        let dir = folder(&[("files/x", "")]);
        fs::File::create(dir.path().join(file)).unwrap().set_len(length).unwrap();
        refused(&dir, "more than");
    }
    let dir = folder(&[("files/a", "")]);
    symlink(".", dir.path().join("files/loop")).unwrap();
    refused(&dir, "Too many levels of symbolic links");
    // Few folders, and 65,536 ways through them.
    let dir = folder(&[("files/0/x", "")]);
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
        refused(&folder(&[("files/a.j2", endless)]), "files/a.j2:1: ");
    }
}

/// Neither shown nor made a folder or a disk.
fn refused(dir: &TempDir, why: &str) {
    let out = tempfile::tempdir().unwrap();
    let [folder, disk] = ["folder", "disk"].map(|name| out.path().join(name).to_str().unwrap().to_owned());
    for more in [&[][..], &["--out", &folder], &["--disk", &disk]] {
        let mut render = pandacap(Path::new("/nowhere"));
        render.args(["bootstrap", "render"]).arg(dir.path()).args(more).timeout(Duration::from_secs(120));
        render.assert().code(1).stdout("").stderr(contains(why.to_owned()));
    }
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0, "something is left");
}

#[test]
fn the_same_folder_gives_the_same_disk_whoever_made_it_and_when() {
    let files = [("scripts/10_a.sh", "#!/bin/sh\n"), ("files/b", "b"), ("files/a/c", "c"), ("files/a/a", "")];
    let first = folder(&files);
    let turned: Vec<_> = files.iter().rev().copied().collect();
    let second = folder(&turned);
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(second.path().join("files/b"), Some(1234), Some(1234)).unwrap();
    }
    let out = tempfile::tempdir().unwrap();
    let make = |source: &TempDir, name: &str| {
        let path = out.path().join(name);
        let made = disk(Some(vm(source, &[])), None, &path).unwrap();
        (made, fs::read(path).unwrap())
    };
    let (one, other) = (make(&first, "1"), make(&second, "2"));
    assert_eq!(one.0, other.0);
    assert!(one.1 == other.1, "same content, other bytes");
    assert_eq!(one.0.bytes, one.1.len() as u64);
    let check = Process::new("/usr/sbin/e2fsck").args(["-fn"]).arg(out.path().join("1")).status().unwrap();
    assert!(check.success());

    fs::set_permissions(second.path().join("files/b"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_ne!(make(&second, "3").0.uuid, one.0.uuid, "another content is to be run again");
}

#[test]
fn a_guest_runs_each_disk_once_in_order_and_then_the_recorded_command() {
    let source = folder(&[
        ("variables.toml", "odd = \"\"\nplain = 7\n"),
        ("bootstrap.env.j2", "ODD={{ odd | sh }}\nPLAIN={{ plain }}\n"),
        ("files/odd.j2", "{{ odd }}"),
        ("scripts/30_last.sh", "#!/bin/sh\necho last $PLAIN $HOME\n"),
        (
            "scripts/vm_20_odd.sh",
            "#!/bin/sh\nprintf %s \"$ODD\" | cmp - \"$BOOTSTRAP_FILES_DIR/odd\" && echo same\n",
        ),
        ("scripts/docker_20_not.sh", "#!/bin/sh\necho container\n"),
        (
            "scripts/10_first.sh.j2",
            "#!/bin/sh\necho first {{ plain }}; echo x >\"$BOOTSTRAP_DIR/x\" || echo read-only\n",
        ),
    ]);
    let dir = tempfile::tempdir().unwrap();
    let argv = ["sh", "-c", "printf '<%s>\\n' \"$@\"; exit 3", "sh", "it's", "a\nb", ""].map(OsString::from);
    let command = GuestCommand { recording: "odd", argv: &argv, power_off: true };
    let settings: Vec<Setting> = vec![format!("odd={ODD}").parse().unwrap()];
    let image = dir.path().join("disk");
    disk(Some(vm(&source, &settings)), Some(command), &image).unwrap();
    let before = fs::read(&image).unwrap();

    let run =
        boot(dir, "trap 'echo powers off' USR2\npandacap-bootstrap; echo status $?\npandacap-bootstrap\n");
    run.assert_says(&[
        "bootstrap: 10_first.sh",
        "first 7",
        "read-only",
        "bootstrap: 20_odd.sh",
        "same",
        "bootstrap: 30_last.sh",
        "last 7 /root",
        "bootstrap: done",
        "powers off",
        "status 0",
        "bootstrap: /dev/vda has been run before",
    ]);
    assert!(!run.console.contains("container"), "{}", run.console);
    assert_eq!(fs::read_to_string(run.dir.path().join("output")).unwrap(), "<it's>\n<a\nb>\n<>\n");
    let messages = run.events_of("message");
    let texts: Vec<&str> = messages.iter().filter_map(|message| message["text"].as_str()).collect();
    assert_eq!(
        texts,
        [
            "bootstrap: 10_first.sh",
            "bootstrap: 20_odd.sh",
            "bootstrap: 30_last.sh",
            "bootstrap: done",
            "exit=3"
        ]
    );
    assert!(fs::read(&image).unwrap() == before, "the guest wrote to the disk");
    let [recording] = &run.recordings()[..] else { panic!("{:?}", run.recordings()) };
    lab().replay_with(run.dir.path(), recording, &[&["-serial", "null"], DRIVE].concat()).unwrap();
}

#[test]
fn a_script_that_fails_ends_it_with_its_output_and_a_message() {
    let ends = [
        ("exit 7", "20_bad.sh status 7"),
        ("kill -9 $$", "20_bad.sh status 137"),
        ("no-such-program", "20_bad.sh status 127"),
    ];
    for (end, said) in ends {
        let bad = format!("#!/bin/sh\necho why it fails\n{end}\n");
        let source = folder(&[
            ("scripts/10_good.sh", "#!/bin/sh\n"),
            ("scripts/20_bad.sh", &bad),
            ("scripts/30_never.sh", "#!/bin/sh\necho never\n"),
        ]);
        let run = boot_disk(&source, "pandacap-bootstrap; echo status $?\n");
        let said = format!("bootstrap failed: {said}");
        let status = format!("status {}", said.rsplit(' ').next().unwrap());
        run.assert_says(&["bootstrap: 10_good.sh", "why it fails", &said, &status]);
        assert!(!run.console.contains("never"), "{}", run.console);
        assert_eq!(run.events_of("message").last().unwrap()["text"], said.as_str());
    }
}

#[test]
fn an_environment_that_no_shell_can_read_is_a_failure_too() {
    let source =
        folder(&[("bootstrap.env", "A='open\n"), ("scripts/10_never.sh", "#!/bin/sh\necho never\n")]);
    let run = boot_disk(&source, "pandacap-bootstrap; echo status $?\n");
    run.assert_says(&["bootstrap failed: bootstrap.env status 2", "status 2"]);
    assert!(!run.console.contains("never"), "{}", run.console);
}

#[test]
fn without_the_disk_the_hook_does_nothing_and_says_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut panda = lab().booting(dir.path(), "pandacap-bootstrap; echo status $?\n", Plugin::Absent, "");
    install(dir.path());
    panda.args(["-serial", "null"]);
    let run = Run::of(dir, panda);
    run.assert_says(&["status 0"]);
    assert!(!run.console.contains("bootstrap"), "{}", run.console);
}

#[test]
fn a_command_needs_no_bootstrap_folder_and_a_guest_without_a_second_port_shows_it_on_its_console() {
    let dir = tempfile::tempdir().unwrap();
    let argv = ["echo", "hello"].map(OsString::from);
    let command = GuestCommand { recording: "alone", argv: &argv, power_off: false };
    disk(None, Some(command), &dir.path().join("disk")).unwrap();
    let mut panda = booting(&dir, "pandacap-bootstrap; echo status $?\n");
    panda.args(DRIVE);
    let run = Run::of(dir, panda);
    run.assert_says(&["bootstrap: done", "hello", "status 0"]);
    assert_eq!(run.recordings(), ["alone_000"]);
}

#[test]
fn a_disk_with_that_label_which_is_not_ours_is_not_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut mke2fs = Process::new("/usr/sbin/mke2fs");
    mke2fs.args(["-q", "-F", "-t", "ext4", "-L", "bootstrap"]).arg(dir.path().join("disk")).arg("2M");
    assert!(mke2fs.status().unwrap().success());
    let run = boot(dir, "pandacap-bootstrap; echo status $?\n");
    run.assert_says(&["bootstrap failed: /dev/vda was not made by pandacap", "status 1"]);
}

#[test]
fn rec_bootstraps_a_guest_and_records_a_command_in_it() {
    let source = folder(&[
        ("variables.toml", "who = \"nobody\"\n"),
        ("files/who.j2", "{{ who }}\n\n"),
        ("scripts/10_who.sh", "#!/bin/sh\ncp \"$BOOTSTRAP_FILES_DIR/who\" /who\n"),
    ]);
    let dir = tempfile::tempdir().unwrap();
    let image = bootstrapping(dir.path(), "echo the command powers off");
    let mut rec = rec(&image);
    rec.args(["--name", "who", "--set", "who=alice", "--bootstrap"]).arg(source.path());
    rec.args(["--", "sh", "-c", "cat /who \"$@\"; exit 3", "sh", "a  b"]);
    let done = rec.assert().success().stdout(contains("alice\n").and(contains("'a  b': No such file")));
    let said = String::from_utf8_lossy(&done.get_output().stdout).into_owned();
    assert!(said.contains("exit status   3"), "{said}");
    let trace = dir.path().join("traces/who");
    assert!(trace.join("bootstrap.img").is_file());
    pandacap(home()).arg("replay").arg(&trace).assert().success();
}

#[test]
fn a_bootstrap_script_that_fails_ends_the_run_with_its_output() {
    let source = folder(&[("scripts/10_bad.sh", "#!/bin/sh\necho why it fails\nexit 7\n")]);
    let dir = tempfile::tempdir().unwrap();
    let image = bootstrapping(dir.path(), "sleep 600");
    let said = contains("10_bad.sh status 7").and(contains("why it fails"));
    rec(&image).arg("--bootstrap").arg(source.path()).assert().code(5).stderr(said);
    assert_eq!(fs::read_dir(dir.path().join("traces")).unwrap().count(), 0);
}

#[test]
fn a_guest_without_the_hook_is_not_waited_for_and_a_wrong_setting_boots_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path(), "echo login:; sleep 600");
    rec(&image).args(["--", "true"]).assert().code(5).stderr(contains("does not run its bootstrap disk"));
    let source = folder(&[("variables.toml", "who = \"nobody\"\n")]);
    let mut rec = rec(&image);
    rec.arg("--bootstrap").arg(source.path()).args(["--set", "whom=alice"]);
    rec.assert().code(1).stderr(contains("whom").and(contains("no such variable")));
    assert_eq!(fs::read_dir(dir.path().join("traces")).unwrap().count(), 0);
    let mut tiny = pandacap(Path::new("/nowhere"));
    tiny.args(["rec", "--bootstrap"]).arg(source.path()).args(["--", "true"]);
    tiny.assert().code(2).stderr(contains("the tiny guest has no driver for a disk"));
}

/// The disk, as the guest gets it: read-only, on a virtio bus.
const DRIVE: &[&str] = &["-drive", "file=disk,format=raw,if=virtio,readonly=on"];

fn boot_disk(source: &TempDir, script: &str) -> Run {
    let dir = tempfile::tempdir().unwrap();
    disk(Some(vm(source, &[])), None, &dir.path().join("disk")).unwrap();
    boot(dir, script)
}

/// Boots the tiny guest with the hook in it and `disk` of the folder attached.
fn boot(dir: TempDir, script: &str) -> Run {
    let mut panda = booting(&dir, script);
    panda.args(["-serial", "file:output"]).args(DRIVE);
    Run::of(dir, panda)
}

fn booting(dir: &TempDir, script: &str) -> Process {
    let script = format!("for m in /modules/*; do insmod $m; done\n{script}");
    let panda = lab().booting(dir.path(), &script, Plugin::Ours, "dir=.,events=events.jsonl");
    install(dir.path());
    panda
}

/// Puts the hook and the disk's driver into the guest.
fn install(dir: &Path) {
    let mut archive = Archive::default().file("bin/pandacap-bootstrap", 0o755, guest::HOOK.as_bytes());
    archive = archive.folder("modules");
    for (index, module) in VIRTIO.iter().enumerate() {
        let module = fs::read(driver(module)).unwrap();
        archive = archive.file(&format!("modules/{index}"), 0o644, &module);
    }
    let initramfs = dir.join("initramfs");
    let all = [fs::read(&initramfs).unwrap(), archive.finish()].concat();
    fs::write(initramfs, all).unwrap();
}
