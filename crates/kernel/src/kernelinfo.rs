//! A profile in the form that PANDA's plugin osi_linux reads, `kernelinfo.conf`.

use std::fmt::Write;

use kernel_profile::Profile;

/// The kernel has not all that osi_linux needs.
#[derive(Debug, thiserror::Error)]
#[error("osi_linux cannot follow this kernel: its profile has no {0}")]
pub struct KernelinfoError(String);

/// What osi_linux calls a member, and what the kernel does; the first of several that a kernel has.
const OFFSETS: &[(&str, &[&str])] = &[
    ("task.tasks_offset", &["task_struct.tasks"]),
    ("task.pid_offset", &["task_struct.pid"]),
    ("task.tgid_offset", &["task_struct.tgid"]),
    ("task.group_leader_offset", &["task_struct.group_leader"]),
    // Gone with Linux 6.7.
    ("task.thread_group_offset", &["task_struct.thread_group", "task_struct.thread_node"]),
    ("task.real_parent_offset", &["task_struct.real_parent"]),
    ("task.parent_offset", &["task_struct.parent"]),
    ("task.mm_offset", &["task_struct.mm"]),
    ("task.stack_offset", &["task_struct.stack"]),
    ("task.real_cred_offset", &["task_struct.real_cred"]),
    ("task.cred_offset", &["task_struct.cred"]),
    ("task.comm_offset", &["task_struct.comm"]),
    ("task.files_offset", &["task_struct.files"]),
    ("task.start_time_offset", &["task_struct.start_time"]),
    ("cred.uid_offset", &["cred.uid"]),
    ("cred.gid_offset", &["cred.gid"]),
    ("cred.euid_offset", &["cred.euid"]),
    ("cred.egid_offset", &["cred.egid"]),
    // Gone with Linux 6.1. osi_linux follows it as a list, so it gets a member that is always 0: no mappings, instead
    // of wrong ones.
    ("mm.mmap_offset", &["mm_struct.mmap", "mm_struct.uprobes_state"]),
    ("mm.pgd_offset", &["mm_struct.pgd"]),
    ("mm.arg_start_offset", &["mm_struct.arg_start"]),
    ("mm.start_brk_offset", &["mm_struct.start_brk"]),
    ("mm.brk_offset", &["mm_struct.brk"]),
    ("mm.start_stack_offset", &["mm_struct.start_stack"]),
    ("vma.vm_mm_offset", &["vm_area_struct.vm_mm"]),
    ("vma.vm_start_offset", &["vm_area_struct.vm_start"]),
    ("vma.vm_end_offset", &["vm_area_struct.vm_end"]),
    // Gone with it, and never looked at then.
    ("vma.vm_next_offset", &["vm_area_struct.vm_next", "vm_area_struct.vm_start"]),
    ("vma.vm_flags_offset", &["vm_area_struct.vm_flags"]),
    ("vma.vm_file_offset", &["vm_area_struct.vm_file"]),
    ("fs.f_path_dentry_offset", &["file.f_path.dentry"]),
    ("fs.f_path_mnt_offset", &["file.f_path.mnt"]),
    ("fs.f_pos_offset", &["file.f_pos"]),
    ("fs.fdt_offset", &["files_struct.fdt"]),
    ("fs.fdtab_offset", &["files_struct.fdtab"]),
    ("fs.fd_offset", &["fdtable.fd"]),
    ("qstr.name_offset", &["qstr.name"]),
    ("path.d_name_offset", &["dentry.d_name"]),
    ("path.d_iname_offset", &["dentry.d_iname", "dentry.d_shortname"]),
    ("path.d_parent_offset", &["dentry.d_parent"]),
    ("path.d_op_offset", &["dentry.d_op"]),
    ("path.d_dname_offset", &["dentry_operations.d_dname"]),
    ("path.mnt_root_offset", &["vfsmount.mnt_root"]),
];
const SIZES: &[(&str, &str)] = &[
    ("task.size", "task_struct"),
    ("task.comm_size", "task_struct.comm"),
    ("mm.size", "mm_struct"),
    ("vma.size", "vm_area_struct"),
    ("qstr.size", "qstr"),
];

/// The profile as a group of `kernelinfo.conf`, called NAME:BITS. osi_linux also wants to know `__per_cpu_offset[0]`, which
/// depends on the machine's memory and so is in no kernel: with 0, it learns the value once a program is switched to, and
/// PANDA ends if another plugin asks before.
pub fn kernelinfo(profile: &Profile, name: &str, per_cpu_offset_0: u64) -> Result<String, KernelinfoError> {
    let missing = |what: &str| KernelinfoError(what.to_owned());
    let offset = |name: &str| profile.offset(name).ok_or_else(|| missing(name));
    let symbol = |name: &str| profile.symbol(name).ok_or_else(|| missing(name));
    let current = match profile.symbol("current_task") {
        Some(address) => address,
        None => {
            // Linux 6.2 to 6.14 keep it in a structure.
            let hot = profile.symbol("pcpu_hot").ok_or_else(|| missing("current_task"))?;
            hot.wrapping_add(offset("pcpu_hot.current_task")?)
        }
    };
    // osi_linux goes from the vfsmount, which is in the mount.
    let mount = offset("mount.mnt")?;
    let in_mount = |name: &str| Ok(offset(name)?.cast_signed() - mount.cast_signed());

    let bits = profile.target.pointer_bytes() * 8;
    let mut text = format!("[{name}:{bits}]\nname = {}\n", profile.banner);
    let mut put = |key: &str, value: &dyn std::fmt::Display| {
        // A String takes everything.
        _ = writeln!(text, "{key} = {value}");
    };
    for (key, part) in ["version.a", "version.b", "version.c"].into_iter().zip(profile.version) {
        put(key, &part);
    }
    put("task.per_cpu_offsets_addr", &symbol("__per_cpu_offset")?);
    put("task.per_cpu_offset_0_addr", &per_cpu_offset_0);
    put("task.current_task_addr", &current);
    put("task.init_addr", &symbol("init_task")?);
    put("task.switch_task_hook_addr", &symbol("finish_task_switch")?);
    for (key, size) in SIZES {
        put(key, &profile.size(size).ok_or_else(|| missing(size))?);
    }
    for (key, names) in OFFSETS {
        let found = names.iter().find_map(|name| profile.offset(name));
        put(key, &found.ok_or_else(|| missing(names[0]))?);
    }
    put("path.mnt_parent_offset", &in_mount("mount.mnt_parent")?);
    put("path.mnt_mountpoint_offset", &in_mount("mount.mnt_mountpoint")?);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel_profile::{Architecture, SCHEMA};

    fn profile() -> Profile {
        let offsets = OFFSETS.iter().map(|(_, names)| (names[0].to_owned(), 8));
        let mount = ["mount.mnt", "mount.mnt_parent", "mount.mnt_mountpoint"].into_iter().zip([32, 16, 40]);
        let hot = [("pcpu_hot.current_task".to_owned(), 16)];
        let offsets = offsets.chain(mount.map(|(name, offset)| (name.to_owned(), offset))).chain(hot);
        let symbols = ["__per_cpu_offset", "init_task", "finish_task_switch", "pcpu_hot"];
        Profile {
            schema: SCHEMA,
            target: Architecture::X86_64,
            banner: "Linux version 6.12".to_owned(),
            version: [6, 12, 1],
            symbols: symbols.into_iter().map(|name| (name.to_owned(), 0x1000)).collect(),
            offsets: offsets.collect(),
            sizes: SIZES.iter().map(|(_, name)| ((*name).to_owned(), 64)).collect(),
        }
    }

    #[test]
    fn a_group_has_all_the_keys_of_osi_linux() {
        let text = kernelinfo(&profile(), "trace", 0).expect("complete");
        assert!(text.starts_with("[trace:64]\nname = Linux version 6.12\nversion.a = 6\n"), "{text}");
        assert_eq!(text.lines().filter(|line| line.contains(" = ")).count(), 59);
        for line in [
            "task.current_task_addr = 4112",
            "path.mnt_parent_offset = -16",
            "path.mnt_mountpoint_offset = 8",
        ] {
            assert!(text.lines().any(|own| own == line), "{line}: {text}");
        }
    }

    #[test]
    fn a_kernel_without_a_list_of_mappings_has_an_empty_one() {
        let mut profile = profile();
        profile.offsets.remove("mm_struct.mmap");
        profile.offsets.insert("mm_struct.uprobes_state".to_owned(), 900);
        let text = kernelinfo(&profile, "trace", 0).expect("complete");
        assert!(text.contains("\nmm.mmap_offset = 900\n"), "{text}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut profile = profile();
        profile.symbols.remove("finish_task_switch");
        let error = kernelinfo(&profile, "trace", 0).expect_err("incomplete").to_string();
        assert!(error.ends_with("no finish_task_switch"), "{error}");
    }
}
