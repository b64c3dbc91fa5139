//! PANDA's record and replay: what it is asked for, and what it does.

use std::{
    ffi::{CStr, c_int},
    ptr,
};

use panda_plugin::{
    Symbols, Unfit, need,
    sys::{self, RR_NOCHANGE, RR_RECORD, RR_REPLAY, RRCTRL_OK},
};

use crate::{recorder::Mode, refusal::Refusal};

/// What a PANDA has that can record. It is used with QEMU's big lock held, under which alone PANDA changes it.
pub(super) struct RecordReplay {
    control: *mut sys::pandacap_rr_control,
    log: *mut *mut sys::pandacap_rr_log,
    skipped_callsite: *mut c_int,
    interrupt_request: Option<*mut c_int>,
    begin: unsafe extern "C" fn(*const i8, *const i8) -> c_int,
    end: unsafe extern "C" fn() -> c_int,
    instruction_count: unsafe extern "C" fn() -> u64,
}

impl RecordReplay {
    /// All of it, or nothing where PANDA has no record and replay at all.
    pub(super) fn find(symbols: &Symbols) -> Result<Option<RecordReplay>, Unfit> {
        let Ok(control) = symbols.rr_control else { return Ok(None) };
        Ok(Some(RecordReplay {
            control,
            log: need!(symbols, rr_nondet_log),
            skipped_callsite: need!(symbols, rr_skipped_callsite_location),
            interrupt_request: symbols.panda_current_interrupt_request.as_ref().ok().copied(),
            begin: need!(symbols, panda_record_begin),
            end: need!(symbols, panda_record_end),
            instruction_count: need!(symbols, rr_get_guest_instr_count_external),
        }))
    }

    /// What PANDA is doing.
    pub(super) fn mode(&self) -> Mode {
        // SAFETY: PANDA's global, read with the lock held.
        match unsafe { (*self.control).mode } {
            RR_RECORD => Mode::Record,
            RR_REPLAY => Mode::Replay,
            _ => Mode::Off,
        }
    }

    /// Whether the main loop has yet to act on what was asked of it.
    pub(super) fn is_pending(&self) -> bool {
        // SAFETY: PANDA's global, read with the lock held.
        unsafe { (*self.control).next != RR_NOCHANGE }
    }

    /// Asks for a recording from the machine as it stands; the main loop begins it at its next turn.
    pub(super) fn ask_begin(&self, recording: &CStr) -> Result<(), Refusal> {
        // PANDA copies the name.
        // SAFETY: the name ends with a NUL; a null snapshot means: from the machine as it stands.
        agreed(unsafe { (self.begin)(recording.as_ptr(), ptr::null()) })
    }

    /// Asks for the end of the recording at the main loop's next turn.
    pub(super) fn ask_end(&self) -> Result<(), Refusal> {
        // SAFETY: a plain function of PANDA's.
        agreed(unsafe { (self.end)() })
    }

    /// Takes back what was asked of the main loop, which has not begun to act on it.
    pub(super) fn take_back(&self) {
        // SAFETY: PANDA's global, written with the lock held.
        unsafe { (*self.control).next = RR_NOCHANGE };
    }

    /// The replay starts from no interrupt request: what is pending when a recording begins has to be logged again.
    pub(super) fn forget_interrupts(&self) {
        if let Some(request) = self.interrupt_request {
            // SAFETY: PANDA's global, with the lock held.
            unsafe { *request = 0 };
        }
    }

    /// Guest instructions since the recording began; 0 when none is on.
    pub(super) fn instructions(&self) -> u64 {
        if self.mode() != Mode::Record {
            return 0;
        }
        // SAFETY: while recording, PANDA has a log and a processor.
        let (logged, low) = unsafe { ((**self.log).last_instruction, (self.instruction_count)() as u32) };
        // The log is written many times in 2^32 instructions, for every interrupt is in it.
        logged + u64::from(low.wrapping_sub(logged as u32))
    }

    /// Runs `write`: what it writes into registers is logged as the main loop's doing.
    pub(super) fn as_main_loop(&self, write: impl FnOnce()) {
        let main_loop = sys::PANDACAP_CALLSITE_MAIN_LOOP_WAIT as c_int;
        // SAFETY: PANDA's global, which its own code on this thread sets before each use.
        let callsite = unsafe { ptr::replace(self.skipped_callsite, main_loop) };
        write();
        // SAFETY: as above.
        unsafe { *self.skipped_callsite = callsite };
    }
}

/// PANDA's answer to what it was asked for.
fn agreed(answer: c_int) -> Result<(), Refusal> {
    if answer == RRCTRL_OK { Ok(()) } else { Err(Refusal::Panda(answer)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panda_without_record_and_replay_is_told_from_one_that_lacks_a_part_of_it() {
        // This process has no symbol of PANDA's.
        let mut symbols = panda_plugin::symbols().expect("a table");
        assert!(matches!(RecordReplay::find(&symbols), Ok(None)));
        let mut control = sys::pandacap_rr_control {
            mode: sys::RR_OFF,
            next: RR_NOCHANGE,
            name: ptr::null_mut(),
            snapshot: ptr::null_mut(),
        };
        symbols.rr_control = Ok(&raw mut control);
        assert!(matches!(RecordReplay::find(&symbols), Err(Unfit::Symbol("rr_nondet_log"))));
    }
}
