//! The symbols.

/// The symbols by what they are for.
pub(crate) const SYMBOLS: &[(&str, &str)] = &[
    (
        "where the kernel is, and how far it moved itself",
        "_text _stext _etext _sdata _edata __bss_start __bss_stop _end __init_begin __init_end linux_banner \
         linux_proc_banner saved_command_line boot_command_line phys_base page_offset_base vmalloc_base vmemmap_base \
         kaslr_offset kimage_voffset memstart_addr vabits_actual physvirt_offset __pv_phys_pfn_offset __pv_offset \
         max_pfn max_low_pfn high_memory mem_section mem_map init_top_pgt early_top_pgt level4_kernel_pgt \
         level3_kernel_pgt level2_kernel_pgt swapper_pg_dir initial_page_table tramp_pg_dir idmap_pg_dir \
         idt_table cpu_entry_area",
    ),
    (
        "processors",
        "__per_cpu_offset __per_cpu_start __per_cpu_end __per_cpu_load this_cpu_off pcpu_hot current_task \
         const_current_task cpu_number cpu_current_top_of_stack cpu_tss_rw __entry_task nr_cpu_ids __cpu_online_mask \
         __cpu_possible_mask runqueues",
    ),
    (
        "what there is one of",
        "init_task init_pid_ns init_user_ns init_nsproxy init_net init_uts_ns init_ipc_ns init_cgroup_ns init_time_ns \
         init_mm init_cred init_fs init_files init_signals init_sighand root_user init_struct_pid super_blocks \
         file_systems modules mod_tree tty_drivers tk_core jiffies jiffies_64 xtime_sec timekeeper \
         net_namespace_list pid_hash pidhash_shift prog_idr map_idr log_buf prb ftrace_ops_list module_kset \
         iomem_resource tasklist_lock inet_hashinfo tcp_hashinfo udp_table unix_socket_table cgrp_dfl_root",
    ),
    (
        "how programs enter the kernel and leave it",
        "entry_SYSCALL_64 entry_SYSCALL_64_after_hwframe entry_SYSCALL_64_safe_stack entry_SYSCALL_compat \
         entry_SYSCALL_compat_after_hwframe entry_SYSENTER_compat entry_SYSENTER_compat_after_hwframe \
         entry_INT80_compat entry_INT80_32 entry_SYSENTER_32 int80_emulation do_int80_emulation asm_int80_emulation \
         do_syscall_64 do_int80_syscall_32 do_fast_syscall_32 do_SYSENTER_32 do_syscall_32_irqs_on \
         x64_sys_call x32_sys_call ia32_sys_call sys_call_table ia32_sys_call_table x32_sys_call_table \
         compat_sys_call_table syscall_return_via_sysret swapgs_restore_regs_and_return_to_usermode \
         restore_regs_and_return_to_kernel entry_SYSRETQ_unsafe_stack syscall_exit_to_user_mode \
         syscall_enter_from_user_mode syscall_trace_enter exit_to_user_mode_prepare exit_to_user_mode_loop \
         irqentry_exit_to_user_mode asm_exc_page_fault exc_page_fault do_user_addr_fault handle_mm_fault \
         ret_from_fork ret_from_fork_asm ret_from_fork_and_exec vector_swi local_restart ret_fast_syscall \
         ret_to_user el0_svc el0_svc_compat el0t_64_sync el0t_32_sync el0_sync el0_sync_compat do_el0_svc \
         do_el0_svc_compat invoke_syscall el0t_64_sync_handler el0t_32_sync_handler",
    ),
    (
        "tasks come, run and go",
        "wake_up_new_task copy_process kernel_clone _do_fork do_exit do_group_exit make_task_dead release_task \
         finish_task_switch __switch_to __switch_to_asm __schedule schedule schedule_tail switch_mm_irqs_off \
         begin_new_exec flush_old_exec setup_new_exec finalize_exec bprm_execve exec_binprm do_execve_file \
         do_execveat_common __do_execve_file load_elf_binary compat_load_elf_binary load_script load_misc_binary \
         exec_mmap start_thread start_thread_common compat_start_thread set_task_comm __set_task_comm \
         security_bprm_committed_creds security_bprm_creds_for_exec proc_exec_connector proc_fork_connector \
         proc_exit_connector exit_mm exit_files free_task __put_task_struct delayed_put_task_struct",
    ),
    (
        "users and their changes",
        "commit_creds override_creds revert_creds prepare_creds prepare_kernel_cred prepare_exec_creds \
         cap_bprm_creds_from_file bprm_fill_uid abort_creds set_current_groups __sys_setuid __sys_setgid \
         __sys_setresuid __sys_setreuid __sys_setresgid __sys_setregid __sys_setfsuid __sys_setfsgid \
         cap_capable ns_capable capable call_usermodehelper_exec call_usermodehelper_exec_async \
         create_user_ns switch_task_namespaces cap_task_prctl security_capset modprobe_path core_pattern",
    ),
    (
        "signals",
        "__send_signal __send_signal_locked send_signal send_signal_locked complete_signal do_send_sig_info \
         do_send_specific send_sigqueue get_signal do_signal arch_do_signal arch_do_signal_or_restart handle_signal \
         setup_rt_frame x64_setup_rt_frame ia32_setup_rt_frame force_sig_info_to_task do_coredump vfs_coredump \
         do_sigaction __ptrace_may_access ptrace_attach ptrace_access_vm",
    ),
    (
        "files",
        "fd_install do_dentry_open vfs_open do_filp_open do_sys_openat2 filp_close filp_flush close_fd __close_fd \
         file_close_fd file_close_fd_locked pick_file do_close_on_exec do_dup2 fput __fput ____fput \
         alloc_empty_file alloc_file alloc_file_pseudo vfs_read vfs_write vfs_iter_read vfs_iter_write \
         vfs_iocb_iter_read vfs_iocb_iter_write vfs_readv vfs_writev do_iter_read do_iter_write kernel_write \
         __kernel_write rw_verify_area vfs_create vfs_rename vfs_unlink vfs_link vfs_symlink vfs_mkdir vfs_rmdir \
         vfs_mknod vfs_truncate do_truncate vfs_fallocate notify_change vfs_fsync_range vfs_setxattr \
         vfs_removexattr vfs_copy_file_range vfs_clone_file_range do_clone_file_range do_splice do_splice_to \
         do_splice_from do_splice_direct splice_direct_to_actor splice_file_to_pipe do_sendfile do_tee \
         vfs_splice_read iter_file_splice_write generic_perform_write generic_file_read_iter filemap_read \
         generic_file_write_iter filemap_fault filemap_page_mkwrite ext4_page_mkwrite shmem_fault do_mount \
         path_mount do_move_mount path_umount ksys_chroot set_fs_root set_fs_pwd iterate_dir d_path dentry_path_raw",
    ),
    (
        "what a file is, by its operations",
        "socket_file_ops pipefifo_fops tty_fops console_fops hung_up_tty_fops shmem_file_operations \
         anon_inode_fops eventpoll_fops eventfd_fops signalfd_fops timerfd_fops inotify_fops fanotify_fops \
         io_uring_fops memfd_fops secretmem_fops userfaultfd_fops pidfd_fops ns_file_operations perf_fops \
         bpf_map_fops bpf_prog_fops null_fops zero_fops full_fops mem_fops random_fops urandom_fops kmsg_fops \
         def_chr_fops def_blk_fops ext4_file_operations ext4_dir_operations ramfs_file_operations \
         simple_dir_operations btrfs_file_operations xfs_file_operations ovl_file_operations \
         proc_reg_file_ops proc_mem_operations ptmx_fops tun_fops fuse_dev_operations fuse_file_operations \
         hugetlbfs_file_operations sockfs_inode_ops anon_pipe_buf_ops page_cache_pipe_buf_ops user_page_pipe_buf_ops",
    ),
    (
        "memory of programs",
        "do_mmap mmap_region __mmap_region do_munmap __do_munmap do_vmi_munmap do_vmi_align_munmap unmap_region \
         mprotect_fixup do_brk_flags vm_brk_flags expand_stack vma_link insert_vm_struct \
         security_mmap_file security_file_mprotect install_special_mapping _install_special_mapping \
         ksys_mmap_pgoff vm_mmap_pgoff vm_munmap move_vma mmput exit_mmap process_vm_rw \
         __access_remote_vm access_process_vm do_madvise memfd_fcntl special_mapping_vmops",
    ),
    (
        "io_uring",
        "io_issue_sqe io_submit_sqes io_submit_sqe io_req_complete_post io_uring_setup io_read io_write io_openat2 \
         io_close io_connect io_accept io_send io_recv io_sendmsg io_recvmsg io_splice io_tee io_wq_submit_work",
    ),
    (
        "sockets and packets",
        "sock_alloc_file __sock_create sock_sendmsg sock_recvmsg __sock_sendmsg sock_write_iter sock_read_iter \
         ____sys_sendmsg ____sys_recvmsg __sys_sendto __sys_recvfrom __sys_socket __sys_bind __sys_listen \
         __sys_connect __sys_connect_file __sys_accept4 __sys_accept4_file __sys_shutdown __sys_socketpair \
         __sock_release sock_close inet_stream_connect inet_accept inet_csk_accept inet_dgram_connect inet_bind \
         inet_release inet_sendmsg inet_recvmsg tcp_connect tcp_v4_connect tcp_v6_connect tcp_sendmsg \
         tcp_sendmsg_locked tcp_recvmsg tcp_recvmsg_locked tcp_close tcp_set_state tcp_v4_rcv tcp_v6_rcv \
         udp_sendmsg udpv6_sendmsg udp_recvmsg udpv6_recvmsg udp_rcv raw_sendmsg raw_recvmsg ping_v4_sendmsg \
         unix_stream_sendmsg unix_stream_recvmsg unix_stream_read_generic unix_dgram_sendmsg unix_dgram_recvmsg \
         unix_stream_connect unix_accept unix_bind packet_sendmsg packet_rcv tpacket_rcv netlink_sendmsg \
         netlink_recvmsg dev_queue_xmit __dev_queue_xmit dev_hard_start_xmit netif_receive_skb \
         __netif_receive_skb_core __netif_receive_skb_one_core netif_rx netif_rx_internal napi_gro_receive \
         ip_rcv ipv6_rcv ip_output skb_copy_datagram_iter copy_from_iter _copy_from_iter _copy_to_iter \
         copy_msghdr_from_user move_addr_to_kernel move_addr_to_user tls_sw_sendmsg tls_sw_recvmsg \
         loopback_xmit e1000_xmit_frame start_xmit",
    ),
    (
        "the operations of sockets",
        "inet_stream_ops inet_dgram_ops inet_sockraw_ops inet6_stream_ops inet6_dgram_ops unix_stream_ops \
         unix_dgram_ops unix_seqpacket_ops netlink_ops packet_ops packet_ops_spkt tcp_prot tcpv6_prot udp_prot \
         udpv6_prot raw_prot unix_proto unix_stream_proto unix_dgram_proto",
    ),
    (
        "terminals and pipes",
        "tty_read tty_write do_tty_write file_tty_write iterate_tty_write iterate_tty_read n_tty_read n_tty_write \
         n_tty_receive_buf n_tty_receive_buf2 n_tty_receive_buf_common tty_ldisc_receive_buf \
         tty_port_default_receive_buf tty_insert_flip_string_fixed_flag __tty_insert_flip_string_flags \
         tty_insert_flip_string_and_push_buffer pty_write pty_open ptmx_open tty_open tty_release tty_hangup \
         __proc_set_tty disassociate_ctty tty_ioctl uart_write con_write do_con_write serial8250_tx_chars \
         pipe_read pipe_write create_pipe_files do_pipe2 free_pipe_info",
    ),
    (
        "modules and other ways into the kernel",
        "load_module do_init_module free_module init_module_from_file finit_module bpf_prog_load bpf_check \
         kexec_load kernel_kexec perf_event_open security_kernel_read_file kernel_read_file register_kprobe \
         crash_kexec panic oops_enter die machine_restart kernel_restart kernel_power_off",
    ),
];
