//! The types of the symbols that Volatility's plugins read. BTF tells only those of per-processor variables.

use serde_json::{Value, json};

use super::{DEPTH, Isf};

/// Symbols by their types: a structure, a number, `*` for a pointer to it.
const TYPES: &[(&str, &str)] = &[
    ("task_struct", "init_task"),
    ("mm_struct", "init_mm"),
    ("cred", "init_cred"),
    ("files_struct", "init_files"),
    ("fs_struct", "init_fs"),
    ("signal_struct", "init_signals"),
    ("sighand_struct", "init_sighand"),
    ("nsproxy", "init_nsproxy"),
    ("pid_namespace", "init_pid_ns"),
    ("user_namespace", "init_user_ns"),
    ("uts_namespace", "init_uts_ns"),
    ("ipc_namespace", "init_ipc_ns"),
    ("time_namespace", "init_time_ns"),
    ("cgroup_namespace", "init_cgroup_ns"),
    ("net", "init_net"),
    ("list_head", "modules tty_drivers net_namespace_list super_blocks bpf_kallsyms ftrace_mod_maps"),
    ("idr", "prog_idr map_idr"),
    ("resource", "iomem_resource ioport_resource"),
    ("mod_tree_root", "mod_tree"),
    ("blocking_notifier_head", "reboot_notifier_list"),
    ("atomic_notifier_head", "keyboard_notifier_list panic_notifier_list"),
    ("file_operations", "socket_file_ops pipefifo_fops tty_fops"),
    ("dentry_operations", "sockfs_dentry_operations"),
    ("cpuinfo_x86", "boot_cpu_data"),
    ("*kset", "module_kset"),
    ("*printk_ringbuffer", "prb"),
    ("*ftrace_ops", "ftrace_ops_list"),
    ("*file_system_type", "file_systems"),
    ("*page", "mem_map"),
    ("*char", "log_buf saved_command_line"),
    ("ftrace_ops", "ftrace_list_end"),
    (
        "long unsigned int",
        "jiffies page_offset_base vmalloc_base vmemmap_base phys_base high_memory max_pfn module_addr_min \
      module_addr_max",
    ),
    ("unsigned int", "log_buf_len kallsyms_num_syms log_first_idx log_next_idx nr_cpu_ids pidhash_shift"),
    ("int", "cap_last_cap num_registered_fb overflowuid"),
];

/// The type of a symbol, if it is known and the kernel has it.
pub(super) fn of(symbol: &str, isf: &Isf<'_>) -> Option<Value> {
    let (name, _) = TYPES.iter().find(|(_, symbols)| symbols.split_whitespace().any(|own| own == symbol))?;
    let (name, pointer) = name.strip_prefix('*').map_or((*name, false), |name| (name, true));
    let of = match isf.names.get(name) {
        Some(id) => isf.describe(id, DEPTH),
        None if name == "char" || name.ends_with("int") => json!({ "kind": "base", "name": name }),
        None => return None,
    };
    Some(if pointer { json!({ "kind": "pointer", "subtype": of }) } else { of })
}
