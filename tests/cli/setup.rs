//! `scripts/setup` on fake systems: their name, what is installed, and what their apt offers.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;
use testkit::checkout::root;
use testkit::files;

/// The tools that the script itself uses.
const TOOLS: [&str; 13] =
    ["sh", "sed", "awk", "find", "sort", "tail", "head", "cat", "dirname", "env", "ls", "rm", "touch"];

/// The tools that are looked up on the path.
const COMMANDS: [&str; 9] =
    ["cc", "python3", "pip3", "dpkg-deb", "mke2fs", "debugfs", "qemu-img", "debootstrap", "ssh"];

struct Machine {
    dir: TempDir,
}

impl Machine {
    /// A bare system: apt and Rust only. Its apt offers `packages`, and `clang` is the release's own version.
    fn bare(os: &str, packages: &str, clang: u32) -> Machine {
        let machine = Machine { dir: tempfile::tempdir().unwrap() };
        for folder in ["bin", "root/etc"] {
            fs::create_dir_all(machine.path().join(folder)).unwrap();
        }
        fs::write(machine.path().join("root/etc/os-release"), os).unwrap();
        for tool in TOOLS {
            let real = std::env::split_paths("/usr/bin:/bin").map(|folder| folder.join(tool));
            let real = real.into_iter().find(|file| file.exists()).unwrap();
            symlink(real, machine.path().join("bin").join(tool)).unwrap();
        }
        let here = machine.path().display();
        machine.command(
            "apt-get",
            &format!("echo \"$*\" >>{here}/asked\ncase $* in update*) {here}/bin/update ;; esac"),
        );
        machine.command("update", "exit 0");
        machine.command("sleep", "exit 0");
        machine.command("id", "echo 0");
        machine.command("ldconfig", "");
        machine.command("cargo", "");
        machine.command("dpkg-deb", "");
        machine.command(
            "apt-cache",
            &format!(
                "[ $1 = policy ] || {{ echo '  Depends: libclang-{clang}-dev'; exit; }}\nshift\n\
                 for one; do case ' {packages} ' in *\" $one \"*) echo \"$one:\"; echo '  Candidate: 1' ;;\n\
                 *) echo \"$one:\"; echo '  Candidate: (none)' ;; esac; done"
            ),
        );
        machine
    }

    /// The same system with everything installed.
    fn whole(os: &str) -> Machine {
        let machine = Machine::bare(os, "", 14);
        for command in COMMANDS {
            machine.command(command, "exit 0");
        }
        let libraries =
            ["glib-2.0.so.0", "gnutls.so.30", "pixman-1.so.0", "fdt.so.1", "stdc++.so.6", "capstone.so.4"];
        let lines = libraries.map(|name| format!("echo '\tlib{name} (libc6,x86-64) => /lib/lib{name}'"));
        machine.command("ldconfig", &lines.join("\n"));
        for file in [
            "usr/include/stdio.h",
            "usr/lib/llvm-14/lib/libclang.so.1",
            "usr/lib/llvm-14/lib/clang/14.0.6/include/stddef.h",
            "usr/share/keyrings/debian-archive-keyring.gpg",
            "var/lib/apt/lists/mirror_debian_dists_bookworm_main_binary-amd64_Packages.lz4",
        ] {
            machine.file(file);
        }
        machine
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn command(&self, name: &str, script: &str) {
        files::script(&self.path().join("bin").join(name), script);
    }

    fn file(&self, name: &str) {
        let file = self.path().join("root").join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "").unwrap();
    }

    fn setup(&self) -> Output {
        let mut setup = Command::new(root().join("scripts/setup"));
        setup.env_clear().env("PATH", self.path().join("bin")).env("SETUP_ROOT", self.path().join("root"));
        setup.output().unwrap()
    }

    /// The calls of apt-get, one per line.
    fn asked(&self) -> Vec<String> {
        let asked = fs::read_to_string(self.path().join("asked")).unwrap_or_default();
        asked.lines().map(str::to_owned).collect()
    }

    /// The packages that apt-get was to install.
    fn installed(&self) -> Vec<String> {
        let asked = self.asked();
        let Some(install) = asked.iter().find(|line| line.starts_with("install")) else { return Vec::new() };
        let (_, packages) = install.split_once("Acquire::Retries=3 ").unwrap();
        packages.split(' ').map(str::to_owned).collect()
    }
}

const BOOKWORM: &str = "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n";

/// The packages that have the same name in every release.
const COMMON: &str = "gcc libc6-dev python3-pip libpixman-1-0 libfdt1 libstdc++6 e2fsprogs qemu-utils debootstrap \
                      debian-archive-keyring openssh-client";

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_bare_system_gets_the_packages_of_its_release() {
    for (os, clang, offered, named) in [
        (BOOKWORM, 14, "libglib2.0-0 libgnutls30 libclang1-14 libclang-common-14-dev libcapstone4", ""),
        (
            "ID=debian\nVERSION_ID=13\nVERSION_CODENAME=trixie\n",
            19,
            "libglib2.0-0t64 libgnutls30t64 libclang1-19 libclang-common-19-dev",
            "libclang1-22 libcapstone5",
        ),
        (
            "ID=ubuntu\nVERSION_ID=22.04\nVERSION_CODENAME=jammy\n",
            14,
            "libglib2.0-0 libgnutls30 libclang1-14 libclang-common-14-dev libcapstone4",
            "libclang1-15",
        ),
        (
            "ID=ubuntu\nVERSION_ID=24.04\nVERSION_CODENAME=noble\n",
            18,
            "libglib2.0-0t64 libgnutls30t64 libclang1-18 libclang-common-18-dev libcapstone4",
            "libclang1-17t64",
        ),
    ] {
        let machine = Machine::bare(os, &format!("{COMMON} {offered} {named}"), clang);
        let output = machine.setup();
        assert!(output.status.success(), "{os}: {output:?}");
        let mut installed = machine.installed();
        let mut wanted: Vec<_> = COMMON.split(' ').chain(offered.split(' ')).map(str::to_owned).collect();
        installed.sort();
        wanted.sort();
        assert_eq!(installed, wanted, "{os}");
    }
}

#[test]
fn nothing_is_installed_or_printed_if_nothing_is_missing() {
    for os in [BOOKWORM, "ID=fedora\nVERSION_ID=41\n"] {
        let machine = Machine::whole(os);
        let output = machine.setup();
        assert!(
            output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(),
            "{output:?}"
        );
        assert_eq!(machine.asked(), Vec::<String>::new());
    }
}

#[test]
fn a_libclang_without_its_headers_gets_the_headers_of_its_version() {
    let machine = Machine::whole(BOOKWORM);
    machine.file("usr/lib/llvm-16/lib/libclang-16.so.1");
    machine.file("usr/lib/llvm-16/lib/libclang-cpp.so.16");
    machine.file("usr/lib/llvm-17/lib/libclang-cpp.so.17");
    machine.command("apt-cache", "echo 'libclang-common-16-dev:'; echo '  Candidate: 1'");
    assert!(machine.setup().status.success());
    assert_eq!(machine.installed(), ["libclang-common-16-dev"]);
}

#[test]
fn incomplete_package_lists_are_retried_and_then_not_used() {
    let machine = Machine::bare(BOOKWORM, COMMON, 14);
    let here = machine.path().display();
    machine.command("update", &format!("[ -e {here}/second ] || {{ touch {here}/second; exit 100; }}"));
    // A package that apt does not offer is reported too.
    let output = machine.setup();
    assert_eq!(output.status.code(), Some(3));
    assert!(said(&output).contains("offers none of: libclang1-14t64 libclang1-14"), "{}", said(&output));
    let asked = machine.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked.iter().all(|line| line.contains("APT::Update::Error-Mode=any")), "{asked:?}");

    let machine = Machine::bare(BOOKWORM, COMMON, 14);
    machine.command("update", "echo 'Mirror sync in progress?' >&2; exit 100");
    let output = machine.setup();
    assert_eq!(output.status.code(), Some(3));
    assert!(said(&output).contains("incomplete"), "{}", said(&output));
    assert_eq!(machine.installed(), Vec::<String>::new());
}

#[test]
fn lists_without_the_releases_own_packages_are_updated_even_if_nothing_is_missing() {
    let machine = Machine::whole(BOOKWORM);
    let lists = machine.path().join("root/var/lib/apt/lists");
    fs::remove_dir_all(&lists).unwrap();
    machine
        .file("var/lib/apt/lists/mirror_debian-security_dists_bookworm-security_main_binary-amd64_Packages");
    assert!(machine.setup().status.success());
    assert_eq!(machine.asked().len(), 1);
}

#[test]
fn on_an_unknown_system_setup_says_what_each_purpose_needs() {
    let machine = Machine::bare("ID=fedora\nVERSION_ID=41\n", COMMON, 14);
    let output = machine.setup();
    assert_eq!(output.status.code(), Some(3));
    for what in [
        "fedora-41",
        "to build: a C compiler",
        "to build: libclang",
        "to install PANDA: ",
        "to run PANDA: GLib",
    ] {
        assert!(said(&output).contains(what), "{what}: {}", said(&output));
    }
    assert_eq!(machine.asked(), Vec::<String>::new());
}
