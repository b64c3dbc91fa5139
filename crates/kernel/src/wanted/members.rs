//! The members of structures.

/// The members by structure. The sizes of the structures and of these members go into a profile too.
pub(crate) const MEMBERS: &[(&str, &str)] = &[
    // Tasks.
    (
        "task_struct",
        "thread_info thread_info.flags thread_info.status thread_info.cpu thread_info.syscall_work __state state \
         stack usage flags ptrace on_cpu cpu recent_used_cpu tasks mm active_mm exit_state exit_code exit_signal \
         pdeath_signal personality in_execve atomic_flags pid tgid real_parent parent children sibling group_leader \
         ptraced ptrace_entry thread_pid pid_links thread_group thread_node vfork_done set_child_tid clear_child_tid \
         utime stime start_time start_boottime real_start_time ptracer_cred real_cred cred cached_requested_key comm \
         fs files io_uring nsproxy signal sighand blocked real_blocked saved_sigmask pending sas_ss_sp sas_ss_size \
         task_works audit_context loginuid sessionid seccomp seccomp.mode parent_exec_id self_exec_id journal_info \
         bio_list cgroups robust_list thread thread.sp thread.sp0 thread.fsbase thread.gsbase thread.fs thread.gs \
         thread.tls_array thread.cpu_context thread.cpu_context.sp thread.uw.tp_value thread.tp_value splice_pipe \
         task_frag delays",
    ),
    ("thread_info", "flags status cpu task addr_limit preempt_count syscall_work"),
    ("thread_struct", "sp sp0 sp1 fsbase gsbase fs gs tls_array cr2 trap_nr error_code cpu_context"),
    ("pcpu_hot", "current_task preempt_count cpu_number top_of_stack"),
    ("rq", "curr idle cpu"),
    (
        "pt_regs",
        "r15 r14 r13 r12 bp bx r11 r10 r9 r8 ax cx dx si di orig_ax ip cs flags sp ss ds es fs gs uregs regs \
         pc pstate orig_x0 syscallno user_regs",
    ),
    ("list_head", "next prev"),
    ("hlist_head", "first"),
    ("hlist_node", "next pprev"),
    ("rb_root", "rb_node"),
    ("rb_node", "__rb_parent_color rb_right rb_left"),
    ("callback_head", "next func"),
    // Users.
    (
        "cred",
        "usage uid gid suid sgid euid egid fsuid fsgid securebits cap_inheritable cap_permitted cap_effective \
         cap_bset cap_ambient jit_keyring session_keyring process_keyring thread_keyring security user user_ns ucounts \
         group_info non_rcu",
    ),
    ("group_info", "usage ngroups gid"),
    ("user_struct", "uid __count processes"),
    ("kernel_cap_struct", "cap val"),
    // Signals.
    (
        "signal_struct",
        "sigcnt live nr_threads quick_threads thread_head curr_target shared_pending group_exit_code notify_count \
         group_exec_task group_exit_task group_stop_count flags is_child_subreaper has_child_subreaper pids \
         tty_old_pgrp leader tty rlim oom_score_adj cred_guard_mutex exec_update_lock audit_tty",
    ),
    ("sighand_struct", "siglock count signalfd_wqh action"),
    ("k_sigaction", "sa"),
    ("sigaction", "sa_handler sa_flags sa_restorer sa_mask"),
    ("sigpending", "list signal"),
    ("sigqueue", "list flags info"),
    (
        "kernel_siginfo",
        "si_signo si_errno si_code _sifields _sifields._kill._pid _sifields._kill._uid _sifields._rt._pid \
         _sifields._rt._uid _sifields._sigchld._pid _sifields._sigfault._addr",
    ),
    ("ksignal", "ka info sig"),
    // Memory of programs.
    (
        "mm_struct",
        "mmap mm_mt mm_rb mmap_base task_size pgd mm_users mm_count map_count mmlist total_vm locked_vm pinned_vm \
         data_vm exec_vm stack_vm def_flags start_code end_code start_data end_data start_brk brk start_stack \
         arg_start arg_end env_start env_end saved_auxv binfmt context context.vdso context.ia32_compat context.flags \
         flags owner user_ns exe_file uprobes_state mm_id",
    ),
    ("maple_tree", "ma_lock ma_flags ma_root"),
    ("maple_node", "parent slot pad rcu piv_parent parent_slot type slot_len ma_flags mr64 ma64 alloc"),
    ("maple_range_64", "parent pivot slot pad meta"),
    ("maple_arange_64", "parent pivot slot gap meta"),
    ("maple_metadata", "end gap"),
    (
        "vm_area_struct",
        "vm_start vm_end vm_next vm_prev vm_rb vm_mm vm_page_prot vm_flags __vm_flags anon_vma_chain anon_vma vm_ops \
         vm_pgoff vm_file vm_private_data anon_name shared detached",
    ),
    ("vm_operations_struct", "open close fault page_mkwrite name access"),
    ("vm_special_mapping", "name pages"),
    ("anon_vma_name", "kref name"),
    (
        "page",
        "flags mapping index __folio_index private _mapcount page_type _refcount compound_head lru slab_cache",
    ),
    ("folio", "flags lru mapping index private _mapcount _refcount page _flags_1 _folio_order"),
    (
        "address_space",
        "host i_pages nrpages flags a_ops i_mmap i_mmap_writable private_data i_private_data wb_err",
    ),
    ("xarray", "xa_lock xa_flags xa_head"),
    ("xa_node", "shift offset count nr_values parent array slots tags marks"),
    // Files of a task.
    ("files_struct", "count resize_in_progress fdt fdtab next_fd close_on_exec_init open_fds_init fd_array"),
    ("fdtable", "max_fds fd close_on_exec open_fds full_fds_bits"),
    ("fs_struct", "users umask in_exec root root.mnt root.dentry pwd pwd.mnt pwd.dentry"),
    (
        "file",
        "f_path f_path.mnt f_path.dentry f_inode f_op f_lock f_count f_ref f_flags f_mode f_pos f_owner f_cred f_ra \
         f_version f_security private_data f_ep f_mapping f_wb_err f_sb_err f_pipe",
    ),
    (
        "file_operations",
        "owner llseek read write read_iter write_iter iterate_shared mmap open flush release",
    ),
    (
        "inode",
        "i_mode i_opflags i_uid i_gid i_flags i_op i_sb i_mapping i_security i_ino i_nlink __i_nlink i_rdev i_size \
         i_atime __i_atime i_atime_sec i_atime_nsec i_mtime __i_mtime i_mtime_sec i_mtime_nsec i_ctime __i_ctime \
         i_ctime_sec i_ctime_nsec i_bytes i_blkbits i_blocks i_state i_hash i_sb_list i_dentry i_version i_sequence \
         i_count i_writecount i_fop i_data i_pipe i_cdev i_bdev i_link i_generation i_private",
    ),
    ("inode_operations", "lookup get_link permission create link unlink symlink mkdir rmdir mknod rename"),
    ("timespec64", "tv_sec tv_nsec"),
    (
        "super_block",
        "s_list s_dev s_blocksize_bits s_blocksize s_maxbytes s_type s_op s_flags s_iflags s_magic s_root s_count \
         s_mounts s_bdev s_fs_info s_time_gran s_id s_sysfs_name s_uuid s_mode s_subtype s_user_ns s_inodes s_stack_depth",
    ),
    ("file_system_type", "name fs_flags owner next fs_supers"),
    (
        "dentry",
        "d_flags d_seq d_hash d_parent d_name d_name.name d_name.len d_name.hash d_name.hash_len d_inode d_iname \
         d_shortname d_lockref d_op d_sb d_time d_fsdata d_lru d_child d_subdirs d_sib d_children d_u",
    ),
    (
        "dentry_operations",
        "d_revalidate d_hash d_compare d_delete d_init d_release d_prune d_iput d_dname d_real",
    ),
    ("qstr", "name len hash hash_len"),
    ("path", "mnt dentry"),
    ("vfsmount", "mnt_root mnt_sb mnt_flags mnt_userns mnt_idmap"),
    (
        "mount",
        "mnt_hash mnt_parent mnt_mountpoint mnt mnt_mounts mnt_child mnt_instance mnt_devname mnt_list mnt_node mnt_ns \
         mnt_mp mnt_id mnt_id_unique mnt_group_id mnt_pins",
    ),
    ("mnt_namespace", "ns ns.inum root list mounts user_ns seq nr_mounts"),
    ("filename", "name uptr refcnt aname iname"),
    ("kiocb", "ki_filp ki_pos ki_complete private ki_flags"),
    (
        "iov_iter",
        "iter_type type nofault data_source user_backed iov_offset count iov __iov kvec bvec xarray pipe ubuf \
         __ubuf_iovec nr_segs head start_head xarray_start",
    ),
    ("bio_vec", "bv_page bv_len bv_offset"),
    (
        "linux_binprm",
        "vma vma_pages mm p argmin have_execfd execfd_creds secureexec point_of_no_return executable interpreter file \
         cred unsafe per_clear argc envc filename interp fdpath interp_flags execfd loader exec rlim_stack buf",
    ),
    // Sockets.
    ("socket", "state type flags file sk ops wq"),
    ("socket_alloc", "socket vfs_inode"),
    ("proto_ops", "family owner release bind connect accept sendmsg recvmsg"),
    (
        "sock",
        "__sk_common __sk_common.skc_daddr __sk_common.skc_rcv_saddr __sk_common.skc_dport __sk_common.skc_num \
         __sk_common.skc_family __sk_common.skc_state __sk_common.skc_bound_dev_if __sk_common.skc_prot \
         __sk_common.skc_net __sk_common.skc_net.net __sk_common.skc_v6_daddr __sk_common.skc_v6_rcv_saddr \
         __sk_common.skc_cookie __sk_common.skc_refcnt __sk_common.skc_flags sk_drops sk_peek_off sk_receive_queue \
         sk_backlog sk_rcvbuf sk_sndbuf sk_filter sk_wq sk_write_queue sk_type sk_protocol sk_gso_type sk_err \
         sk_ack_backlog sk_max_ack_backlog sk_uid sk_peer_pid sk_peer_cred sk_shutdown sk_socket sk_user_data \
         sk_security sk_destruct",
    ),
    (
        "sock_common",
        "skc_daddr skc_rcv_saddr skc_hash skc_dport skc_num skc_family skc_state skc_bound_dev_if skc_prot skc_net \
         skc_v6_daddr skc_v6_rcv_saddr skc_cookie",
    ),
    ("inet_sock", "sk pinet6 inet_saddr inet_sport uc_ttl inet_id inet_flags tos mc_ttl"),
    ("inet_connection_sock", "icsk_inet icsk_accept_queue icsk_ulp_ops icsk_ulp_data icsk_af_ops"),
    (
        "tcp_sock",
        "inet_conn copied_seq rcv_nxt snd_nxt snd_una write_seq bytes_received bytes_acked bytes_sent",
    ),
    ("udp_sock", "inet pending encap_type len"),
    ("ipv6_pinfo", "saddr sticky_pktinfo daddr_cache"),
    ("in6_addr", "in6_u"),
    ("unix_sock", "sk addr path path.mnt path.dentry peer link inflight peer_wait"),
    ("unix_address", "refcnt len hash name"),
    ("netlink_sock", "sk portid dst_portid groups"),
    ("packet_sock", "sk num ifindex running"),
    (
        "sk_buff",
        "next prev dev sk cb len data_len mac_len protocol transport_header network_header mac_header tail end head \
         data truesize users queue_mapping skb_iif pkt_type tstamp",
    ),
    ("sk_buff_head", "next prev qlen lock"),
    ("skb_shared_info", "nr_frags tx_flags gso_size gso_segs gso_type frag_list frags"),
    ("skb_frag", "bv_page bv_len bv_offset netmem len offset"),
    (
        "net_device",
        "name ifindex dev_addr mtu flags type nd_net addr_len perm_addr operstate reg_state dev_list",
    ),
    ("net", "ns ns.inum user_ns proc_net ifindex list dev_base_head loopback_dev net_cookie"),
    (
        "msghdr",
        "msg_name msg_namelen msg_iter msg_control msg_controllen msg_control_is_user msg_flags msg_iocb msg_inq",
    ),
    ("user_msghdr", "msg_name msg_namelen msg_iov msg_iovlen msg_control msg_controllen msg_flags"),
    // Terminals and pipes.
    (
        "tty_struct",
        "magic kref dev driver port ops index ldisc name flags count winsize flow ctrl pgrp session ctrl.pgrp \
         ctrl.session hw_stopped link disc_data driver_data termios tty_files receive_room",
    ),
    ("tty_port", "buf tty itty count ops client_data"),
    ("tty_file_private", "tty file list"),
    ("tty_driver", "magic driver_name name name_base major minor_start num type subtype flags ttys other"),
    ("winsize", "ws_row ws_col ws_xpixel ws_ypixel"),
    ("ktermios", "c_iflag c_oflag c_cflag c_lflag c_line c_cc"),
    (
        "pipe_inode_info",
        "mutex head tail max_usage ring_size nr_accounted readers writers files r_counter w_counter tmp_page bufs \
         user",
    ),
    ("pipe_buffer", "page offset len ops flags private"),
    // Namespaces.
    (
        "nsproxy",
        "count uts_ns ipc_ns mnt_ns pid_ns_for_children net_ns time_ns time_ns_for_children cgroup_ns",
    ),
    ("ns_common", "stashed ops inum count"),
    ("pid", "count level tasks inodes ino numbers stashed"),
    ("upid", "nr ns"),
    ("pid_namespace", "idr pid_allocated child_reaper level parent user_ns ns ns.inum"),
    ("user_namespace", "uid_map gid_map parent level owner group ns ns.inum flags"),
    ("uts_namespace", "name name.nodename name.release user_ns ns ns.inum"),
    ("new_utsname", "sysname nodename release version machine domainname"),
    ("ipc_namespace", "ns ns.inum user_ns"),
    ("time_namespace", "ns ns.inum offsets frozen_offsets"),
    ("cgroup_namespace", "ns ns.inum root_cset"),
    ("css_set", "subsys dfl_cgrp"),
    ("cgroup", "self flags level kn root ancestors"),
    ("kernfs_node", "count parent __parent name id mode"),
    // Everything else.
    ("module", "state list name mkobj version init core_layout init_layout mem refcnt args sect_attrs"),
    ("module_memory", "base size"),
    ("module_layout", "base size text_size"),
    (
        "io_ring_ctx",
        "flags rings sq_array sq_sqes cq_entries sq_entries submitter_task user user_files file_table",
    ),
    ("io_kiocb", "file opcode flags cqe ctx task tctx buf_index apoll"),
    ("io_uring_sqe", "opcode flags ioprio fd off addr len user_data"),
    ("io_uring_task", "cached_refs last node"),
    ("seccomp", "mode filter"),
    ("audit_context", "major argv return_code pwd"),
    ("key", "serial type description uid gid"),
    ("linux_binfmt", "lh module load_binary"),
    ("kobject", "name parent"),
    ("timekeeper", "tkr_mono xtime_sec wall_to_monotonic offs_real offs_boot"),
    ("bpf_prog", "type len aux"),
    ("bpf_prog_aux", "id name user"),
];
