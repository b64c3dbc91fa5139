//! Where the members of the kernel's structs are, looked up once.

use kernel_profile::Profile;

use crate::Unfollowable;

macro_rules! layout {
    ($($(#[$doc:meta])* $field:ident: $member:literal,)*) => {
        /// Offsets in bytes, by struct and member.
        #[derive(Clone, Debug)]
        pub struct Layout {
            $($(#[$doc])* #[doc = concat!("`", $member, "`")] pub $field: u64,)*
            /// `current_task`'s offset from the symbol that it is part of.
            pub current_in_symbol: u64,
        }

        impl Layout {
            /// Looks all of them up.
            ///
            /// # Errors
            ///
            /// The profile lacks one.
            pub fn of(profile: &Profile) -> Result<Layout, Unfollowable> {
                Ok(Layout {
                    $($field: offset(profile, $member)?,)*
                    current_in_symbol: match profile.symbol("current_task") {
                        Some(_) => 0,
                        None => offset(profile, "pcpu_hot.current_task")?,
                    },
                })
            }

            /// The members that a profile needs.
            #[cfg(test)]
            pub(crate) const MEMBERS: &[&str] = &[$($member),*];
        }
    };
}

layout! {
    task_pid: "task_struct.pid",
    task_tgid: "task_struct.tgid",
    task_comm: "task_struct.comm",
    task_flags: "task_struct.flags",
    task_mm: "task_struct.mm",
    task_parent: "task_struct.real_parent",
    task_cred: "task_struct.cred",
    task_files: "task_struct.files",
    task_fs: "task_struct.fs",
    task_signal: "task_struct.signal",
    task_tasks: "task_struct.tasks",
    signal_live: "signal_struct.live",
    cred_uid: "cred.uid",
    cred_capabilities: "cred.cap_effective",
    mm_arg_start: "mm_struct.arg_start",
    mm_arg_end: "mm_struct.arg_end",
    mm_env_start: "mm_struct.env_start",
    mm_env_end: "mm_struct.env_end",
    mm_exe_file: "mm_struct.exe_file",
    fs_pwd: "fs_struct.pwd",
    files_fdt: "files_struct.fdt",
    fdtable_max: "fdtable.max_fds",
    fdtable_fd: "fdtable.fd",
    file_path: "file.f_path",
    file_inode: "file.f_inode",
    file_private: "file.private_data",
    path_mnt: "path.mnt",
    path_dentry: "path.dentry",
    dentry_parent: "dentry.d_parent",
    dentry_name: "dentry.d_name.name",
    vfsmount_root: "vfsmount.mnt_root",
    mount_vfsmount: "mount.mnt",
    mount_parent: "mount.mnt_parent",
    mount_mountpoint: "mount.mnt_mountpoint",
    inode_mode: "inode.i_mode",
    inode_number: "inode.i_ino",
    inode_device: "inode.i_rdev",
    socket_sk: "socket.sk",
    socket_type: "socket.type",
    sock_family: "sock.__sk_common.skc_family",
    sock_peer: "sock.__sk_common.skc_daddr",
    sock_local: "sock.__sk_common.skc_rcv_saddr",
    sock_peer_port: "sock.__sk_common.skc_dport",
    sock_local_port: "sock.__sk_common.skc_num",
    sock_peer_6: "sock.__sk_common.skc_v6_daddr",
    sock_local_6: "sock.__sk_common.skc_v6_rcv_saddr",
}

/// The offset of a member, of a member's member if need be: `dentry.d_name.name` is `dentry.d_name` and `qstr.name`.
fn offset(profile: &Profile, member: &'static str) -> Result<u64, Unfollowable> {
    profile.offset(member).ok_or(Unfollowable::Offset(member))
}
