//! A host that pretends (`dry=y`): the guest is answered as if recordings were made, and PANDA makes none.

use std::{
    ffi::CStr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use protocol::Registers;

use crate::{
    files::{Files, Folder},
    host::{Host, Place},
    recorder::Mode,
    refusal::Refusal,
};

/// A host whose recordings are pretended; for the guest's registers and memory it has a real one.
pub(crate) struct Pretend<H> {
    real: H,
    records: AtomicBool,
}

impl<H: Host> Pretend<H> {
    pub(crate) fn new(real: H) -> Pretend<H> {
        Pretend { real, records: AtomicBool::new(false) }
    }

    // What is pretended is read and changed with QEMU's big lock held, as all of a host is.
    fn pretend(&self, records: bool) {
        self.records.store(records, Ordering::Relaxed);
    }
}

impl<H: Host> Host for Pretend<H> {
    type Cpu = H::Cpu;

    fn mode(&self) -> Mode {
        match self.real.mode() {
            Mode::Replay => Mode::Replay,
            Mode::Off | Mode::Record if self.records.load(Ordering::Relaxed) => Mode::Record,
            Mode::Off | Mode::Record => Mode::Off,
        }
    }

    fn obstacle(&self) -> Option<Refusal> {
        self.real.obstacle()
    }

    fn instructions(&self) -> u64 {
        0
    }

    fn snapshot_bytes(&self) -> u64 {
        0
    }

    fn registers(&self, cpu: H::Cpu) -> Registers {
        self.real.registers(cpu)
    }

    fn answer(&self, cpu: H::Cpu, registers: Registers) {
        self.real.answer(cpu, registers);
    }

    fn read(&self, cpu: H::Cpu, address: u64, buffer: &mut [u8]) -> bool {
        self.real.read(cpu, address, buffer)
    }

    fn reserve(&self, _folder: &Folder, name: &str, _min_free: u64) -> Result<Files, Refusal> {
        Ok(Files::pretended(name))
    }

    fn step_out(&self, _cpu: H::Cpu) -> Result<Place, Refusal> {
        Ok(Place::Here)
    }

    fn begin(&self, _recording: &CStr) -> Result<(), Refusal> {
        self.pretend(true);
        Ok(())
    }

    fn ask_begin(&self, _recording: &CStr) -> Result<(), Refusal> {
        self.pretend(true);
        Ok(())
    }

    fn is_pending(&self) -> bool {
        false
    }

    fn end(&self) -> Result<(), Refusal> {
        self.pretend(false);
        Ok(())
    }

    fn ask_end(&self) {
        self.pretend(false);
    }

    fn random(&self) -> Option<u32> {
        self.real.random()
    }

    fn quit(&self) {
        self.real.quit();
    }

    fn arm_ticks(&self, every: Duration) {
        self.real.arm_ticks(every);
    }

    fn pause(&self, time: Duration) {
        self.real.pause(time);
    }
}
