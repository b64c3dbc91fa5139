//! The gate that every guest hypercall passes, in memory that PANDA, the C behind it and we look at.

use std::{
    ffi::{c_int, c_void},
    ptr::NonNull,
};

use panda_plugin::{
    Callback, Handle, Symbols, Unfit, need,
    sys::{
        CPUState,
        gate::{pandacap_gate as Raw, pandacap_gate_call},
        panda_cb_with_context,
    },
};

/// A gate that lives as long as the process.
///
/// All that reach it, PANDA by the address that it was given at registration among them, do so by this one pointer:
/// no reference is held from one call to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gate(NonNull<Raw>);

// SAFETY: the gate is only touched on the virtual processor's thread, with QEMU's big lock held.
unsafe impl Send for Gate {}
// SAFETY: as above.
unsafe impl Sync for Gate {}

impl Gate {
    /// Has every guest hypercall pass a gate behind which `slow` decides.
    pub(crate) fn install(
        handle: Handle,
        symbols: &Symbols,
        slow: unsafe extern "C" fn(*mut CPUState) -> c_int,
    ) -> Result<Gate, Unfit> {
        let gate = Gate::new(Raw {
            magic_offset: 0,
            magic: protocol::MAGIC,
            slow: Some(slow),
            leave: Some(need!(symbols, cpu_loop_exit_noexc)),
        });
        let function = panda_cb_with_context { guest_hypercall: Some(pandacap_gate_call) };
        // SAFETY: the handle is PANDA's for us, and the function expects a gate, which lives for ever.
        unsafe { handle.register(symbols, Callback::Hypercall, function, gate.context())? };
        Ok(gate)
    }

    fn new(raw: Raw) -> Gate {
        Gate(NonNull::from(Box::leak(Box::new(raw))))
    }

    /// What PANDA is to call the gate with.
    fn context(self) -> *mut c_void {
        self.0.as_ptr().cast()
    }

    /// Where the first hypercall register lies, in bytes from the processor's beginning; 0 when it is not known.
    pub(super) fn magic_offset(self) -> u64 {
        // SAFETY: the gate lives for ever, and the C that reads it waits for us meanwhile.
        unsafe { (*self.0.as_ptr()).magic_offset }
    }

    pub(super) fn set_magic_offset(self, offset: u64) {
        // SAFETY: as above.
        unsafe { (*self.0.as_ptr()).magic_offset = offset };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_that_panda_has_can_still_be_changed_and_read_by_both() {
        let gate = Gate::new(Raw { magic_offset: 0, magic: 7, slow: None, leave: None });
        let pandas = gate.context().cast::<Raw>();
        for offset in [8, 0] {
            gate.set_magic_offset(offset);
            // SAFETY: the gate lives for ever.
            let (seen, magic) = unsafe { ((*pandas).magic_offset, (*pandas).magic) };
            assert_eq!((seen, magic, gate.magic_offset()), (offset, 7, offset));
        }
        // SAFETY: nothing else refers to this one any more.
        drop(unsafe { Box::from_raw(pandas) });
    }
}
