//! Open files, and their paths through dentries and mounts.

use crate::guest::Guest;
use crate::task::Task;

/// How deep a path is followed, and through how many mounts: a forged one may have no end.
const DEPTH: usize = 128;
const MOUNTS: usize = 32;
/// The longest name in a folder.
const NAME: usize = 255;
/// The kind of a file, in its mode.
const KIND: u16 = 0o170_000;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    Regular,
    /// A folder.
    Folder,
    /// A character device, by its major and minor number.
    Characters(u32, u32),
    /// A block device, likewise.
    Blocks(u32, u32),
    /// A pipe.
    Pipe,
    /// A socket.
    Socket,
    /// What has none of the kinds of files: an epoll and its like.
    Other,
}

impl Kind {
    /// Whether it is a terminal that programs run on: a serial port, a virtual console or a pseudo-terminal.
    pub fn is_terminal(self) -> bool {
        matches!(self, Kind::Characters(4 | 136..=143 | 204, _))
    }
}

/// An open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct File {
    /// Where the kernel keeps it.
    pub address: u64,
    /// Its dentry, which stays the same while it is open.
    pub dentry: u64,
    mount: u64,
    inode: u64,
}

impl Guest<'_> {
    /// The file that a task has open as `fd`.
    pub fn file(&self, task: &Task, fd: i32) -> Option<File> {
        let layout = &self.kernel.layout;
        let fd = u32::try_from(fd).ok()?;
        let files = self.member(task, layout.task_files)?;
        let table = self.pointer(files, layout.files_fdt)?;
        if fd >= self.machine.u32(table.wrapping_add(layout.fdtable_max))? {
            return None;
        }
        let array = self.pointer(table, layout.fdtable_fd)?;
        self.file_at(self.pointer(array, 8 * u64::from(fd))?)
    }

    /// The open file at an address.
    pub fn file_at(&self, address: u64) -> Option<File> {
        let layout = &self.kernel.layout;
        let path = address.wrapping_add(layout.file_path);
        Some(File {
            address,
            dentry: self.pointer(path, layout.path_dentry)?,
            mount: self.pointer(path, layout.path_mnt)?,
            inode: self.pointer(address, layout.file_inode)?,
        })
    }

    /// What a file is.
    pub fn kind(&self, file: &File) -> Option<Kind> {
        let layout = &self.kernel.layout;
        let mode = self.machine.u16(file.inode.wrapping_add(layout.inode_mode))?;
        let device = || {
            let device = self.machine.u32(file.inode.wrapping_add(layout.inode_device)).unwrap_or_default();
            (device >> 20, device & 0xf_ffff)
        };
        Some(match mode & KIND {
            0o100_000 => Kind::Regular,
            0o040_000 => Kind::Folder,
            0o020_000 => Kind::Characters(device().0, device().1),
            0o060_000 => Kind::Blocks(device().0, device().1),
            0o010_000 => Kind::Pipe,
            0o140_000 => Kind::Socket,
            _ => Kind::Other,
        })
    }

    /// The path of a file as a process sees it that has not changed its root; for what has none, what `/proc` shows:
    /// `socket:[1234]`. What can't be followed begins with `?`.
    pub fn path(&self, file: &File) -> Vec<u8> {
        let number = || self.machine.u64(file.inode.wrapping_add(self.kernel.layout.inode_number));
        match self.kind(file) {
            Some(Kind::Socket) => format!("socket:[{}]", number().unwrap_or_default()).into_bytes(),
            Some(Kind::Pipe) => match self.walk(file.mount, file.dentry) {
                // A pipe with a name has a path like any file.
                path if path.len() > 1 && path.starts_with(b"/") => path,
                _ => format!("pipe:[{}]", number().unwrap_or_default()).into_bytes(),
            },
            Some(Kind::Other) => {
                let name = self.dentry_name(file.dentry).unwrap_or_default();
                [b"anon_inode:", &*name].concat()
            }
            _ => self.walk(file.mount, file.dentry),
        }
    }

    /// The running task's working directory.
    pub fn working_directory(&self) -> Option<Vec<u8>> {
        let layout = &self.kernel.layout;
        let pwd = self.member(self.current.as_ref()?, layout.task_fs)?.wrapping_add(layout.fs_pwd);
        let mount = self.pointer(pwd, layout.path_mnt)?;
        Some(self.walk(mount, self.pointer(pwd, layout.path_dentry)?))
    }

    fn dentry_name(&self, dentry: u64) -> Option<Vec<u8>> {
        let name = self.pointer(dentry, self.kernel.layout.dentry_name)?;
        Some(self.machine.text(name, NAME))
    }

    /// The path of a dentry below a mount, from the root on.
    fn walk(&self, vfsmount: u64, dentry: u64) -> Vec<u8> {
        let mut names: Vec<Vec<u8>> = Vec::new();
        let whole = self.climb(vfsmount, dentry, &mut names);
        let mut path = if whole.is_some() { Vec::new() } else { b"?".to_vec() };
        for name in names.iter().rev() {
            path.push(b'/');
            path.extend(name);
        }
        if path.is_empty() { b"/".to_vec() } else { path }
    }

    /// Collects the names from a dentry up to the root; `None` if it is not reached.
    fn climb(&self, mut vfsmount: u64, mut dentry: u64, names: &mut Vec<Vec<u8>>) -> Option<()> {
        let layout = &self.kernel.layout;
        for _ in 0..MOUNTS {
            let root = self.pointer(vfsmount, layout.vfsmount_root)?;
            while dentry != root {
                if names.len() >= DEPTH {
                    return None;
                }
                let parent = self.pointer(dentry, layout.dentry_parent)?;
                let name = self.dentry_name(dentry)?;
                if parent == dentry {
                    // A file of a file system that is nowhere mounted, as memfds have it.
                    names.extend((name != b"/").then_some(name));
                    return Some(());
                }
                names.push(name);
                dentry = parent;
            }
            let mount = vfsmount.wrapping_sub(layout.mount_vfsmount);
            let parent = self.pointer(mount, layout.mount_parent)?;
            if parent == mount {
                return Some(());
            }
            dentry = self.pointer(mount, layout.mount_mountpoint)?;
            vfsmount = parent.wrapping_add(layout.mount_vfsmount);
        }
        None
    }
}
