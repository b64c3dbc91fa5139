//! PANDA as it is in this process: every symbol is looked up by name.
//!
//! The version decides nothing here. PANDA itself is asked what differs between versions, and one that
//! does not answer is refused with a reason.

mod clock;
mod gate;
mod hypercall;
mod kick;
mod main_loop;
mod register_file;
mod rr;

use std::{
    ffi::{CStr, c_int, c_void},
    ptr,
    time::Duration,
};

use panda_plugin::{
    Symbols, Unfit, need,
    registers::{Arch, Reader},
    sys::CPUState,
};
use protocol::Registers;

use self::{
    clock::Clock,
    main_loop::{MainLoop, Tick},
    rr::RecordReplay,
};
pub(crate) use self::{gate::Gate, kick::Kicker, register_file::RegisterFile};
use crate::{
    host::{Host, Place},
    recorder::Mode,
    refusal::Refusal,
};

type Work = unsafe extern "C" fn(*mut CPUState, *mut c_void);

/// The PANDA that loaded us.
pub(crate) struct Panda {
    /// `None`: this PANDA was built without record and replay.
    rr: Option<RecordReplay>,
    main_loop: MainLoop,
    clock: Option<Clock>,
    kvm_allowed: Option<*mut bool>,
    smp_cpus: Option<*mut c_int>,
    ram_bytes: unsafe extern "C" fn() -> u64,
    vm_quit: unsafe extern "C" fn() -> c_int,
    run_on_cpu: unsafe extern "C" fn(*mut CPUState, Option<Work>, *mut c_void),
    reader: Reader,
    write_register: unsafe extern "C" fn(*mut CPUState, *mut u8, c_int) -> c_int,
    read_memory: unsafe extern "C" fn(*mut CPUState, u64, *mut i8, c_int) -> c_int,
    tick: Tick,
    stepped_out: Work,
}

// SAFETY: the pointers are to PANDA's own globals and functions, which live as long as the process; they are used
// with QEMU's big lock held, as the methods of `Host` require.
unsafe impl Send for Panda {}
// SAFETY: as above; what we add ourselves is synchronized.
unsafe impl Sync for Panda {}

impl Panda {
    /// Looks up all that is needed; `tick` is what the main loop calls while a recording is on, `stepped_out` what the
    /// virtual processor does outside its execution loop.
    pub(crate) fn find(symbols: &Symbols, tick: Tick, stepped_out: Work) -> Result<Panda, Unfit> {
        let reader = Reader::find(symbols).ok_or(Unfit::Target)?;
        Ok(Panda {
            rr: RecordReplay::find(symbols)?,
            main_loop: MainLoop::find(symbols)?,
            clock: Clock::find(symbols),
            kvm_allowed: symbols.kvm_allowed.as_ref().ok().copied(),
            smp_cpus: symbols.smp_cpus.as_ref().ok().copied(),
            ram_bytes: need!(symbols, ram_bytes_total),
            vm_quit: need!(symbols, panda_vm_quit),
            run_on_cpu: need!(symbols, async_run_on_cpu),
            reader,
            write_register: need!(symbols, gdb_write_register),
            read_memory: need!(symbols, panda_virtual_memory_read_external),
            tick,
            stepped_out,
        })
    }

    /// Whether this PANDA was built with record and replay.
    pub(crate) fn can_record(&self) -> bool {
        self.rr.is_some()
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
        if !hypercall::is_x86(arch) {
            return Ok(counter);
        }
        let mut code = [0; 15];
        let in_page = (4096 - counter % 4096).min(15) as usize;
        if !Host::read(self, cpu, counter, &mut code[..in_page]) {
            return Err(Refusal::Instruction);
        }
        // The rest is another page, which need not exist.
        let whole = in_page == 15 || Host::read(self, cpu, counter + in_page as u64, &mut code[in_page..]);
        let code = if whole { &code[..] } else { &code[..in_page] };
        hypercall::cpuid_length(code).map(|length| counter.wrapping_add(length)).ok_or(Refusal::Instruction)
    }

    /// Holds the guest until the main loop has acted on what was asked of it, and PANDA does what is `wanted`.
    fn hold(&self, rr: &RecordReplay, wanted: Mode) -> Result<(), Refusal> {
        if !self.main_loop.turn_until(|| !rr.is_pending()) {
            rr.take_back();
            return Err(Refusal::NoTurn);
        }
        if rr.mode() == wanted { Ok(()) } else { Err(Refusal::NoTurn) }
    }

    fn rr(&self) -> Result<&RecordReplay, Refusal> {
        self.rr.as_ref().ok_or(Refusal::Unable)
    }
}

impl Host for Panda {
    type Cpu = *mut CPUState;

    fn mode(&self) -> Mode {
        self.rr.as_ref().map_or(Mode::Off, RecordReplay::mode)
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
        self.rr.as_ref().map_or(0, RecordReplay::instructions)
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
        let write = || {
            for (number, value) in hypercall::logged(arch, before, registers) {
                self.write(cpu, number, value);
            }
        };
        match &self.rr {
            Some(rr) => rr.as_main_loop(write),
            None => write(),
        }
    }

    fn read(&self, cpu: Self::Cpu, address: u64, buffer: &mut [u8]) -> bool {
        let Ok(length) = c_int::try_from(buffer.len()) else { return false };
        // SAFETY: the buffer is writable for `length` bytes; PANDA checks the guest's address.
        unsafe { (self.read_memory)(cpu, address, buffer.as_mut_ptr().cast(), length) == 0 }
    }

    fn step_out(&self, cpu: Self::Cpu) -> Result<Place, Refusal> {
        let next = self.next_instruction(cpu)?;
        // Nothing is logged yet, so this is only in the snapshot, as the answer is.
        self.write(cpu, self.arch(cpu).program_counter(), next);
        // SAFETY: `cpu` is the processor of the running callback, which lives as long as PANDA.
        unsafe { (self.run_on_cpu)(cpu, Some(self.stepped_out), ptr::null_mut()) };
        Ok(Place::Outside)
    }

    fn begin(&self, recording: &CStr) -> Result<(), Refusal> {
        let rr = self.rr()?;
        if let Some(clock) = &self.clock {
            clock.keep_time();
            clock.reach_next_timer();
        }
        rr.ask_begin(recording)?;
        self.hold(rr, Mode::Record)?;
        rr.forget_interrupts();
        Ok(())
    }

    fn ask_begin(&self, recording: &CStr) -> Result<(), Refusal> {
        let rr = self.rr()?;
        if let Some(clock) = &self.clock {
            clock.keep_time();
        }
        rr.ask_begin(recording)?;
        // PANDA changes it only while recording.
        rr.forget_interrupts();
        self.main_loop.wake();
        Ok(())
    }

    fn is_pending(&self) -> bool {
        self.rr.as_ref().is_some_and(RecordReplay::is_pending)
    }

    fn end(&self) -> Result<(), Refusal> {
        let rr = self.rr()?;
        rr.ask_end()?;
        self.hold(rr, Mode::Off)
    }

    fn ask_end(&self) {
        if let Some(rr) = &self.rr {
            // It is refused when another change is under way: the recorder sees what becomes of that.
            let _ = rr.ask_end();
            self.main_loop.wake();
        }
    }

    fn random(&self) -> Option<u32> {
        let mut bytes = [0; 4];
        // SAFETY: the system writes at most as many bytes as the array has.
        let written = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        (written == bytes.len() as isize).then(|| u32::from_ne_bytes(bytes))
    }

    fn quit(&self) {
        // SAFETY: a plain function of PANDA's.
        unsafe { (self.vm_quit)() };
    }

    fn arm_ticks(&self, every: Duration) {
        self.main_loop.call_every(every, self.tick);
    }

    fn pause(&self, time: Duration) {
        self.main_loop.pause(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    extern "C" fn never(_data: *mut c_void) -> c_int {
        0
    }

    extern "C" fn nowhere(_cpu: *mut CPUState, _data: *mut c_void) {}

    #[test]
    fn a_target_that_we_do_not_know_is_called_that_and_no_missing_symbol() {
        let symbols = panda_plugin::symbols().expect("a table");
        assert!(matches!(Panda::find(&symbols, never, nowhere), Err(Unfit::Target)));
    }
}
