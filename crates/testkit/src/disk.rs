//! A small, fast guest with a disk: the tiny guest's kernel with its IDE driver, and an ext4 with busybox.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::sync::OnceLock;

use assert_cmd::Command;
use guest::bootstrap::guest::{HOOK, HOOK_NAME};
use guest::cpio::Archive;
use lzma_rust2::XzReader;
use rr_log::Target;
use tempfile::TempDir;

use crate::checkout::{dist, scratch};
use crate::program::{home, pandacap};
use crate::run;

/// The modules for an IDE disk, in loading order.
const MODULES: [&str; 5] = ["scsi/scsi_common", "scsi/scsi_mod", "ata/libata", "ata/ata_piix", "scsi/sd_mod"];

/// The drivers for virtio disks, in loading order: modules, unless built into the kernel.
const VIRTIO: [&str; 6] = [
    "virtio/virtio_ring",
    "virtio/virtio",
    "virtio/virtio_pci_legacy_dev",
    "virtio/virtio_pci_modern_dev",
    "virtio/virtio_pci",
    "block/virtio_blk",
];

/// The first process of the initramfs: finds the disk and switches to it.
const INITRAMFS_INIT: &str = "#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t devtmpfs none /dev
for module in 0 1 2 3 4; do insmod /modules/$module.ko; done
mount -t ext4 /dev/sda /disk
exec switch_root /disk /bin/init
";

/// The first process on the disk: runs the test's script, then powers off.
const INIT: &str = "#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/
mount -t devtmpfs none /dev; mount -t proc none /proc; mount -o remount,rw /
. /script
sync; poweroff -f
";

/// The kernel's command line.
pub const APPEND: &str = "console=ttyS0 quiet panic=-1 no_timer_check";

struct Parts {
    kernel: PathBuf,
    drivers: PathBuf,
    initramfs: PathBuf,
    busybox: PathBuf,
    agent: PathBuf,
}

/// Debian's packages with kernel and busybox, unpacked once and kept in cargo's target folder.
fn parts() -> &'static Parts {
    static PARTS: OnceLock<Parts> = OnceLock::new();
    PARTS.get_or_init(|| {
        let tiny = guest::tiny::ready(home(), None, Target::X86_64, &panda_host::progress::Silent).unwrap();
        let kernel =
            &tiny.packages().iter().find(|package| package.name.starts_with("linux-image")).unwrap().name;
        let folder = scratch().join(format!("disk-{kernel}"));
        if !folder.is_dir() {
            let work = tempfile::tempdir_in(scratch()).unwrap();
            run(Process::new("apt-get")
                .args(["-qq", "download", kernel, "busybox-static"])
                .current_dir(&work));
            for package in fs::read_dir(&work).unwrap().map(|entry| entry.unwrap().path()) {
                run(Process::new("dpkg-deb").arg("-x").arg(package).arg(work.path().join("root")));
            }
            fs::rename(work.path().join("root"), &folder).unwrap();
        }
        let busybox = packaged(&folder, "bin/busybox");
        let version = kernel.strip_prefix("linux-image-").unwrap();
        let drivers = packaged(&folder, &format!("lib/modules/{version}/kernel/drivers"));
        let folders = ["bin", "dev", "disk", "modules"].into_iter().fold(Archive::default(), Archive::folder);
        let mut archive = folders.file("init", 0o755, INITRAMFS_INIT.as_bytes()).file(
            "bin/busybox",
            0o755,
            &fs::read(&busybox).unwrap(),
        );
        for (index, name) in MODULES.iter().enumerate() {
            let module = module(&drivers, name).unwrap_or_else(|| panic!("{kernel} has no module {name}"));
            archive = archive.file(&format!("modules/{index}.ko"), 0o644, &module);
        }
        let initramfs = folder.join("initramfs");
        fs::write(&initramfs, archive.finish()).unwrap();
        let agent = dist().join("x86_64/recctrlu");
        Parts { kernel: tiny.kernel().unwrap(), drivers, initramfs, busybox, agent }
    })
}

/// A file or folder of unpacked packages, which is in `usr` on Debian 13 and beside it on Debian 12.
fn packaged(folder: &Path, path: &str) -> PathBuf {
    let places = [folder.join(path), folder.join("usr").join(path)];
    places
        .into_iter()
        .find(|place| place.exists())
        .unwrap_or_else(|| panic!("no {path} in {}", folder.display()))
}

/// A module, uncompressed if necessary, as on Debian 13; none if it is built into the kernel.
fn module(drivers: &Path, name: &str) -> Option<Vec<u8>> {
    let plain = drivers.join(format!("{name}.ko"));
    if plain.exists() {
        return Some(fs::read(plain).unwrap());
    }
    let packed = File::open(drivers.join(format!("{name}.ko.xz"))).ok()?;
    let mut module = Vec::new();
    XzReader::new(packed, false).read_to_end(&mut module).unwrap();
    Some(module)
}

/// The kernel that boots the disk.
pub fn kernel() -> &'static Path {
    &parts().kernel
}

/// That kernel's modules for virtio disks, in loading order.
pub fn virtio() -> Vec<Vec<u8>> {
    VIRTIO.iter().filter_map(|name| module(&parts().drivers, name)).collect()
}

/// Its initramfs.
pub fn initramfs() -> &'static Path {
    &parts().initramfs
}

/// Creates the image `disk.img` in `folder`, which runs `script` when it is booted.
pub fn image(folder: &Path, script: &str) -> PathBuf {
    image_of(folder, script, &[])
}

/// The same, with additional programs or other files.
fn image_of(folder: &Path, script: &str, files: &[(&str, &[u8])]) -> PathBuf {
    let root = tempfile::tempdir_in(folder).unwrap();
    for name in ["bin", "dev", "proc", "run", "var"] {
        fs::create_dir(root.path().join(name)).unwrap();
    }
    fs::copy(&parts().busybox, root.path().join("bin/busybox")).unwrap();
    fs::copy(&parts().agent, root.path().join("bin/recctrlu")).unwrap();
    fs::write(root.path().join("bin/init"), INIT).unwrap();
    for (name, content) in files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    run(Process::new("chmod").args(["-R", "755"]).arg(root.path().join("bin")));
    fs::write(root.path().join("script"), script).unwrap();
    let image = folder.join("disk.img");
    run(Process::new("mke2fs").args(["-q", "-t", "ext4", "-d"]).arg(root.path()).arg(&image).arg("16M"));
    image
}

/// An image that runs its bootstrap disk when it is booted, and then `script`.
pub fn bootstrapping(folder: &Path, script: &str) -> PathBuf {
    let modules = virtio();
    let names: Vec<String> = (0..modules.len()).map(|index| format!("virtio/{index}.ko")).collect();
    let mut files: Vec<(&str, &[u8])> =
        names.iter().zip(&modules).map(|(name, module)| (&**name, &**module)).collect();
    let hook = format!("bin/{HOOK_NAME}");
    files.push((&hook, HOOK.as_bytes()));
    let insmod: String = names.iter().map(|name| format!("insmod /{name}\n")).collect();
    image_of(folder, &format!("{insmod}{HOOK_NAME}\n{script}"), &files)
}

/// A folder with an image in it, which runs `script` when it is booted.
pub fn image_that_runs(script: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path(), script);
    (dir, image)
}

/// `pandacap rec` on an image, with traces in the folder `traces` beside it.
pub fn rec(image: &Path) -> Command {
    let mut command = pandacap(home());
    command.args(["rec", "--mem", "128", "--append", APPEND, "--out"]).arg(image.with_file_name("traces"));
    command.arg("--disk").arg(image).arg("--kernel").arg(kernel()).arg("--initrd").arg(initramfs());
    command
}
