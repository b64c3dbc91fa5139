//! A rendered bootstrap folder as a small disk: the same content gives the same bytes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sha2::{Digest, Sha256};

use super::render::write_runner;
use super::{Bootstrap, BootstrapError, GuestCommand, LABEL};
use files::FileDigest;

/// The programs that make it, both of e2fsprogs.
pub const MAKERS: [&str; 2] = ["mke2fs", "debugfs"];

const BLOCK: u64 = 4096;
/// Plain ext4, as kernels have known it from the start; it is never written to, so it has no journal.
const FEATURES: &str = "none,filetype,extent,sparse_super,large_file,ext_attr";
/// The time of everything on the disk; 0 would mean now.
const TIME: &str = "1";

/// A disk that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootstrapDisk {
    /// The file system's UUID: another one for another content. A guest runs each UUID once.
    pub uuid: String,
    /// The disk's size in bytes.
    pub bytes: u64,
}

/// Makes the disk `out`, replacing a file that is there: a bootstrap folder, a command, or both.
///
/// It is a raw image of an ext4 file system with the label [`LABEL`], to be attached read-only or as a throw-away.
/// Needs [`MAKERS`], and no root.
pub fn disk(
    bootstrap: Option<Bootstrap<'_>>,
    command: Option<GuestCommand<'_>>,
    out: &Path,
) -> Result<BootstrapDisk, BootstrapError> {
    let near = files::folder_of(out);
    let work = tempfile::Builder::new()
        .prefix(".bootstrap-")
        .tempdir_in(near)
        .map_err(BootstrapError::file("write to", near))?;
    let (folder, image) = (work.path().join("folder"), work.path().join("disk"));
    fs::create_dir(&folder).map_err(BootstrapError::file("make", &folder))?;
    match bootstrap {
        Some(bootstrap) => bootstrap.render(&folder)?,
        None => write_runner(&folder)?,
    }
    if let Some(command) = command {
        command.add_to(&folder)?;
    }

    let content = Content::of(&folder)?;
    let uuid_file = folder.join("uuid");
    fs::write(&uuid_file, format!("{}\n", content.uuid))
        .map_err(BootstrapError::file("write", &uuid_file))?;
    let bytes = make(&folder, &content, &image, out)?;
    fs::File::open(&image).and_then(|file| file.sync_all()).map_err(BootstrapError::file("write", &image))?;
    fs::rename(&image, out).map_err(BootstrapError::file("write", out))?;
    Ok(BootstrapDisk { uuid: content.uuid, bytes })
}

/// Makes the file system; its size in bytes.
fn make(folder: &Path, content: &Content, image: &Path, out: &Path) -> Result<u64, BootstrapError> {
    // Twice the folder, for what the file system needs itself, and a MiB.
    let blocks = content.blocks * 2 + 256;
    let inodes = content.inodes + 32;
    let uuid = &content.uuid;
    let mut mke2fs = Command::new(MAKERS[0]);
    mke2fs.args(["-q", "-F", "-L", LABEL, "-U", uuid, "-m", "0", "-I", "256", "-O", FEATURES]);
    mke2fs.args(["-b", &BLOCK.to_string(), "-N", &inodes.to_string()]);
    mke2fs.arg("-E").arg(format!("hash_seed={uuid},root_owner=0:0,lazy_itable_init=0"));
    mke2fs.arg("-d").arg(folder).arg(image).arg(blocks.to_string());
    run(MAKERS[0], &mut mke2fs, out)?;

    // mke2fs copies owners and times from the folder: everything belongs to root, at one time.
    let script = image.with_file_name("debugfs");
    let mut commands = String::new();
    for inode in [2].into_iter().chain(11..=11 + content.inodes) {
        for (field, value) in [("uid", "0"), ("gid", "0")] {
            commands.push_str(&format!("set_inode_field <{inode}> {field} {value}\n"));
        }
        for field in ["atime", "ctime", "mtime", "crtime"] {
            commands.push_str(&format!("set_inode_field <{inode}> {field} @{TIME}\n"));
        }
    }
    fs::write(&script, commands).map_err(BootstrapError::file("write", &script))?;
    run(MAKERS[1], Command::new(MAKERS[1]).arg("-w").arg("-f").arg(&script).arg(image), out)?;
    Ok(blocks * BLOCK)
}

/// What a rendered folder has in it, as far as the disk depends on it.
struct Content {
    uuid: String,
    blocks: u64,
    /// Files and folders below the folder.
    inodes: u64,
}

impl Content {
    fn of(folder: &Path) -> Result<Content, BootstrapError> {
        // The uuid file comes later.
        let (mut hasher, mut content) =
            (Sha256::new(), Content { uuid: String::new(), blocks: 1, inodes: 1 });
        content.add(folder, Path::new(""), &mut hasher)?;
        // Version 8: the bits are ours to choose.
        let mut id: [u8; 16] = std::array::from_fn({
            let digest = hasher.finalize();
            move |index| digest[index]
        });
        id[6] = 0x80 | id[6] & 0x0f;
        id[8] = 0x80 | id[8] & 0x3f;
        let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        content.uuid = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
        Ok(content)
    }

    fn add(&mut self, root: &Path, below: &Path, hasher: &mut Sha256) -> Result<(), BootstrapError> {
        use std::os::unix::{ffi::OsStrExt, fs::PermissionsExt};

        let folder = root.join(below);
        let read = BootstrapError::file("read", &folder);
        let names: io::Result<Vec<_>> =
            fs::read_dir(&folder).and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect());
        let mut names = names.map_err(read)?;
        names.sort();
        for name in names {
            let (relative, path) = (below.join(&name), folder.join(&name));
            let metadata = fs::metadata(&path).map_err(BootstrapError::file("read", &path))?;
            self.inodes += 1;
            self.blocks += metadata.len().div_ceil(BLOCK).max(1);
            // A name has no NUL, so no other tree gives the same bytes.
            hasher.update(relative.as_os_str().as_bytes());
            hasher.update(format!("\0{:o}\0", metadata.permissions().mode()));
            if metadata.is_dir() {
                self.add(root, &relative, hasher)?;
            } else {
                let digest = FileDigest::of(&path).map_err(BootstrapError::file("read", &path))?;
                hasher.update(digest.sha256);
            }
        }
        Ok(())
    }
}

/// Runs one of e2fsprogs' programs, which a user's PATH need not have; each says on standard error what it could
/// not do, and debugfs exits with 0 all the same.
fn run(program: &'static str, command: &mut Command, out: &Path) -> Result<(), BootstrapError> {
    command.env("MKE2FS_CONFIG", "/dev/null").env("E2FSPROGS_FAKE_TIME", TIME).env("SOURCE_DATE_EPOCH", TIME);
    let output = output(program, command).map_err(|source| BootstrapError::Program { program, source })?;
    let said = String::from_utf8_lossy(&output.stderr);
    let complaints: Vec<&str> =
        said.lines().filter(|line| !line.is_empty() && !line.starts_with("debugfs 1.")).collect();
    if output.status.success() && (program != MAKERS[1] || complaints.is_empty()) {
        return Ok(());
    }
    Err(BootstrapError::Disk { program, path: out.to_owned(), said: complaints.join("; ") })
}

fn output(program: &str, command: &mut Command) -> io::Result<Output> {
    command.env("LC_ALL", "C").stdin(Stdio::null());
    log::info!("{}", machine::shell(command));
    match command.output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut elsewhere = Command::new(PathBuf::from("/usr/sbin").join(program));
            elsewhere.args(command.get_args()).stdin(Stdio::null());
            elsewhere.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
            elsewhere.output()
        }
        output => output,
    }
}
