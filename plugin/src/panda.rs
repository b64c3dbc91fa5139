//! PANDA as it is in this process: every symbol looked up by name, every call argued for.
//!
//! The version decides nothing here. What differs between versions is asked of PANDA itself, and a PANDA that
//! doesn't answer is refused with a reason.

use std::{
    ffi::{CStr, c_int, c_void},
    fs::File,
    os::unix::fs::FileExt as _,
    ptr,
    time::{Duration, Instant},
};

use panda_plugin::{
    Callback, callback_number,
    registers::{Arch, Reader},
};
use panda_sys::{
    CPUState, Panda as Symbols, RR_NOCHANGE, RR_OFF, RR_RECORD, RR_REPLAY, RRCTRL_OK,
    gate::pandacap_gate as Gate, libloading,
};
use parking_lot::Mutex;
use protocol::Registers;

use crate::{
    arch,
    host::{Host, Refusal},
    recorder::Mode,
};

/// How long the main loop may let a held guest wait without doing anything else.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long it is left alone between two looks.
const LOOK_AGAIN: Duration = Duration::from_micros(50);
/// The most that the guest's clock is put on.
const LONGEST_WARP: Duration = Duration::from_secs(1);
/// Where a processor's registers are looked for, in bytes from its beginning.
const SEARCHED: usize = 128 << 10;
/// How many processor states have to agree on a place before it is trusted.
const AGREEMENTS: u32 = 4;

/// Why this PANDA can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("this PANDA has no {0}: it can't record, or it is older than August 2020 or newer than we know")]
    Symbol(&'static str),
    #[error(transparent)]
    Callback(#[from] panda_plugin::Unfit),
    #[error("recctrl doesn't know this target's hypercalls: x86_64, i386, arm and aarch64 can be recorded")]
    Target,
    #[error("the process can't be searched for PANDA's symbols: {0}")]
    Process(#[from] libloading::Error),
}

/// Takes a symbol out of the table, or says which one is missing.
macro_rules! need {
    ($symbols:expr, $name:ident) => {
        *$symbols.$name.as_ref().map_err(|_| Unfit::Symbol(stringify!($name)))?
    };
}

type Work = unsafe extern "C" fn(*mut CPUState, *mut c_void);

/// The PANDA that loaded us.
pub(crate) struct Panda {
    /// `None`: this PANDA was built without record and replay.
    recording: Option<Recording>,
    interrupt_request: Option<*mut c_int>,
    kvm_allowed: Option<*mut bool>,
    smp_cpus: Option<*mut c_int>,
    ram_bytes: unsafe extern "C" fn() -> u64,
    locked: unsafe extern "C" fn() -> bool,
    lock: unsafe extern "C" fn(),
    unlock: unsafe extern "C" fn(),
    notify: unsafe extern "C" fn(),
    reader: Reader,
    write_register: unsafe extern "C" fn(*mut CPUState, *mut u8, c_int) -> c_int,
    read_memory: unsafe extern "C" fn(*mut CPUState, u64, *mut i8, c_int) -> c_int,
    vm_quit: unsafe extern "C" fn() -> c_int,
    timeout_add:
        unsafe extern "C" fn(u32, Option<unsafe extern "C" fn(*mut c_void) -> c_int>, *mut c_void) -> u32,
    register_file: Mutex<RegisterFile>,
    tick: unsafe extern "C" fn(*mut c_void) -> c_int,
    stepped_out: Work,
    run_on_cpu: unsafe extern "C" fn(*mut CPUState, Option<Work>, *mut c_void),
    clock: Option<Clock>,
}

/// The guest's clock where it counts instructions.
struct Clock {
    counts: *mut c_int,
    now: unsafe extern "C" fn(c_int) -> i64,
    deadline: unsafe extern "C" fn(c_int) -> i64,
    warp: unsafe extern "C" fn(i64),
    may_warp: *mut bool,
    complete_snapshots: Option<*mut c_int>,
}

impl Clock {
    fn find(symbols: &Symbols) -> Option<Clock> {
        Some(Clock {
            counts: *symbols.use_icount.as_ref().ok()?,
            now: *symbols.qemu_clock_get_ns.as_ref().ok()?,
            deadline: *symbols.qemu_clock_deadline_ns_all.as_ref().ok()?,
            warp: *symbols.qtest_clock_warp.as_ref().ok()?,
            may_warp: *symbols.qtest_allowed.as_ref().ok()?,
            complete_snapshots: symbols.panda_complete_rr_snapshot.as_ref().ok().copied(),
        })
    }

    /// Has the clock's time put into the snapshot, which of itself PANDA of 2024 does not.
    fn keep_time(&self) {
        // SAFETY: PANDA's globals, with the lock held; snapshots are written with it held too.
        unsafe {
            if let (Some(complete), true) = (self.complete_snapshots, *self.counts != 0) {
                *complete = 1;
            }
        }
    }

    /// Has the guest's next timer fire now.
    ///
    /// A replay drops the timers that are armed in its snapshot. Where the clock counts instructions, replays run the
    /// timers that the guest arms later, so one that the guest waits for must not be among those that are lost.
    fn reach_next_timer(&self) {
        let clock = panda_sys::PANDACAP_CLOCK_VIRTUAL as c_int;
        // SAFETY: QEMU's globals and plain functions, on the processor's thread, outside its execution loop, with the
        // lock held.
        unsafe {
            if *self.counts == 0 {
                return;
            }
            let deadline = (self.deadline)(clock);
            if (0..LONGEST_WARP.as_nanos() as i64).contains(&deadline) {
                let might = ptr::replace(self.may_warp, true);
                (self.warp)((self.now)(clock) + deadline);
                *self.may_warp = might;
            }
        }
    }
}

/// What a PANDA has that can record.
struct Recording {
    control: *mut panda_sys::pandacap_rr_control,
    log: *mut *mut panda_sys::pandacap_rr_log,
    skipped_callsite: *mut c_int,
    begin: unsafe extern "C" fn(*const i8, *const i8) -> c_int,
    end: unsafe extern "C" fn() -> c_int,
    instruction_count: unsafe extern "C" fn() -> u64,
}

impl Recording {
    /// All of it, or nothing where PANDA has no record and replay at all.
    fn find(symbols: &Symbols) -> Result<Option<Recording>, Unfit> {
        let Ok(control) = symbols.rr_control else { return Ok(None) };
        Ok(Some(Recording {
            control,
            log: need!(symbols, rr_nondet_log),
            skipped_callsite: need!(symbols, rr_skipped_callsite_location),
            begin: need!(symbols, panda_record_begin),
            end: need!(symbols, panda_record_end),
            instruction_count: need!(symbols, rr_get_guest_instr_count_external),
        }))
    }
}

// SAFETY: the pointers are to PANDA's own globals and functions, which live as long as the process; they are used
// with QEMU's big lock held, as the methods of `Host` require.
unsafe impl Send for Panda {}
// SAFETY: as above; what we add ourselves is atomic.
unsafe impl Sync for Panda {}

/// Where the registers lie, as far as it is known.
#[derive(Default)]
struct RegisterFile {
    place: usize,
    agreements: u32,
    last: [u32; 8],
    given_up: bool,
}

/// What `init_plugin` registers: number and gate.
pub(crate) struct Hook {
    number: u32,
    register: unsafe extern "C" fn(*mut c_void, u32, panda_sys::panda_cb_with_context, *mut c_void),
    leave: unsafe extern "C" fn(*mut CPUState),
}

impl Panda {
    /// Looks up all that is needed; `tick` is what the main loop calls while a recording is on, `stepped_out` what the
    /// virtual processor does outside its execution loop.
    pub(crate) fn find(
        tick: unsafe extern "C" fn(*mut c_void) -> c_int,
        stepped_out: Work,
    ) -> Result<(Panda, Hook), Unfit> {
        let symbols = panda_plugin::symbols()?;
        let reader = Reader::find(&symbols).ok_or(Unfit::Target)?;
        let hook = Hook {
            number: callback_number(&symbols, Callback::Hypercall)?,
            register: need!(symbols, panda_register_callback_with_context),
            leave: need!(symbols, cpu_loop_exit_noexc),
        };
        let panda = Panda {
            recording: Recording::find(&symbols)?,
            clock: Clock::find(&symbols),
            interrupt_request: symbols.panda_current_interrupt_request.ok(),
            kvm_allowed: symbols.kvm_allowed.ok(),
            smp_cpus: symbols.smp_cpus.ok(),
            ram_bytes: need!(symbols, ram_bytes_total),
            locked: need!(symbols, qemu_mutex_iothread_locked),
            lock: need!(symbols, qemu_mutex_lock_iothread),
            unlock: need!(symbols, qemu_mutex_unlock_iothread),
            notify: need!(symbols, qemu_notify_event),
            reader,
            write_register: need!(symbols, gdb_write_register),
            read_memory: need!(symbols, panda_virtual_memory_read_external),
            vm_quit: need!(symbols, panda_vm_quit),
            timeout_add: need!(symbols, g_timeout_add),
            register_file: Mutex::default(),
            tick,
            stepped_out,
            run_on_cpu: need!(symbols, async_run_on_cpu),
        };
        Ok((panda, hook))
    }

    /// Whether this PANDA was built with record and replay.
    pub(crate) fn can_record(&self) -> bool {
        self.recording.is_some()
    }

    fn arch(&self, cpu: *mut CPUState) -> Arch {
        // SAFETY: `cpu` is the processor of the running callback.
        unsafe { self.reader.arch(cpu) }
    }

    fn read(&self, cpu: *mut CPUState, number: i32) -> u64 {
        // SAFETY: as for `arch`.
        unsafe { self.reader.read(cpu, number) }
    }

    fn write(&self, cpu: *mut CPUState, number: i32, value: u64) {
        let mut value = value.to_le_bytes();
        // SAFETY: as for `arch`; a general register has at most 8 bytes.
        unsafe { (self.write_register)(cpu, value.as_mut_ptr(), number) };
    }

    /// The program counter behind the guest's hypercall.
    fn next_instruction(&self, cpu: *mut CPUState) -> Result<u64, Refusal> {
        let arch = self.arch(cpu);
        let counter = self.read(cpu, arch.program_counter());
        if !arch::is_x86(arch) {
            return Ok(counter);
        }
        let mut code = [0; 15];
        let in_page = (4096 - counter % 4096).min(15) as usize;
        if !Host::read(self, cpu, counter, &mut code[..in_page]) {
            return Err(Refusal::Instruction);
        }
        // The rest is another page, which need not be there.
        let whole = in_page == 15 || Host::read(self, cpu, counter + in_page as u64, &mut code[in_page..]);
        let code = if whole { &code[..] } else { &code[..in_page] };
        arch::cpuid_length(code).map(|length| counter.wrapping_add(length)).ok_or(Refusal::Instruction)
    }

    /// The replay starts from no interrupt request: what is pending when a recording begins has to be logged again.
    fn forget_interrupts(&self) {
        if let Some(request) = self.interrupt_request {
            // SAFETY: PANDA's global, with the lock held.
            unsafe { *request = 0 };
        }
    }

    /// Lets the main loop have its turn, with the guest held, until it has acted on `rr_control.next`.
    fn hold(&self, recording: &Recording, wanted: i32) -> Result<(), Refusal> {
        // SAFETY: a plain function of QEMU's.
        let owned = unsafe { (self.locked)() };
        let mut alone = Duration::ZERO;
        loop {
            // SAFETY: only what we have is given back, for a moment.
            unsafe {
                if owned {
                    (self.unlock)();
                }
                (self.notify)();
            }
            std::thread::sleep(LOOK_AGAIN);
            let asked = Instant::now();
            if owned {
                // SAFETY: this thread has just given it back.
                unsafe { (self.lock)() };
            }
            // SAFETY: we have the lock; only its holder changes rr_control.
            let (mode, next) = unsafe { ((*recording.control).mode, (*recording.control).next) };
            if next == RR_NOCHANGE {
                return if mode == wanted { Ok(()) } else { Err(Refusal::NoTurn) };
            }
            // While the main loop writes a snapshot it has the lock, for as long as that takes. Where it lets us
            // have it again and again and does nothing, it waits for this very processor to stop: pausing.
            if asked.elapsed() < Duration::from_millis(1) {
                alone += LOOK_AGAIN;
            }
            if alone > PATIENCE {
                // SAFETY: as above; nobody has begun to act on it.
                unsafe { (*recording.control).next = RR_NOCHANGE };
                return Err(Refusal::NoTurn);
            }
        }
    }

    /// Finds out where the first hypercall register lies in memory, for the gate to look at.
    ///
    /// Called for calls that pass the gate: all of them until the place is known, those with the magic afterwards.
    pub(crate) fn tune(&self, cpu: *mut CPUState, gate: &mut Gate) {
        let first = self.read(cpu, 0) as u32;
        let arch = self.arch(cpu);
        let mut file = self.register_file.lock();
        if gate.magic_offset != 0 {
            // SAFETY: the offset was found within the processor's own memory.
            let seen =
                unsafe { ptr::read_volatile(cpu.cast::<u8>().add(gate.magic_offset as usize).cast::<u32>()) };
            if seen != first {
                log::warn!(
                    "the guest's registers are not where they were: from now on PANDA is asked for them"
                );
                gate.magic_offset = 0;
                file.given_up = true;
            }
            return;
        }
        let registers = arch::stored_order(arch).map(|number| self.read(cpu, number) as u32);
        if file.given_up || registers == file.last {
            return;
        }
        file.last = registers;
        let mut memory = vec![0; SEARCHED];
        // Through the kernel, which stops at memory that is not there.
        let Ok(length) = File::open("/proc/self/mem").and_then(|mem| mem.read_at(&mut memory, cpu as u64))
        else {
            file.given_up = true;
            return;
        };
        let Some(place) = arch::locate(&memory[..length], &registers, arch.register_bytes()) else { return };
        file.agreements = if place == file.place { file.agreements + 1 } else { 1 };
        file.place = place;
        if file.agreements >= AGREEMENTS {
            gate.magic_offset = place as u64;
        }
    }
}

impl Hook {
    /// Has PANDA call `gate` for every guest hypercall.
    pub(crate) fn register(&self, plugin: *mut c_void, gate: &'static mut Gate) {
        gate.leave = Some(self.leave);
        let callback =
            panda_sys::panda_cb_with_context { guest_hypercall: Some(panda_sys::gate::pandacap_gate_call) };
        // SAFETY: `plugin` is PANDA's handle of us, the number is that of guest hypercalls, the gate lives for ever.
        unsafe { (self.register)(plugin, self.number, callback, ptr::from_mut(gate).cast()) };
    }
}

impl Host for Panda {
    type Cpu = *mut CPUState;

    fn mode(&self) -> Mode {
        let Some(recording) = &self.recording else { return Mode::Off };
        // SAFETY: PANDA's global, read with the lock held.
        match unsafe { (*recording.control).mode } {
            RR_RECORD => Mode::Record,
            RR_REPLAY => Mode::Replay,
            _ => Mode::Off,
        }
    }

    fn obstacle(&self) -> Option<Refusal> {
        // SAFETY: PANDA's globals, set before the machine ran.
        let (kvm, cpus) =
            unsafe { (self.kvm_allowed.is_some_and(|kvm| *kvm), self.smp_cpus.map_or(1, |cpus| *cpus)) };
        if kvm {
            Some(Refusal::Kvm)
        } else if cpus > 1 {
            Some(Refusal::Smp(cpus))
        } else {
            None
        }
    }

    fn instructions(&self) -> u64 {
        let Some(recording) = self.recording.as_ref().filter(|_| self.mode() == Mode::Record) else {
            return 0;
        };
        // SAFETY: while recording, PANDA has a log and a processor.
        let (logged, low) =
            unsafe { ((**recording.log).last_instruction, (recording.instruction_count)() as u32) };
        // The log is written many times in 2^32 instructions, for every interrupt is in it.
        logged + u64::from(low.wrapping_sub(logged as u32))
    }

    fn snapshot_bytes(&self) -> u64 {
        // SAFETY: a plain function of PANDA's.
        let ram = unsafe { (self.ram_bytes)() };
        // the devices' state, and the marks between pages
        ram + ram / 256 + (4 << 20)
    }

    fn registers(&self, cpu: Self::Cpu) -> Registers {
        self.arch(cpu).call_registers().map(|number| self.read(cpu, number))
    }

    fn answer(&self, cpu: Self::Cpu, registers: Registers) {
        let arch = self.arch(cpu);
        let before = self.registers(cpu);
        let main_loop = panda_sys::PANDACAP_CALLSITE_MAIN_LOOP_WAIT as c_int;
        let callsite = self.recording.as_ref().map(|recording| {
            let place = recording.skipped_callsite;
            // SAFETY: PANDA's global, which its own code on this thread sets before each use.
            (place, unsafe { ptr::replace(place, main_loop) })
        });
        for (number, value) in arch::logged(arch, before, registers) {
            self.write(cpu, number, value);
        }
        if let Some((place, callsite)) = callsite {
            // SAFETY: as above.
            unsafe { *place = callsite };
        }
    }

    fn read(&self, cpu: Self::Cpu, address: u64, buffer: &mut [u8]) -> bool {
        let Ok(length) = c_int::try_from(buffer.len()) else { return false };
        // SAFETY: the buffer is writable for `length` bytes; PANDA checks the guest's address.
        unsafe { (self.read_memory)(cpu, address, buffer.as_mut_ptr().cast(), length) == 0 }
    }

    fn step_out(&self, cpu: Self::Cpu, answer: Registers) -> Result<(), Refusal> {
        let next = self.next_instruction(cpu)?;
        // Nothing is logged yet, so these writes are only in the snapshot.
        self.answer(cpu, answer);
        self.write(cpu, self.arch(cpu).program_counter(), next);
        // SAFETY: `cpu` is the processor of the running callback, which lives as long as PANDA.
        unsafe { (self.run_on_cpu)(cpu, Some(self.stepped_out), ptr::null_mut()) };
        Ok(())
    }

    fn begin(&self, recording: &CStr) -> Result<(), Refusal> {
        let machinery = self.recording.as_ref().ok_or(Refusal::Unable)?;
        if let Some(clock) = &self.clock {
            clock.keep_time();
            clock.reach_next_timer();
        }
        // PANDA copies the name.
        // SAFETY: the name ends with a NUL; a null snapshot means: from the machine as it stands.
        let asked = unsafe { (machinery.begin)(recording.as_ptr(), ptr::null()) };
        if asked != RRCTRL_OK {
            return Err(Refusal::Panda(asked));
        }
        self.hold(machinery, RR_RECORD)?;
        self.forget_interrupts();
        Ok(())
    }

    fn ask_begin(&self, recording: &CStr) -> Result<(), Refusal> {
        let machinery = self.recording.as_ref().ok_or(Refusal::Unable)?;
        if let Some(clock) = &self.clock {
            clock.keep_time();
        }
        // SAFETY: as for `begin`.
        let asked = unsafe { (machinery.begin)(recording.as_ptr(), ptr::null()) };
        if asked != RRCTRL_OK {
            return Err(Refusal::Panda(asked));
        }
        // PANDA changes it only while recording.
        self.forget_interrupts();
        // SAFETY: a plain function of QEMU's.
        unsafe { (self.notify)() };
        Ok(())
    }

    fn is_pending(&self) -> bool {
        let Some(recording) = &self.recording else { return false };
        // SAFETY: PANDA's global, read with the lock held.
        unsafe { (*recording.control).next != RR_NOCHANGE }
    }

    fn end(&self) -> Result<(), Refusal> {
        let recording = self.recording.as_ref().ok_or(Refusal::Unable)?;
        // SAFETY: a plain function of PANDA's.
        let asked = unsafe { (recording.end)() };
        if asked != RRCTRL_OK {
            return Err(Refusal::Panda(asked));
        }
        self.hold(recording, RR_OFF)
    }

    fn ask_end(&self) {
        if let Some(recording) = &self.recording {
            // SAFETY: plain functions; the main loop looks at what the first one sets at its next turn.
            unsafe {
                (recording.end)();
                (self.notify)();
            }
        }
    }

    fn quit(&self) {
        // SAFETY: a plain function of PANDA's.
        unsafe { (self.vm_quit)() };
    }

    fn arm_ticks(&self, every: Duration) {
        let milliseconds = u32::try_from(every.as_millis()).unwrap_or(u32::MAX);
        // SAFETY: glib's main context is the main loop's; `tick` lives as long as the process.
        unsafe { (self.timeout_add)(milliseconds, Some(self.tick), ptr::null_mut()) };
    }

    fn pause(&self, time: Duration) {
        // SAFETY: we have the lock, give it back, and take it again.
        unsafe { (self.unlock)() };
        std::thread::sleep(time);
        // SAFETY: as above.
        unsafe { (self.lock)() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    extern "C" fn never(_data: *mut c_void) -> c_int {
        0
    }

    extern "C" fn nowhere(_cpu: *mut CPUState, _data: *mut c_void) {}

    /// This process, which has no symbol of PANDA's.
    fn nothing() -> Symbols {
        panda_plugin::symbols().expect("a table")
    }

    #[test]
    fn a_panda_without_record_and_replay_is_told_from_one_that_lacks_a_part_of_it() {
        assert!(matches!(Recording::find(&nothing()), Ok(None)));
        let mut control = panda_sys::pandacap_rr_control {
            mode: RR_OFF,
            next: RR_NOCHANGE,
            name: ptr::null_mut(),
            snapshot: ptr::null_mut(),
        };
        let mut partly = nothing();
        partly.rr_control = Ok(&raw mut control);
        assert!(matches!(Recording::find(&partly), Err(Unfit::Symbol("rr_nondet_log"))));
    }

    #[test]
    fn a_target_that_we_do_not_know_is_called_that_and_no_missing_symbol() {
        assert!(matches!(Panda::find(never, nowhere), Err(Unfit::Target)));
    }
}
