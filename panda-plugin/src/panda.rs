//! PANDA as a plugin sees it: the guest's registers, memory and instructions, with no layout of a struct known.

use std::{
    ffi::{c_int, c_void},
    ops::RangeInclusive,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI32, Ordering},
    },
};

/// What this process has of PANDA, by name; what it lacks is an error in its place.
pub use panda_sys::Panda as Symbols;
use panda_sys::{CPUState, libloading, panda_cb_with_context};

use crate::registers::{Arch, Reader};

/// Why this PANDA can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// Something that is needed is not there.
    #[error(
        "this PANDA has no {0}: it is older than August 2020, newer than we know, or has no record and replay"
    )]
    Symbol(&'static str),
    /// A callback has no number.
    #[error("this PANDA's number for the callback {0:?} can't be told")]
    Number(Callback),
    /// There is no recctrl, or it is another one.
    #[error("recctrl does not offer {0}: PANDA's own plugin of that name can't be followed")]
    Recctrl(&'static str),
    /// The target's registers are not known.
    #[error("this target's registers are not known: x86_64, i386, arm and aarch64 are")]
    Target,
    /// The process can't be searched.
    #[error("the process can't be searched for PANDA's symbols")]
    Process(#[from] libloading::Error),
}

/// Takes a symbol out of the table of [`symbols`], or returns [`Unfit::Symbol`] with the name of the one that is missing.
///
/// ```
/// use panda_plugin::{Unfit, need, symbols};
///
/// fn quit() -> Result<unsafe extern "C" fn() -> std::ffi::c_int, Unfit> {
///     Ok(need!(symbols()?, panda_vm_quit))
/// }
///
/// // This process is no PANDA.
/// assert!(matches!(quit(), Err(Unfit::Symbol("panda_vm_quit"))));
/// ```
#[macro_export]
macro_rules! need {
    ($symbols:expr, $name:ident) => {
        $symbols
            .$name
            .as_ref()
            .map(|found| *found)
            .map_err(|_| $crate::Unfit::Symbol(::std::stringify!($name)))?
    };
}

/// What this process has of PANDA, by name; what it lacks is an error in its place.
///
/// # Errors
///
/// The process can't be searched.
pub fn symbols() -> Result<Symbols, libloading::Error> {
    let process = libloading::os::unix::Library::this();
    // SAFETY: the table only looks symbols up; the types are those of PANDA's headers (panda-sys's test).
    unsafe { Symbols::from_library(process) }
}

/// What PANDA can call a plugin for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callback {
    /// Before every block of the guest: [`crate::Plugin::before_block`].
    Block,
    /// At a guest's hypercall; on x86 that is every `cpuid`: [`crate::Plugin::hypercall`].
    Hypercall,
    /// When the guest changes to another address space: [`crate::Plugin::asid_changed`].
    AsidChanged,
    /// When the processor is outside of its execution loop: [`crate::Plugin::top_loop`].
    TopLoop,
    /// Before instructions of the plugin's choice: [`crate::Plugin::watch`] and [`crate::Plugin::reached`].
    Instructions,
    /// What recctrl does, which is loaded if it is not there: [`crate::Plugin::recording_began`] and its like.
    Recordings,
}

/// PANDA's number for a callback, which differs between versions: the one whose trampoline is the callback's.
fn callback_number(symbols: &Symbols, callback: Callback) -> Result<u32, Unfit> {
    // PANDA asserts on a number that has no trampoline. In every version these have one, but for the number below
    // that of AsidChanged: hence from above.
    let (wanted, numbers) = match callback {
        Callback::Block => (need!(symbols, panda_cb_trampoline_before_block_exec) as usize, 2..=5),
        Callback::Hypercall => (need!(symbols, panda_cb_trampoline_guest_hypercall) as usize, 20..=23),
        Callback::AsidChanged => (need!(symbols, panda_cb_trampoline_asid_changed) as usize, 25..=28),
        Callback::TopLoop => (need!(symbols, panda_cb_trampoline_top_loop) as usize, 40..=42),
        Callback::Instructions => (need!(symbols, panda_cb_trampoline_insn_exec) as usize, 5..=8),
        Callback::Recordings => return Err(Unfit::Number(callback)),
    };
    number_of(symbols, wanted, numbers)?.ok_or(Unfit::Number(callback))
}

/// The callback among `numbers` whose trampoline is at `wanted`, looked for from above; each of them up to it has to
/// have a trampoline.
fn number_of(symbols: &Symbols, wanted: usize, numbers: RangeInclusive<u32>) -> Result<Option<u32>, Unfit> {
    let trampoline_of = need!(symbols, panda_get_cb_trampoline);
    Ok(numbers.rev().find(|&number| {
        // SAFETY: a plain function of PANDA's; every member of the union is one pointer.
        let found = unsafe { trampoline_of(number).cbaddr };
        found.is_some_and(|found| found as usize == wanted)
    }))
}

/// The number of the callback that asks which instructions [`Callback::Instructions`] is for, told in the same way.
fn translation_number(symbols: &Symbols) -> Result<u32, Unfit> {
    let wanted = need!(symbols, panda_cb_trampoline_insn_translate) as usize;
    number_of(symbols, wanted, 4..=7)?.ok_or(Unfit::Number(Callback::Instructions))
}

/// PANDA's handle of a plugin, by which it registers its callbacks.
#[derive(Clone, Copy, Debug)]
pub struct Handle(*mut c_void);

impl Handle {
    /// What PANDA calls `init_plugin` with.
    pub fn new(handle: *mut c_void) -> Handle {
        Handle(handle)
    }

    /// Has PANDA call `function` with `context` for a `callback`.
    ///
    /// # Errors
    ///
    /// This PANDA has no such callback, or its number can't be told; [`Callback::Recordings`] is none of PANDA's.
    ///
    /// # Safety
    ///
    /// The handle is PANDA's for this plugin, `function` is of this callback, and `context` is what it expects, for as
    /// long as the process lives.
    pub unsafe fn register(
        self,
        symbols: &Symbols,
        callback: Callback,
        function: panda_cb_with_context,
        context: *mut c_void,
    ) -> Result<(), Unfit> {
        let register = need!(symbols, panda_register_callback_with_context);
        let number = callback_number(symbols, callback)?;
        // SAFETY: the caller's promise; the number is the callback's.
        unsafe { register(self.0, number, function, context) };
        Ok(())
    }

    /// Has PANDA ask `function` of each instruction that it translates whether it belongs to
    /// [`Callback::Instructions`].
    ///
    /// # Errors
    ///
    /// As for [`Handle::register`].
    ///
    /// # Safety
    ///
    /// As for [`Handle::register`]; `function` is an `insn_translate`.
    pub unsafe fn register_choice(
        self,
        symbols: &Symbols,
        function: panda_cb_with_context,
        context: *mut c_void,
    ) -> Result<(), Unfit> {
        let register = need!(symbols, panda_register_callback_with_context);
        let number = translation_number(symbols)?;
        // SAFETY: the caller's promise; the number is the callback's.
        unsafe { register(self.0, number, function, context) };
        Ok(())
    }
}

/// The PANDA that loaded the plugin.
pub struct Panda {
    registers: Reader,
    read_memory: unsafe extern "C" fn(*mut CPUState, u64, *mut i8, c_int) -> c_int,
    asid: unsafe extern "C" fn(*mut CPUState) -> u64,
    instruction_count: unsafe extern "C" fn() -> u64,
    disable_chaining: unsafe extern "C" fn(),
    /// What PANDA does with the guest: [`panda_sys::RR_RECORD`] and the like. PANDA-ng has nothing of the kind.
    mode: Option<&'static AtomicI32>,
    /// The count so far, and the mode in which it was made.
    instructions: Mutex<(c_int, u64)>,
}

impl Panda {
    /// Looks up all that is needed, and returns the table of all there is, too.
    pub(crate) fn find() -> Result<(Panda, Symbols), Unfit> {
        let symbols = symbols()?;
        let registers = Reader::find(&symbols).ok_or(Unfit::Target)?;
        // SAFETY: an aligned int of PANDA's that lives as long as the process; only the main loop's thread writes to it,
        // under the lock that a thread has when it runs callbacks.
        let mode = symbols
            .rr_control
            .as_ref()
            .ok()
            .map(|control| unsafe { AtomicI32::from_ptr((&raw mut (**control).mode).cast()) });
        let panda = Panda {
            registers,
            read_memory: need!(symbols, panda_virtual_memory_read_external),
            asid: need!(symbols, panda_current_asid),
            instruction_count: need!(symbols, rr_get_guest_instr_count_external),
            disable_chaining: need!(symbols, panda_disable_tb_chaining),
            mode,
            instructions: Mutex::default(),
        };
        Ok((panda, symbols))
    }

    /// One that runs no guest.
    #[cfg(test)]
    pub(crate) fn fake() -> Panda {
        unsafe extern "C" fn nothing() {}
        unsafe extern "C" fn count() -> u64 {
            0
        }
        unsafe extern "C" fn asid(_: *mut CPUState) -> u64 {
            0
        }
        unsafe extern "C" fn read_register(_: *mut CPUState, _: *mut u8, _: c_int) -> c_int {
            0
        }
        unsafe extern "C" fn read_memory(_: *mut CPUState, _: u64, _: *mut i8, _: c_int) -> c_int {
            -1
        }
        Panda {
            registers: Reader::new(Arch::X86_64, read_register),
            read_memory,
            asid,
            instruction_count: count,
            disable_chaining: nothing,
            mode: None,
            instructions: Mutex::default(),
        }
    }

    /// Has PANDA come by before each block: those that are chained run without a callback.
    pub(crate) fn unchain(&self) {
        // SAFETY: a plain function of PANDA's.
        unsafe { (self.disable_chaining)() };
    }

    /// Guest instructions since the recording or the replay began; 0 outside.
    ///
    /// Some PANDAs only tell the low 32 bits. The rest is counted here, so it has to be asked for, by whatever
    /// callback, more often than every 4 billion instructions; the layer does so at each callback.
    pub fn instructions(&self) -> u64 {
        // SAFETY: a plain function of PANDA's; callbacks run when there is a processor.
        let low = unsafe { (self.instruction_count)() } as u32;
        let mode = self.mode.map_or(0, |mode| mode.load(Ordering::Relaxed));
        let mut count = self.instructions.lock().unwrap_or_else(PoisonError::into_inner);
        *count = (mode, counted(*count, mode, low));
        count.1
    }
}

/// The count whose low 32 bits are `low`: not before the last one, unless PANDA has begun to count anew since, as it
/// does with each recording.
fn counted((last_mode, last): (c_int, u64), mode: c_int, low: u32) -> u64 {
    if mode == last_mode { last + u64::from(low.wrapping_sub(last as u32)) } else { low.into() }
}

/// A virtual processor, for as long as one callback lasts.
#[derive(Clone, Copy)]
pub struct Cpu<'a> {
    panda: &'a Panda,
    cpu: *mut CPUState,
}

impl<'a> Cpu<'a> {
    /// # Safety
    ///
    /// `cpu` is the processor of the callback that is running, on this thread, for at least `'a`.
    pub(crate) unsafe fn new(panda: &'a Panda, cpu: *mut CPUState) -> Cpu<'a> {
        Cpu { panda, cpu }
    }

    fn arch(&self) -> Arch {
        // SAFETY: `cpu` is the processor of the running callback (`new`).
        unsafe { self.panda.registers.arch(self.cpu) }
    }

    /// A general register by gdb's number for the target, zero-extended.
    pub fn register(&self, number: i32) -> u64 {
        // SAFETY: as for `arch`.
        unsafe { self.panda.registers.read(self.cpu, number) }
    }

    /// Where the guest is: exact before a block.
    pub fn program_counter(&self) -> u64 {
        self.register(self.arch().program_counter())
    }

    /// The four registers of a hypercall.
    pub fn call(&self) -> [u64; 4] {
        self.arch().call_registers().map(|number| self.register(number))
    }

    /// The address space: the guest's page table base, which tells processes apart.
    pub fn asid(&self) -> u64 {
        // SAFETY: `cpu` is a processor (`new`).
        self.address(unsafe { (self.panda.asid)(self.cpu) })
    }

    /// A guest address that PANDA gave us, without what a 32-bit one leaves above it.
    pub(crate) fn address(&self, address: u64) -> u64 {
        if self.arch().register_bytes() == 8 { address } else { address & u64::from(u32::MAX) }
    }

    /// Guest memory, as the running process sees it; `None` when any byte of it is not mapped.
    pub fn memory(&self, address: u64, length: usize) -> Option<Vec<u8>> {
        let mut buffer = vec![0; length];
        self.read(address, &mut buffer).then_some(buffer)
    }

    /// The same into a buffer, with no allocation: false when any byte is not mapped, and the buffer is undefined then.
    pub fn read(&self, address: u64, buffer: &mut [u8]) -> bool {
        let Ok(length) = c_int::try_from(buffer.len()) else { return false };
        // SAFETY: the buffer is writable for `length` bytes; PANDA checks the guest's address.
        unsafe { (self.panda.read_memory)(self.cpu, address, buffer.as_mut_ptr().cast(), length) == 0 }
    }

    /// Whether the guest's registers are 64 bits wide.
    pub fn is_64_bit(&self) -> bool {
        self.arch().register_bytes() == 8
    }

    /// Guest instructions up to here: see [`Panda::instructions`].
    pub fn instructions(&self) -> u64 {
        self.panda.instructions()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_goes_on_above_32_bits_and_starts_anew_with_each_recording() {
        assert_eq!(counted((1, 0), 1, 7), 7);
        assert_eq!(counted((1, 0xffff_fff0), 1, 5), 0x1_0000_0005);
        assert_eq!(counted((1, 0x3_0000_0005), 1, 5), 0x3_0000_0005);
        assert_eq!(counted((1, 5000), 0, 7), 7);
    }

    #[test]
    fn a_process_without_panda_is_refused_by_name() {
        let refused = Panda::find().err().map(|error| error.to_string());
        assert_eq!(
            refused.as_deref(),
            Some("this target's registers are not known: x86_64, i386, arm and aarch64 are")
        );
    }
}
