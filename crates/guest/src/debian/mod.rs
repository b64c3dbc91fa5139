//! The Debian guest: bookworm with systemd and OpenSSH, on a disk, with its kernel beside it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use crate::apt::Package;
use crate::cpio::Archive;
use crate::draft::Draft;
use crate::error::GuestError;
use crate::guest::Guest;
use crate::manifest::{BootSign, GuestDisk, GuestManifest, Login, Origin, SCHEMA};
use crate::profile;
use crate::tool::{self, ToolError};
use machine::{Format, Nic};
use panda_host::Progress;
use rr_log::Target;

/// The name of its recipe, and of the guest unless another is given.
pub const RECIPE: &str = "debian";
const SUITE: &str = "bookworm";
/// What it has besides Debian's required packages.
const PACKAGES: &str = "systemd-sysv,udev,kmod,openssh-server,openssh-client,cron,ifupdown,udhcpc,iproute2,\
    iputils-ping,netbase,procps,less,curl,ca-certificates";
/// What its kernel is told: the console; to boot faster where nothing is lost by it; and to be at the same
/// addresses in every trace.
const APPEND: &str = "console=ttyS0 quiet panic=-1 cryptomgr.notests no_timer_check nokaslr net.ifnames=0 \
    systemd.show_status=false";
const MEMORY_MIB: u32 = 512;
/// As large as a guest may want it: what is not used takes no room.
const DISK_BYTES: u64 = 4 << 30;
/// The same packages give the same file system, so also this.
const UUID: &str = "70616e64-6163-6170-2d67-756573747321";

const KERNEL: &str = "vmlinuz";
const INITRAMFS: &str = "initramfs.cpio";
const DISK: &str = "disk.qcow2";
const KEY: &str = "ssh_key";

/// Makes the guest `name`; `agent` is recctrlu. Needs root, for the files of a guest belong to many users.
pub fn build(home: &Path, name: &str, agent: &Path, progress: &dyn Progress) -> Result<Guest, GuestError> {
    if !rustix::process::geteuid().is_root() {
        return Err(GuestError::Root);
    }
    let draft = Draft::claim(home, name)?;
    let files = |error| draft.files(error);
    let work = tempfile::tempdir_in(draft.folder()).map_err(files)?;
    let root = work.path().join("root");

    step(progress, "fetching Debian's packages and installing them (a minute)", || {
        let mut debootstrap = Command::new("debootstrap");
        debootstrap.args(["--variant=minbase", &format!("--include={PACKAGES}"), SUITE]).arg(&root);
        tool::run(&mut debootstrap)
    })?;
    let made = root.join("pandacap");
    prepare(&root, &made, agent).map_err(files)?;
    step(progress, "fetching the kernel, and setting up the guest", || {
        tool::run(Command::new("chroot").arg(&root).args(["sh", "/pandacap/customize.sh"]))
    })?;

    let read = |file: &str| fs::read_to_string(made.join(file)).map_err(files);
    let (epoch, packages) = (read("epoch")?, packages(&read("packages")?));
    fs::write(draft.folder().join(INITRAMFS), initramfs(&made).map_err(files)?).map_err(files)?;
    for file in [KERNEL, KEY] {
        fs::rename(made.join(file), draft.folder().join(file)).map_err(files)?;
    }
    fs::remove_dir_all(&made).map_err(files)?;
    step(progress, "making the disk", || {
        let raw = work.path().join("disk.raw");
        make_file_system(&root, &raw, epoch.trim())?;
        let mut convert = Command::new("qemu-img");
        convert.args(["convert", "-f", "raw", "-O", "qcow2"]).arg(raw).arg(draft.folder().join(DISK));
        tool::run(&mut convert)
    })?;
    work.close().map_err(files)?;
    let manifest = GuestManifest {
        schema: SCHEMA,
        target: Target::X86_64,
        memory_mib: MEMORY_MIB,
        kernel: Some(KERNEL.to_owned()),
        initramfs: Some(INITRAMFS.to_owned()),
        append: APPEND.to_owned(),
        disk: Some(GuestDisk { file: DISK.into(), format: Format::Qcow2, bytes: DISK_BYTES }),
        nic: Nic::from_str("e1000").ok(),
        booted: BootSign::Ssh(22),
        login: Some(Login { user: "root".to_owned(), key: KEY.to_owned() }),
        origin: Origin::Built { recipe: RECIPE.to_owned(), packages },
        files: BTreeMap::new(),
    };
    let _progress = progress.waiting("computing digests");
    profile::make_in(draft.folder(), KERNEL).map_err(|error| draft.files(error))?;
    draft.finish(manifest, false)
}

fn step<T>(
    progress: &dyn Progress,
    what: &str,
    act: impl FnOnce() -> Result<T, ToolError>,
) -> Result<T, ToolError> {
    let _progress = progress.waiting(what);
    act()
}

/// Installs pandacap's own files into the fresh Debian.
fn prepare(root: &Path, made: &Path, agent: &Path) -> io::Result<()> {
    fs::create_dir(made)?;
    fs::write(made.join("customize.sh"), include_str!("customize.sh"))?;
    let program = |path: PathBuf, content: &[u8]| {
        fs::write(&path, content)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))
    };
    program(root.join("usr/local/sbin/recctrlu"), &fs::read(agent)?)?;
    program(root.join("usr/local/sbin/recctrlu-setup"), include_bytes!("recctrlu-setup"))?;
    program(
        root.join("usr/sbin/pandacap-bootstrap"),
        include_bytes!("../bootstrap/guest/pandacap-bootstrap"),
    )?;
    fs::write(
        root.join("etc/systemd/system/pandacap-bootstrap.service"),
        include_bytes!("../bootstrap/guest/pandacap-bootstrap.service"),
    )
}

/// The initramfs: uncompressed, for nothing else unpacks faster in an emulator.
fn initramfs(made: &Path) -> io::Result<Vec<u8>> {
    let modules = made.join("modules");
    let mut names: Vec<_> =
        fs::read_dir(&modules)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
    // The names begin with numbers: the order in which the kernel needs them.
    names.sort();
    let folders = ["bin", "dev", "disk", "modules"].into_iter().fold(Archive::default(), Archive::folder);
    let busybox = fs::read(made.join("busybox"))?;
    let mut archive =
        folders.file("init", 0o755, include_bytes!("init.sh")).file("bin/busybox", 0o755, &busybox);
    for name in names {
        let module = fs::read(modules.join(&name))?;
        archive = archive.file(&format!("modules/{}", name.to_string_lossy()), 0o644, &module);
    }
    Ok(archive.finish())
}

/// An ext4 without a journal: each machine has a fresh copy, so that nothing is ever repaired.
fn make_file_system(root: &Path, raw: &Path, epoch: &str) -> Result<(), ToolError> {
    let mut mke2fs = Command::new("mke2fs");
    mke2fs.args(["-q", "-t", "ext4", "-O", "^has_journal,^metadata_csum", "-L", "debian", "-U", UUID]);
    mke2fs.args(["-E", &format!("hash_seed={UUID},lazy_itable_init=1"), "-d"]).arg(root).arg(raw);
    mke2fs.arg(format!("{}k", DISK_BYTES >> 10)).env("E2FSPROGS_FAKE_TIME", epoch);
    tool::run(&mut mke2fs).map(drop)
}

/// Reads lines of a package and its version.
fn packages(lines: &str) -> Vec<Package> {
    let mut packages: Vec<Package> = lines
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, version)| Package { name: name.to_owned(), version: version.to_owned() })
        .collect();
    packages.sort_by(|one, other| one.name.cmp(&other.name));
    packages
}
