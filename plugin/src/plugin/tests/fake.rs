//! A PANDA for tests, with a guest that says what the test says.

use std::{collections::BTreeMap, ffi::CStr, fs, sync::Arc, time::Duration};

use parking_lot::Mutex;
use protocol::Registers;

use crate::{
    host::{Host, Place},
    recorder::Mode,
    refusal::Refusal,
};

/// A PANDA with one processor, whose guest's memory has a page for each number.
#[derive(Default)]
pub(super) struct FakePanda {
    pub(super) mode: Option<Mode>,
    pub(super) registers: Registers,
    pub(super) pages: BTreeMap<u64, Vec<u8>>,
    pub(super) obstacle: Option<Refusal>,
    pub(super) is_deaf: bool,
    pub(super) quits: u32,
    pub(super) ticks: u32,
    pub(super) paused: Duration,
    pub(super) begun: Vec<String>,
    /// A recording that is to begin at the main loop's next turn.
    pub(super) next: Option<String>,
}

#[derive(Clone, Default)]
pub(super) struct FakeHost(pub(super) Arc<Mutex<FakePanda>>);

pub(super) const PAGE: u64 = 4096;

impl Host for FakeHost {
    type Cpu = ();

    fn mode(&self) -> Mode {
        self.0.lock().mode.unwrap_or(Mode::Off)
    }

    fn obstacle(&self) -> Option<Refusal> {
        self.0.lock().obstacle.take()
    }

    fn instructions(&self) -> u64 {
        42
    }

    fn snapshot_bytes(&self) -> u64 {
        1 << 20
    }

    fn registers(&self, (): ()) -> Registers {
        self.0.lock().registers
    }

    fn answer(&self, (): (), registers: Registers) {
        self.0.lock().registers = registers;
    }

    fn read(&self, (): (), address: u64, buffer: &mut [u8]) -> bool {
        let panda = self.0.lock();
        let bytes = (0..buffer.len() as u64).map(|i| {
            let at = address.wrapping_add(i);
            panda.pages.get(&(at / PAGE)).map(|page| page[(at % PAGE) as usize])
        });
        let Some(bytes) = bytes.collect::<Option<Vec<u8>>>() else { return false };
        buffer.copy_from_slice(&bytes);
        true
    }

    fn step_out(&self, (): ()) -> Result<Place, Refusal> {
        Ok(Place::Outside)
    }

    /// Opens the files as PANDA does: without O_EXCL, without O_TRUNC, and wherever the name leads.
    fn begin(&self, recording: &CStr) -> Result<(), Refusal> {
        if self.0.lock().is_deaf {
            return Err(Refusal::NoTurn);
        }
        let recording = recording.to_str().expect("a path of ours");
        for kind in ["rr-snp", "rr-nondet.log"] {
            fs::write(format!("{recording}-{kind}"), 7u64.to_le_bytes())
                .expect("PANDA would have crashed here");
        }
        let mut panda = self.0.lock();
        panda.begun.push(recording.to_owned());
        panda.mode = Some(Mode::Record);
        Ok(())
    }

    fn ask_begin(&self, recording: &CStr) -> Result<(), Refusal> {
        self.0.lock().next = Some(recording.to_str().expect("a path of ours").to_owned());
        Ok(())
    }

    fn is_pending(&self) -> bool {
        self.0.lock().next.is_some()
    }

    fn end(&self) -> Result<(), Refusal> {
        let mut panda = self.0.lock();
        if panda.is_deaf {
            return Err(Refusal::NoTurn);
        }
        panda.mode = Some(Mode::Off);
        Ok(())
    }

    fn ask_end(&self) {
        self.0.lock().mode = Some(Mode::Off);
    }

    fn random(&self) -> Option<u32> {
        Some(0x5eed)
    }

    fn quit(&self) {
        self.0.lock().quits += 1;
    }

    fn arm_ticks(&self, _every: Duration) {
        self.0.lock().ticks += 1;
    }

    fn pause(&self, time: Duration) {
        self.0.lock().paused += time;
    }
}
