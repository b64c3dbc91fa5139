//! Where a plugin is kept that PANDA's threads share.

use std::{
    error::Error,
    ffi::CStr,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{Argument, Arguments, STOPPED, guarded, loading};

/// Where a plugin is kept that is called several times at once: from both of PANDA's threads, or again by what it calls.
///
/// [`Plugin`](crate::Plugin) is simpler, and enough for most: its callbacks have it to themselves. A shared plugin
/// registers its own callbacks, by its [`Handle`](crate::Handle), and has its own locks. It is kept as long as the process
/// lives. A panic is caught and logged, and the plugin is not called again.
///
/// ```
/// use std::{ffi::{c_int, c_void}, sync::atomic::{AtomicU64, Ordering}};
/// use panda_plugin::{Argument, Callback, Handle, Shared, argument, sys};
///
/// struct Rounds(AtomicU64);
///
/// static ROUNDS: Shared<Rounds> = Shared::new();
/// const ARGUMENTS: [Argument; 1] = [argument("first", "0", "where to count from")];
///
/// extern "C" fn round(_context: *mut c_void, _cpu: *mut sys::CPUState) {
///     ROUNDS.with((), |rounds| _ = rounds.0.fetch_add(1, Ordering::Relaxed));
/// }
///
/// /// # Safety
/// ///
/// /// Called by PANDA with its handle of this plugin, before the machine runs.
/// #[unsafe(no_mangle)]
/// pub unsafe extern "C" fn init_plugin(handle: *mut c_void) -> bool {
///     ROUNDS.load(c"rounds", &ARGUMENTS, |arguments| {
///         let symbols = panda_plugin::symbols()?;
///         let function = sys::panda_cb_with_context { top_loop: Some(round) };
///         // SAFETY: the handle is PANDA's; the function is this callback's, and looks at no context.
///         unsafe { Handle::new(handle).register(&symbols, Callback::TopLoop, function, std::ptr::null_mut())? };
///         Ok(Some(Rounds(AtomicU64::new(arguments.number("first")?))))
///     })
/// }
///
/// #[unsafe(no_mangle)]
/// pub extern "C" fn uninit_plugin(_handle: *mut c_void) {
///     ROUNDS.with((), |rounds| log::info!("{} rounds", rounds.0.load(Ordering::Relaxed)));
/// }
/// ```
pub struct Shared<P> {
    plugin: OnceLock<P>,
    stopped: AtomicBool,
}

impl<P: Send + Sync> Shared<P> {
    /// No plugin yet.
    #[allow(clippy::new_without_default, reason = "it is made for a static")]
    pub const fn new() -> Shared<P> {
        Shared { plugin: OnceLock::new(), stopped: AtomicBool::new(false) }
    }

    /// Sets up the log, reads the arguments and makes the plugin; false, with a reason on standard error, when it can't
    /// be loaded. With `Ok(None)` it is loaded, and there is nothing to call.
    ///
    /// `make` is not called when PANDA only wants the arguments listed.
    pub fn load(
        &'static self,
        name: &'static CStr,
        arguments: &[Argument],
        make: impl FnOnce(&Arguments) -> Result<Option<P>, Box<dyn Error>>,
    ) -> bool {
        loading(name, || {
            if self.plugin.get().is_some() {
                return Err("it is loaded already".into());
            }
            let Some(arguments) = Arguments::of_panda(name, arguments)? else { return Ok(()) };
            if let Some(plugin) = make(&arguments)? {
                let _ = self.plugin.set(plugin);
            }
            Ok(())
        })
    }

    /// Runs `body` with the plugin, if it is loaded and well; `otherwise` is returned when not.
    pub fn with<T>(&'static self, otherwise: T, body: impl FnOnce(&'static P) -> T) -> T {
        let Some(plugin) = self.plugin.get() else { return otherwise };
        if self.stopped.load(Ordering::Relaxed) {
            return otherwise;
        }
        guarded(None, || Some(body(plugin))).unwrap_or_else(|| {
            self.stopped.store(true, Ordering::Relaxed);
            log::error!("{STOPPED}");
            otherwise
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_plugin_can_be_called_by_what_it_calls() {
        static PLUGIN: Shared<u32> = Shared::new();
        assert_eq!(PLUGIN.with(0, |plugin| *plugin), 0, "not loaded yet");
        PLUGIN.plugin.set(7).expect("the first one");
        assert_eq!(PLUGIN.with(0, |outer| PLUGIN.with(0, |inner| outer + inner)), 14);
    }

    #[test]
    fn a_shared_plugin_that_panics_is_not_called_again() {
        static PLUGIN: Shared<u32> = Shared::new();
        PLUGIN.plugin.set(7).expect("the first one");
        assert_eq!(PLUGIN.with(1, |_| panic!("as it is meant to")), 1);
        assert_eq!(PLUGIN.with(1, |plugin| *plugin), 1);
    }

    #[test]
    fn without_a_panda_nothing_is_made() {
        static PLUGIN: Shared<u32> = Shared::new();
        assert!(!PLUGIN.load(c"test", &[], |_| unreachable!("there are no arguments")));
    }
}
