//! A small safe layer for writing plugins of PANDA.
//!
//! A plugin is a type with the trait [`Plugin`], exported with [`export!`] from a crate of type `cdylib`. The layer
//! looks PANDA's symbols up by name and finds its callbacks' numbers when it is loaded, so one build serves every
//! target and version; what is missing is a reason not to load, written to standard error.
//!
//! ```
//! use std::{error::Error, ffi::CStr};
//! use panda_plugin::{Argument, Arguments, Callback, Cpu, Panda, Plugin, argument};
//!
//! /// Counts the blocks that the guest executes.
//! struct Blocks {
//!     most: u64,
//!     counted: u64,
//! }
//!
//! impl Plugin for Blocks {
//!     const NAME: &'static CStr = c"blocks";
//!     const ARGUMENTS: &'static [Argument] = &[argument("most", "1M", "count no further (K, M, G)")];
//!     const CALLBACKS: &'static [Callback] = &[Callback::Block];
//!
//!     fn load(arguments: &Arguments) -> Result<Blocks, Box<dyn Error>> {
//!         Ok(Blocks { most: arguments.size("most")?, counted: 0 })
//!     }
//!
//!     fn before_block(&mut self, _cpu: Cpu<'_>) {
//!         self.counted = self.most.min(self.counted + 1);
//!     }
//!
//!     fn unload(self, _panda: &Panda) {
//!         log::info!("{} blocks", self.counted);
//!     }
//! }
//!
//! panda_plugin::export!(Blocks);
//! ```
//!
//! A plugin whose callbacks come from several threads at once is kept in a [`Shared`] instead, as recctrl is. What the
//! layer does not wrap is in [`sys`], looked up with [`symbols`] and [`need!`].

mod arguments;
mod output;
mod panda;
pub mod recctrl;
pub mod registers;
mod shared;

use std::{
    error::Error,
    ffi::{CStr, c_void},
    io::Write as _,
    panic::{self, AssertUnwindSafe},
    ptr,
    sync::OnceLock,
};

pub use arguments::{Argument, Arguments, BadArguments, argument};
pub use output::Output;
pub use panda::{Callback, Cpu, Handle, Panda, Symbols, Unfit, symbols};
/// The bindings to PANDA below this layer.
pub use panda_sys as sys;
use panda_sys::{CPUState, TranslationBlock, panda_cb_with_context};
use parking_lot::Mutex;
pub use shared::Shared;

/// A plugin of PANDA.
///
/// Its callbacks come on the virtual processor's thread, one after another, with QEMU's big lock held. A panic in one
/// of them is caught and logged: the plugin is dropped, and neither called again nor unloaded; the guest runs on.
pub trait Plugin: Sized + Send + 'static {
    /// Its name, as behind `-panda`; the file is `panda_NAME.so`.
    const NAME: &'static CStr;
    /// Its arguments, in the order of the help.
    const ARGUMENTS: &'static [Argument];
    /// What it is called for.
    const CALLBACKS: &'static [Callback];

    /// Makes the plugin, before the machine runs.
    ///
    /// # Errors
    ///
    /// Why it can't be loaded, for standard error.
    fn load(arguments: &Arguments) -> Result<Self, Box<dyn Error>>;

    /// The guest is about to execute a block, which begins at the program counter.
    ///
    /// PANDA leaves a block before its first instruction when its main loop wants a turn, and then enters it again:
    /// the second call has the same [`Cpu::instructions`]. How often that is differs from replay to replay.
    fn before_block(&mut self, _cpu: Cpu<'_>) {}

    /// The guest made a hypercall, or, on x86, executes a `cpuid`: true when it is answered.
    fn hypercall(&mut self, _cpu: Cpu<'_>) -> bool {
        false
    }

    /// The guest changes from one address space to another.
    fn asid_changed(&mut self, _cpu: Cpu<'_>, _before: u64, _after: u64) {}

    /// Which instructions are to be watched, by their addresses: [`Plugin::reached`] is called before each of them.
    ///
    /// PANDA is about to translate the guest's code at `address`. As long as there is no answer, it is asked of every
    /// instruction that is translated; the first answer holds from there on. Code costs nothing unless it is watched.
    fn watch(&mut self, _cpu: Cpu<'_>, _address: u64) -> Option<Vec<u64>> {
        Some(Vec::new())
    }

    /// The guest is about to execute an instruction that is watched.
    fn reached(&mut self, _cpu: Cpu<'_>, _address: u64) {}

    /// The virtual processor is outside of its execution loop, as for each turn of PANDA's main loop.
    fn top_loop(&mut self) {}

    /// recctrl began a recording, `name`.
    fn recording_began(&mut self, _name: &str) {}

    /// A recording of recctrl's is complete on disk: why it ended, as in the events file, and its guest instructions.
    fn recording_ended(&mut self, _name: &str, _why: &str, _instructions: u64) {}

    /// The guest left a note with recctrl; a hostile one chooses its 1 to 1024 bytes.
    fn guest_message(&mut self, _text: &[u8]) {}

    /// PANDA is about to exit.
    fn unload(self, _panda: &Panda) {}
}

/// Writes log lines to standard error as PANDA's own are, with the plugin's name.
fn log_as(plugin: &'static CStr) {
    let format = move |out: &mut env_logger::fmt::Formatter, record: &log::Record<'_>| {
        let level = match record.level() {
            log::Level::Error => "error: ",
            log::Level::Warn => "warning: ",
            _ => "",
        };
        writeln!(out, "PANDA[{}]: {level}{}", plugin.to_string_lossy(), record.args())
    };
    // There may be a logger already: then it gets our lines.
    let _ = env_logger::Builder::new().filter_level(log::LevelFilter::Info).format(format).try_init();
}

/// Runs `body`; a panic never reaches PANDA, which gets `otherwise` instead.
pub fn guarded<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    panic::catch_unwind(AssertUnwindSafe(body)).unwrap_or(otherwise)
}

/// Loads a plugin: sets up its log and runs `body`; false, with the reason on standard error, when that fails.
fn loading(plugin: &'static CStr, body: impl FnOnce() -> Result<(), Box<dyn Error>>) -> bool {
    log_as(plugin);
    guarded(false, || match body() {
        Ok(()) => true,
        Err(error) => {
            let causes = std::iter::successors(Some(&*error as &dyn Error), |&cause| cause.source());
            let causes: Vec<String> = causes.map(ToString::to_string).collect();
            log::error!("not loaded: {}", causes.join(": "));
            false
        }
    })
}

/// Makes a type with the trait [`Plugin`] the plugin of this crate.
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        static PANDA_PLUGIN: $crate::Slot<$plugin> = $crate::Slot::new();

        /// PANDA's entry.
        ///
        /// # Safety
        ///
        /// Called by PANDA with its handle of this plugin, before the machine runs.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn init_plugin(handle: *mut ::std::ffi::c_void) -> bool {
            // SAFETY: the caller's promise.
            unsafe { PANDA_PLUGIN.load(handle) }
        }

        /// PANDA's exit.
        #[unsafe(no_mangle)]
        pub extern "C" fn uninit_plugin(_handle: *mut ::std::ffi::c_void) {
            PANDA_PLUGIN.unload();
        }
    };
}

/// What is said of a plugin that panicked.
const STOPPED: &str = "stopped by an internal error; please report it";

/// Where [`export!`] keeps the plugin, for PANDA's callbacks.
pub struct Slot<P> {
    loaded: Mutex<Option<(P, Panda)>>,
    /// The instructions that are watched, once the plugin has named them. Outside of the lock, for PANDA asks about
    /// every instruction that it translates.
    watched: OnceLock<Watched>,
}

/// Instructions that are watched.
struct Watched {
    /// Their addresses, in order.
    addresses: Vec<u64>,
    /// The bits of an address as PANDA gives it that the guest's have.
    width: u64,
}

impl Watched {
    fn has(&self, address: u64) -> bool {
        let address = address & self.width;
        // Most code is the processes', far below the kernel's.
        self.addresses.first().is_some_and(|&first| address >= first)
            && self.addresses.binary_search(&address).is_ok()
    }
}

impl<P: Plugin> Slot<P> {
    /// A slot without a plugin.
    #[allow(clippy::new_without_default, reason = "only export! makes one")]
    pub const fn new() -> Slot<P> {
        Slot { loaded: Mutex::new(None), watched: OnceLock::new() }
    }

    /// Loads the plugin; false, with a reason on standard error, when it can't be.
    ///
    /// # Safety
    ///
    /// `handle` is PANDA's for this plugin.
    pub unsafe fn load(&'static self, handle: *mut c_void) -> bool {
        // SAFETY: the caller's promise.
        loading(P::NAME, || unsafe { self.try_load(Handle::new(handle)) })
    }

    /// # Safety
    ///
    /// As for `load`.
    unsafe fn try_load(&'static self, handle: Handle) -> Result<(), Box<dyn Error>> {
        let Some(arguments) = Arguments::of_panda(P::NAME, P::ARGUMENTS)? else { return Ok(()) };
        let plugin = P::load(&arguments)?;
        let (panda, symbols) = Panda::find()?;
        for &callback in P::CALLBACKS {
            let function = match callback {
                Callback::Recordings => {
                    recctrl::follow::<P>(&symbols, self)?;
                    continue;
                }
                Callback::Block => panda_cb_with_context { before_block_exec: Some(before_block::<P>) },
                Callback::Hypercall => panda_cb_with_context { guest_hypercall: Some(hypercall::<P>) },
                Callback::AsidChanged => panda_cb_with_context { asid_changed: Some(asid_changed::<P>) },
                Callback::TopLoop => panda_cb_with_context { top_loop: Some(top_loop::<P>) },
                Callback::Instructions => {
                    let choice = panda_cb_with_context { insn_translate: Some(translated::<P>) };
                    // SAFETY: as below.
                    unsafe {
                        handle.register_choice(&symbols, choice, ptr::from_ref(self).cast_mut().cast())?;
                    }
                    panda_cb_with_context { insn_exec: Some(reached::<P>) }
                }
            };
            // SAFETY: the handle is the caller's promise; each function expects this slot, which is a static.
            unsafe { handle.register(&symbols, callback, function, ptr::from_ref(self).cast_mut().cast())? };
        }
        if P::CALLBACKS.contains(&Callback::Block) {
            panda.unchain();
        }
        *self.loaded.lock() = Some((plugin, panda));
        Ok(())
    }

    /// Unloads the plugin.
    pub fn unload(&self) {
        guarded((), || {
            let loaded = self.loaded.lock().take();
            if let Some((plugin, panda)) = loaded {
                plugin.unload(&panda);
            }
        });
    }

    /// Tells the plugin, if it is there, what has happened.
    fn tell(&self, body: impl FnOnce(&mut P)) {
        self.run((), |plugin, _| body(plugin));
    }

    /// Runs `body` with the plugin, if it is there; one that panics is there no longer.
    fn run<T>(&self, otherwise: T, body: impl FnOnce(&mut P, &Panda) -> T) -> T {
        let mut slot = self.loaded.lock();
        let Some((plugin, panda)) = slot.as_mut() else { return otherwise };
        let done = guarded(None, || Some(body(plugin, panda)));
        if done.is_none() {
            log::error!("{STOPPED}");
            // What it is dropped with is its own code as well.
            guarded((), || *slot = None);
        }
        done.unwrap_or(otherwise)
    }

    /// Runs a callback, if the plugin is there.
    ///
    /// # Safety
    ///
    /// `cpu` is the processor of the callback that is running.
    unsafe fn call<T>(&self, cpu: *mut CPUState, otherwise: T, body: impl FnOnce(&mut P, Cpu<'_>) -> T) -> T {
        self.run(otherwise, |plugin, panda| {
            panda.instructions();
            // SAFETY: the caller's promise.
            body(plugin, unsafe { Cpu::new(panda, cpu) })
        })
    }
}

unsafe extern "C" fn before_block<P: Plugin>(
    slot: *mut c_void,
    cpu: *mut CPUState,
    _block: *mut TranslationBlock,
) {
    // SAFETY: PANDA hands the slot back that was registered, and the processor that runs.
    unsafe { (*slot.cast::<Slot<P>>()).call(cpu, (), |plugin, cpu| plugin.before_block(cpu)) }
}

unsafe extern "C" fn hypercall<P: Plugin>(slot: *mut c_void, cpu: *mut CPUState) -> bool {
    // SAFETY: as for `before_block`.
    unsafe { (*slot.cast::<Slot<P>>()).call(cpu, false, |plugin, cpu| plugin.hypercall(cpu)) }
}

unsafe extern "C" fn asid_changed<P: Plugin>(
    slot: *mut c_void,
    cpu: *mut CPUState,
    before: u64,
    after: u64,
) -> bool {
    let call = |plugin: &mut P, cpu: Cpu<'_>| {
        plugin.asid_changed(cpu, cpu.address(before), cpu.address(after));
        // True would keep the guest from changing.
        false
    };
    // SAFETY: as for `before_block`.
    unsafe { (*slot.cast::<Slot<P>>()).call(cpu, false, call) }
}

unsafe extern "C" fn translated<P: Plugin>(slot: *mut c_void, cpu: *mut CPUState, address: u64) -> bool {
    // SAFETY: PANDA hands the slot back that was registered.
    let slot = unsafe { &*slot.cast::<Slot<P>>() };
    if let Some(watched) = slot.watched.get() {
        return watched.has(address);
    }
    let ask = |plugin: &mut P, cpu: Cpu<'_>| {
        let mut addresses = plugin.watch(cpu, cpu.address(address))?;
        addresses.sort_unstable();
        Some(Watched { addresses, width: cpu.address(u64::MAX) })
    };
    // A plugin that is gone watches nothing.
    let gone = Some(Watched { addresses: Vec::new(), width: 0 });
    // SAFETY: the processor is the one that runs.
    match unsafe { slot.call(cpu, gone, ask) } {
        Some(watched) => slot.watched.get_or_init(|| watched).has(address),
        None => false,
    }
}

unsafe extern "C" fn reached<P: Plugin>(slot: *mut c_void, cpu: *mut CPUState, address: u64) -> i32 {
    // SAFETY: as for `before_block`.
    unsafe {
        (*slot.cast::<Slot<P>>()).call(cpu, (), |plugin, cpu| plugin.reached(cpu, cpu.address(address)))
    };
    0
}

unsafe extern "C" fn top_loop<P: Plugin>(slot: *mut c_void, _cpu: *mut CPUState) {
    // SAFETY: PANDA hands the slot back that was registered.
    unsafe { (*slot.cast::<Slot<P>>()).tell(P::top_loop) }
}

#[cfg(test)]
mod tests;
