//! The container image: its size layer by layer, what in it is never opened, whether two builds are the same, and what a
//! recording in it costs. `scripts/bench image [PAIRS]` prints the tables. Needs root, Docker and strace.
#![allow(clippy::disallowed_methods, reason = "the files are the bench's own")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints what it measures")]
#![allow(clippy::unwrap_used, reason = "a figure that can't be measured is not printed")]

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use comfy_table::{Table, presets::ASCII_MARKDOWN};
use testkit::checkout::home;
use testkit::figures::median;
use testkit::image::{IMAGE, image};
use testkit::program::pandacap;

/// What is in the image although `rec`, `replay` and `doctor` may never open it, by the beginning of its path.
const STATED: [(&str, &str); 13] = [
    ("usr/lib/pandacap/x86_64/panda_activity.so", "the plugin of `analyze`"),
    ("etc/hostname", "the engine's own"),
    ("etc/hosts", "the engine's own"),
    ("etc/resolv.conf", "the engine's own"),
    ("usr/lib/pandacap/home/panda/0.1.1.5/x86_64-softmmu/panda/", "PANDA's plugins, for `replay --plugin`"),
    (
        "usr/lib/pandacap/home/panda/0.1.1.5/pc-bios/",
        "firmware of other cards and screens (`--nic`, `--display`)",
    ),
    ("usr/lib/pandacap/home/panda/lock", "the lock of `panda install`"),
    ("usr/lib/pandacap/x86_64/recctrlu-setup", "the script for guests"),
    ("usr/share/doc/", "licences and bills of materials"),
    ("usr/bin/busybox", "the shell of bootstrap scripts, and for a look into the container"),
    ("etc/passwd", "names of users"),
    ("etc/group", "names of groups"),
    ("etc/mke2fs.conf", "the settings of mke2fs"),
];

fn main() {
    let pairs: usize = env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(15);
    image("scripts/bench image").expect("an image");
    sizes();
    unopened();
    same();
    cost(pairs);
}

fn output(command: &mut Command) -> String {
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn shell(script: &str) -> String {
    output(Command::new("sh").args(["-ec", script])).trim().to_owned()
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(header);
    table
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn sizes() {
    let mut all = table(&["image", "compressed", "on disk"]);
    let compressed: u64 = shell(&format!("docker save {IMAGE} | gzip -6 | wc -c")).parse().unwrap();
    let disk: u64 = shell(&format!("docker image inspect --format '{{{{.Size}}}}' {IMAGE}")).parse().unwrap();
    all.add_row(["ours, x86_64, with the tiny guest".to_owned(), megabytes(compressed), megabytes(disk)]);
    all.add_row(["PANDA's own (published)", "313 MB", "-"]);
    println!("{all}\n");
    let mut layers = table(&["layer", "bytes"]);
    for line in
        shell(&format!("docker history --no-trunc --format '{{{{.Size}}}} {{{{.CreatedBy}}}}' {IMAGE}"))
            .lines()
    {
        let (size, made_by) = line.split_once(' ').unwrap();
        layers.add_row([made_by.chars().take(60).collect::<String>(), size.to_owned()]);
    }
    println!("{layers}\n");
    let folder = unpacked();
    let mut parts = table(&["part", "on disk"]);
    for part in [
        "usr/lib/pandacap/home/panda",
        "usr/lib/pandacap/home/guests",
        "usr/lib/x86_64-linux-gnu",
        "usr/bin",
        "usr/sbin",
        "usr/share/doc",
    ] {
        let bytes = shell(&format!("du -sb '{}' | cut -f 1", folder.path().join(part).display()));
        parts.add_row([part.to_owned(), megabytes(bytes.parse().unwrap())]);
    }
    println!("{parts}\n");
}

/// The image's files, in a folder.
fn unpacked() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display();
    shell(&format!(
        "id=$(docker create {IMAGE}); docker export $id | tar -C '{place}' -x; docker rm $id >/dev/null"
    ));
    folder
}

/// The regular files below a folder, by their paths in it.
fn files(root: &Path, below: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(below).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files(root, &entry.path(), found);
        } else if kind.is_file() {
            found.insert(entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        }
    }
}

fn unopened() {
    let folder = unpacked();
    let root = folder.path().display();
    let guest = shell("ls -d target/tmp/home/guests/debian-* | head -n 1");
    // The same programs as in the container, in a root folder that strace can see into.
    let commands = [
        "doctor",
        "rec --name a -- true",
        "replay traces/a --plugin asid_instr_count",
        "rec --home /home --guest debian --bootstrap /lab --name b -- true",
    ];
    shell(&format!(
        "cd '{root}'; mkdir -p proc dev home/guests lab/scripts; mount -t proc proc proc; mount --rbind /dev dev; \
         cp -rl $OLDPWD/{guest} home/guests/debian; rm -rf home/guests/debian/warm; \
         printf '#!/bin/sh\\n' >lab/scripts/10_a.sh; : >lab/variables.toml"
    ));
    let trace = folder.path().with_extension("strace");
    for command in commands {
        shell(&format!(
            "strace -f -qq -A -e trace=open,openat,execve -e status=successful -o '{}' chroot '{root}' /usr/bin/env -i \
             HOME=/work PATH=/usr/bin:/usr/sbin LANG=C.UTF-8 sh -c 'cd /work && pandacap {command}' >&2",
            trace.display()
        ));
    }
    shell(&format!("umount -l '{root}/dev' '{root}/proc'"));
    let opened = fs::read_to_string(&trace).unwrap();
    fs::remove_file(&trace).unwrap();
    let opened: BTreeSet<String> = opened
        .lines()
        .filter_map(|line| line.split('"').nth(1))
        .filter_map(|path| fs::canonicalize(folder.path().join(path.trim_start_matches('/'))).ok())
        .filter_map(|path| Some(path.strip_prefix(folder.path()).ok()?.to_str()?.to_owned()))
        .collect();
    let mut all = BTreeSet::new();
    files(folder.path(), &folder.path().join("usr"), &mut all);
    files(folder.path(), &folder.path().join("etc"), &mut all);
    let mut never = table(&["never opened by doctor, rec, replay", "files"]);
    let mut others = Vec::new();
    let mut counts = vec![0; STATED.len()];
    for file in all.difference(&opened) {
        match STATED.iter().position(|(path, _)| file.starts_with(path)) {
            Some(which) => counts[which] += 1,
            None => others.push(file.clone()),
        }
    }
    for ((path, why), count) in STATED.iter().zip(counts) {
        never.add_row([format!("{path}: {why}"), count.to_string()]);
    }
    never.add_row([format!("anything else: {}", others.join(" ")), others.len().to_string()]);
    println!("{} files, {} opened\n{never}\n", all.len(), all.intersection(&opened).count());
}

/// Builds the image twice from nothing, and compares the files, but for the engine's own: names, owners, modes, times, contents.
fn same() {
    let digest = || {
        let name = "pandacap-bench-same";
        shell(&format!(
            "docker image prune --force >/dev/null; \
             PANDACAP_HOME='{}' target/dist/pandacap image build {name} --base pandacap-base:bookworm >&2; \
             id=$(docker create {name}); docker export $id | tar -x --to-command='printf \"%s %s %s %s %s \" \
             \"$TAR_FILENAME\" $TAR_MODE $TAR_UID $TAR_GID $TAR_MTIME; sha256sum' | grep -vE '^(.dockerenv|dev/console|etc/(hostname|hosts|resolv.conf)) ' | sort | sha256sum; \
             docker rm $id >/dev/null; docker image rm {name} >/dev/null",
            home().display()
        ))
    };
    let (one, other) = (digest(), digest());
    println!("two builds: {one}, {other}: {}\n", if one == other { "the same" } else { "THEY DIFFER" });
}

fn cost(pairs: usize) {
    let out = tempfile::tempdir().unwrap();
    let seconds = |options: &[&str]| {
        let began = Instant::now();
        let mut rec = pandacap(&home());
        rec.args(["--json", "rec", "--cold"]).args(options).arg("--out").arg(out.path()).args(["--", "true"]);
        rec.assert().success();
        began.elapsed().as_secs_f64()
    };
    let docker = format!("--docker={IMAGE}");
    let measured: Vec<(f64, f64)> = (0..pairs).map(|_| (seconds(&[]), seconds(&[&docker]))).collect();
    let mut rows = table(&[
        "rec -- true, booting the tiny guest",
        "outside",
        "in a container",
        "median ratio of the pairs",
    ]);
    rows.add_row([
        format!("wall time of {pairs} pairs"),
        format!("{:.2} s", median(measured.iter().map(|pair| pair.0))),
        format!("{:.2} s", median(measured.iter().map(|pair| pair.1))),
        format!("{:.3}", median(measured.iter().map(|(out, inside)| inside / out))),
    ]);
    println!("{rows}");
}
