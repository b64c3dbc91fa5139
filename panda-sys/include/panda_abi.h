/* The part of PANDA's plugin ABI that pandacap uses, in our own words.
 *
 * tests/abi.rs holds every type, constant and signature here against the headers of real PANDAs. It
 * defines PANDA_HEADERS, so that the types are theirs and a signature that differs does not compile.
 *
 * Guest addresses are target_ulong, 32 or 64 bits wide by target: as an argument, a 64-bit value whose
 * upper half is zero serves both (System V ABI); where PANDA gives us one, its upper half may be anything. */
#pragma once
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#ifndef PANDA_HEADERS
typedef uint64_t target_ulong;
typedef struct CPUState CPUState;
typedef struct TranslationBlock TranslationBlock;

/* Only the members that we register or compare; every member is one pointer. */
typedef union panda_cb_with_context {
    bool (*guest_hypercall)(void *context, CPUState *cpu);
    void (*before_block_exec)(void *context, CPUState *cpu, TranslationBlock *block);
    bool (*asid_changed)(void *context, CPUState *cpu, target_ulong before, target_ulong after);
    void (*top_loop)(void *context, CPUState *cpu);
    bool (*insn_translate)(void *context, CPUState *cpu, target_ulong pc);
    int (*insn_exec)(void *context, CPUState *cpu, target_ulong pc);
    void (*cbaddr)(void);
} panda_cb_with_context;
typedef uint32_t panda_cb_type;

typedef struct panda_arg {
    char *argptr;
    char *key;
    char *value;
} panda_arg;

typedef struct panda_arg_list {
    int nargs;
    panda_arg *list;
    char *plugin_name;
} panda_arg_list;

/* What a recording is doing (mode) and is asked to do next. */
enum { RR_NOCHANGE = -1, RR_OFF = 0, RR_RECORD = 1, RR_REPLAY = 2 };
/* What asking returns. */
enum { RRCTRL_EINVALID = -2, RRCTRL_EPENDING = -1, RRCTRL_OK = 0 };
#endif

/* No header of the wheels declares what follows up to the next rule; read in rr_types.h, rr_log.h, rr_log_all.h. */

/* Callsite under which replay applies a logged register write at exactly its instruction. */
enum { PANDACAP_CALLSITE_MAIN_LOOP_WAIT = 6 };

struct pandacap_rr_control {
    volatile sig_atomic_t mode;
    volatile sig_atomic_t next;
    char *name;
    char *snapshot;
};
extern struct pandacap_rr_control rr_control;

/* The beginning of PANDA's RR_log, the same in every version. */
struct pandacap_rr_log {
    int type;
    uint64_t last_instruction;
};
extern struct pandacap_rr_log *rr_nondet_log;
extern volatile sig_atomic_t rr_skipped_callsite_location;
/* The interrupt request as last written to the log; a new recording must begin with 0. */
extern int panda_current_interrupt_request;

/* From QEMU, with no header in the wheels either. */
extern bool kvm_allowed;
extern int smp_cpus;
uint64_t ram_bytes_total(void);
bool qemu_mutex_iothread_locked(void);
void qemu_mutex_lock_iothread(void);
void qemu_mutex_unlock_iothread(void);
void qemu_notify_event(void);
/* Has the processor leave its execution loop before its next block; any thread may ask for it at any time. */
void cpu_exit(CPUState *cpu);
/* Has the processor's own thread call `work` outside of its execution loop, before the guest's next instruction. The
 * argument is a union of eight bytes, which is passed as a pointer is. */
void async_run_on_cpu(CPUState *cpu, void (*work)(CPUState *cpu, void *data), void *data);
/* Of 2024: whether the snapshot of a recording has more in it than the processor and its memory. */
extern int panda_complete_rr_snapshot;
/* The guest's clock counts its instructions: -icount. */
extern int use_icount;
enum { PANDACAP_CLOCK_VIRTUAL = 1 };
int64_t qemu_clock_get_ns(int clock);
/* Nanoseconds to the clock's next timer, or a negative number. */
int64_t qemu_clock_deadline_ns_all(int clock);
/* Puts the guest's clock on to `until`, and runs the timers that are due by then. It wants qtest_allowed to be set. */
void qtest_clock_warp(int64_t until);
extern bool qtest_allowed;
int gdb_write_register(CPUState *cpu, uint8_t *value, int reg);
int x86_cpu_gdb_read_register(CPUState *cpu, uint8_t *value, int reg);
int arm_cpu_gdb_read_register(CPUState *cpu, uint8_t *value, int reg);
int aarch64_cpu_gdb_read_register(CPUState *cpu, uint8_t *value, int reg);
bool panda_cb_trampoline_guest_hypercall(void *context, CPUState *cpu);
void panda_cb_trampoline_before_block_exec(void *context, CPUState *cpu, TranslationBlock *block);
bool panda_cb_trampoline_asid_changed(void *context, CPUState *cpu, target_ulong before, target_ulong after);
void panda_cb_trampoline_top_loop(void *context, CPUState *cpu);
bool panda_cb_trampoline_insn_translate(void *context, CPUState *cpu, target_ulong pc);
int panda_cb_trampoline_insn_exec(void *context, CPUState *cpu, target_ulong pc);
extern bool panda_help_wanted;

/* ---- declared in the wheels' headers, and held against them ---- */

extern void cpu_loop_exit_noexc(CPUState *cpu);
panda_cb_with_context panda_get_cb_trampoline(panda_cb_type type);
void panda_register_callback_with_context(void *plugin, panda_cb_type type, panda_cb_with_context callback,
                                          void *context);
panda_arg_list *panda_get_args(const char *plugin_name);
void panda_free_args(panda_arg_list *args);
const char *panda_parse_string_opt(panda_arg_list *args, const char *name, const char *fallback, const char *help);
target_ulong panda_current_asid(CPUState *cpu);
void panda_disable_tb_chaining(void);
void *panda_get_plugin_by_name(const char *name);
void panda_require(const char *name);
int panda_record_begin(const char *name, const char *snapshot);
int panda_record_end(void);
int panda_vm_quit(void);
int panda_virtual_memory_read_external(CPUState *cpu, target_ulong address, char *buffer, int length);
#ifndef PANDA_HEADERS
/* 2021 returns int, 2024 uint64_t: only the low 32 bits mean the same in both. */
uint64_t rr_get_guest_instr_count_external(void);
#endif

/* ---- glib, which every PANDA is linked against ---- */

unsigned g_timeout_add(unsigned milliseconds, int (*tick)(void *data), void *data);
