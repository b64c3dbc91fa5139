//! recctrl for PANDA: recordings that start and stop exactly on a guest's hypercall, and replay without a plugin.
//!
//! Loaded with `-panda recctrl`. [`recorder`] decides, as a pure function; [`host`] is the one door to PANDA;
//! [`Plugin`] stands between them.

mod events;
pub mod exports;
mod files;
pub mod follow;
pub mod host;
pub mod options;
mod panda;
mod plugin;
mod quiet;
pub mod recorder;

use std::{
    error::Error,
    ffi::{CStr, c_int, c_void},
};

use once_cell::sync::OnceCell;
use panda_plugin::guarded;
use panda_sys::{CPUState, gate};
pub use plugin::{Plugin, Verdict};

use crate::{
    events::Events,
    files::Folder,
    options::Options,
    panda::{Gate, Kicker, Panda, Unfit},
};

/// What PANDA calls us.
const NAME: &CStr = c"recctrl";

/// What PANDA's callbacks find their way back to.
struct Instance {
    plugin: Plugin<Panda>,
    gate: Gate,
    kicker: OnceCell<&'static Kicker>,
}

/// PANDA loads a plugin once; what it registers stays registered until the process ends.
static INSTANCE: OnceCell<Instance> = OnceCell::new();

/// PANDA's entry: false, with a reason on standard error, when recordings can't be promised.
///
/// # Safety
///
/// Called by PANDA with its handle of this plugin, once, before the machine runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn init_plugin(handle: *mut c_void) -> bool {
    panda_plugin::log_as(NAME);
    guarded(false, || match load(handle) {
        Ok(goes_on) => goes_on,
        Err(error) => {
            log::error!("not loaded: {error}");
            false
        }
    })
}

/// PANDA's exit: it has ended a recording that was on.
#[unsafe(no_mangle)]
pub extern "C" fn uninit_plugin(_handle: *mut c_void) {
    guarded((), || {
        if let Some(instance) = INSTANCE.get() {
            if let Some(kicker) = instance.kicker.get() {
                kicker.end();
            }
            instance.plugin.shutdown();
        }
    });
}

fn load(handle: *mut c_void) -> Result<bool, Box<dyn Error>> {
    let Some(mut options) = arguments()? else { return Ok(true) };
    let (panda, hook) = match Panda::find(tick, stepped_out) {
        Ok(found) => found,
        // Some PANDAs quit when a plugin doesn't load, and a guest that can't be recorded can still run.
        Err(unfit @ Unfit::Target) => {
            log::error!("{unfit}; the machine runs, and recctrl does nothing");
            return Ok(true);
        }
        Err(unfit) => return Err(unfit.into()),
    };
    if !panda.can_record() && !options.dry {
        log::warn!("this PANDA was built without record and replay: recordings are pretended, as with dry=y");
        options.dry = true;
    }
    let folder = Folder::open(&options.dir).map_err(|e| format!("dir={}: {e}", options.dir.display()))?;
    let events = Events::open(options.events.as_deref()).map_err(|e| format!("events: {e}"))?;
    let gate = hook.gate(hypercall);
    let kick = options.kick;
    let instance =
        Instance { plugin: Plugin::new(panda, options, folder, events), gate, kicker: OnceCell::new() };
    if INSTANCE.set(instance).is_err() {
        return Err("it is loaded already".into());
    }
    hook.register(handle, gate);
    if let Some(instance) = INSTANCE.get() {
        instance.plugin.loaded();
        if kick {
            match Kicker::install(handle) {
                Ok(kicker) => _ = instance.kicker.set(kicker),
                Err(unfit) => log::warn!("a guest that is never idle may hang this PANDA: {unfit}"),
            }
        }
    }
    Ok(true)
}

/// The arguments that PANDA has for us; `None` when it only wants them listed.
fn arguments() -> Result<Option<Options>, Box<dyn Error>> {
    let Some(pairs) = panda_plugin::pairs(NAME, &options::ARGUMENTS)? else { return Ok(None) };
    let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Ok(Some(Options::parse(pairs)?))
}

/// A hypercall that may be ours, from the gate.
extern "C" fn hypercall(cpu: *mut CPUState) -> c_int {
    let not_ours = gate::PANDACAP_NOT_OURS as c_int;
    guarded(not_ours, || {
        let Some(instance) = INSTANCE.get() else { return not_ours };
        instance.plugin.host().tune(cpu, instance.gate);
        match instance.plugin.call(cpu) {
            Verdict::NotOurs => not_ours,
            Verdict::Answered => gate::PANDACAP_ANSWERED as c_int,
            Verdict::SteppedOut => gate::PANDACAP_LEAVE as c_int,
        }
    })
}

/// The virtual processor has left PANDA's execution loop, as it was asked to.
extern "C" fn stepped_out(cpu: *mut CPUState, _data: *mut c_void) {
    guarded((), || {
        if let Some(instance) = INSTANCE.get() {
            instance.plugin.stepped_out(cpu);
        }
    });
}

/// A turn of PANDA's main loop while a recording is on; 0 ends them.
extern "C" fn tick(_data: *mut c_void) -> c_int {
    guarded(0, || INSTANCE.get().is_some_and(|instance| instance.plugin.tick()).into())
}
