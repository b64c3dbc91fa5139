//! Untrusted images: an image can open no file but itself.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use assert_cmd::assert::Assert;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use tempfile::TempDir;
use testkit::program::pandacap;

const SECRET: &[u8] = b"what only the user may read";
const MIB: usize = 1 << 20;

/// An attacker's folder, a file outside it, and a home to import into.
struct Lab {
    dir: TempDir,
}

impl Lab {
    fn new() -> Lab {
        let lab = Lab { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(lab.path("theirs")).unwrap();
        let mut secret = SECRET.to_vec();
        secret.resize(MIB, 0);
        fs::write(lab.path("secret"), secret).unwrap();
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A qcow2 with this backing file, which need not exist.
    fn backed(&self, name: &str, backing: &str, format: &str) -> PathBuf {
        let image = self.path("theirs").join(name);
        let mut create = Process::new("qemu-img");
        create.args(["create", "-q", "-u", "-f", "qcow2", "-b", backing, "-F", format]).arg(&image).arg("1M");
        // Backing files are resolved relative to the image's folder.
        assert!(create.current_dir(self.path("theirs")).status().unwrap().success(), "{create:?}");
        image
    }

    fn import(&self, image: &Path, more: &[&str]) -> Assert {
        let mut import = pandacap(&self.path("home"));
        import.current_dir(self.path("theirs")).args(["guest", "import", "g"]).args(more);
        import.arg("--disk").arg(image).assert()
    }

    /// Asserts that every command that takes an image refuses this one, says why, and copies nothing.
    fn refuse(&self, image: &Path, more: &[&str], why: &str) {
        let why = || contains(why.to_owned()).and(contains(image.file_name().unwrap().to_str().unwrap()));
        self.import(image, more).code(1).stderr(why());
        assert!(!self.path("home/guests/g").exists());
        for command in [&["rec", "--dry-run"][..], &["maint", "--dry-run", "--mem", "64"]] {
            let mut run = pandacap(&self.path("home"));
            run.args(command).args(more).arg("--disk").arg(image);
            run.assert().code(1).stderr(why());
        }
    }

    /// The content of the imported guest's disk; the guest is then removed.
    fn imported(&self) -> Vec<u8> {
        let disk = self.path("home/guests/g/disk.qcow2");
        let mut convert = Process::new("qemu-img");
        convert.args(["convert", "-f", "qcow2", "-O", "raw"]).arg(disk).arg(self.path("raw"));
        assert!(convert.status().unwrap().success());
        fs::remove_dir_all(self.path("home/guests/g")).unwrap();
        fs::read(self.path("raw")).unwrap()
    }
}

#[test]
fn an_image_cannot_read_host_files_through_a_backing_file() {
    let lab = Lab::new();
    let secret = lab.path("secret");
    let image = lab.backed("image", secret.to_str().unwrap(), "raw");
    lab.refuse(&image, &[], "--allow-backing");
    // An image in the same folder is allowed, but no link.
    lab.refuse(&image, &["--allow-backing"], "not in the same folder");
    symlink(&secret, lab.path("theirs/link")).unwrap();
    for elsewhere in ["../secret", "link", "../theirs/image"] {
        let image = lab.backed("elsewhere", elsewhere, "raw");
        lab.refuse(&image, &["--allow-backing"], "not in the same folder");
    }
}

#[test]
fn a_backing_file_beside_the_image_is_read_if_allowed() {
    let lab = Lab::new();
    fs::rename(lab.path("secret"), lab.path("theirs/base")).unwrap();
    let image = lab.backed("image", "base", "raw");
    let top = lab.backed("top", image.to_str().unwrap(), "qcow2");
    lab.refuse(&top, &[], "--allow-backing");
    lab.import(&top, &["--allow-backing"]).success();
    assert!(lab.imported().starts_with(SECRET));

    // Every file of the chain is checked, and an endless chain is refused.
    let unsaid = lab.backed("unsaid", "base", "raw");
    let mut bytes = fs::read(&unsaid).unwrap();
    let format = bytes.windows(4).position(|word| word == [0xe2, 0x79, 0x2a, 0xca]).unwrap();
    bytes[format..format + 4].copy_from_slice(b"none");
    fs::write(&unsaid, bytes).unwrap();
    lab.refuse(&unsaid, &["--allow-backing"], "but not its format");
    lab.backed("image", "top", "qcow2");
    lab.refuse(&top, &["--allow-backing"], "leads back to itself");
}

#[test]
fn an_image_cannot_cause_network_connections() {
    let lab = Lab::new();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let at = server.local_addr().unwrap();
    let json = format!(r#"json:{{"driver":"nbd","host":"127.0.0.1","port":"{}"}}"#, at.port());
    for name in [format!("nbd://{at}/x"), format!("nbd:{at}"), format!("http://{at}/x"), json] {
        let image = lab.backed("image", &name, "raw");
        lab.refuse(&image, &[], "--allow-backing");
        lab.refuse(&image, &["--allow-backing"], "not a plain file name");
        // As an argument, it is a file that does not exist.
        lab.import(Path::new(&name), &[]).code(1).stderr(contains("No such file"));
    }
    assert_eq!(server.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "something connected");

    // A file may also have such a name.
    fs::copy(lab.path("secret"), lab.path("theirs/nbd:x")).unwrap();
    lab.import(Path::new("nbd:x"), &[]).success();
    assert!(lab.imported().starts_with(SECRET));
}

#[test]
fn an_image_cannot_read_host_files_through_another_format() {
    let lab = Lab::new();
    let secret = lab.path("secret");
    let descriptor = format!(
        "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\n\
         RW 2048 FLAT \"{}\" 0\nddb.adapterType = \"ide\"\nddb.geometry.cylinders = \"2\"\n\
         ddb.geometry.heads = \"16\"\nddb.geometry.sectors = \"63\"\n",
        secret.display()
    );
    let image = lab.path("theirs/image");
    // In whole sectors, so that it could be a raw image as well.
    fs::write(&image, format!("{descriptor:\n<512}")).unwrap();
    lab.refuse(&image, &[], "VMDK");

    let mut create = Process::new("qemu-img");
    let data = format!("data_file={},data_file_raw=on", lab.path("theirs/data").display());
    let image = lab.path("theirs/split");
    create.args(["create", "-q", "-f", "qcow2", "-o", &data]).arg(&image).arg("1M");
    assert!(create.status().unwrap().success());
    for more in [&[][..], &["--allow-backing"], &["--format", "qcow2"]] {
        lab.refuse(&image, more, "external data file");
    }
}

#[test]
fn a_raw_image_stays_raw_even_if_its_guest_writes_a_qcow2_header() {
    let lab = Lab::new();
    let image = lab.path("theirs/image");
    fs::write(&image, vec![1; MIB]).unwrap();
    lab.import(&image, &[]).success();
    assert!(lab.imported().starts_with(&[1; 512]));

    // What a guest could do with its disk: write a header of another format, with the secret as its backing file.
    let evil = fs::read(lab.backed("evil", lab.path("secret").to_str().unwrap(), "raw")).unwrap();
    let mut disk = vec![1; MIB];
    disk[..evil.len()].copy_from_slice(&evil);
    fs::write(&image, &disk).unwrap();
    lab.refuse(&image, &[], "was raw before");
    lab.refuse(&image, &["--format", "qcow2"], "--allow-backing");
    lab.import(&image, &["--format", "raw"]).success();
    assert_eq!(lab.imported(), disk);
    // The decision is remembered.
    lab.refuse(&image, &[], "was raw before");
}
