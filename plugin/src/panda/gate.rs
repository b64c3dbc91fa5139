//! The gate that every guest hypercall passes, in memory that PANDA, the C behind it and we look at.

use std::ptr::NonNull;

use panda_sys::gate::pandacap_gate as Raw;

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
    pub(super) fn new(raw: Raw) -> Gate {
        Gate(NonNull::from(Box::leak(Box::new(raw))))
    }

    /// What PANDA is to call the gate with.
    pub(super) fn context(self) -> *mut std::ffi::c_void {
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
