//! recctrl for PANDA: recordings that start and stop exactly on a guest's hypercall, and replay without a plugin.
//!
//! Loaded with `-panda recctrl`. [`recorder`] decides, as a pure function; [`host`] is the interface to PANDA;
//! [`Plugin`] stands between them.

#![deny(clippy::disallowed_macros)]

mod events;
pub mod exports;
mod files;
mod follow;
mod host;
mod options;
mod panda;
mod plugin;
mod pretend;
mod quiet;
mod recorder;
mod refusal;

use std::{
    error::Error,
    ffi::{CStr, c_int, c_void},
    sync::OnceLock,
};

use panda_plugin::{
    Arguments, Handle, Shared, Unfit, guarded, symbols,
    sys::{CPUState, gate},
};
use parking_lot::Mutex;

use crate::{
    events::Events,
    files::Folder,
    options::{ARGUMENTS, Options},
    panda::{Gate, Kicker, Panda, RegisterFile},
    plugin::{Plugin, Verdict},
};

/// What PANDA calls us.
const NAME: &CStr = c"recctrl";

/// The plugin, for PANDA's callbacks.
struct Instance {
    plugin: Plugin<*mut CPUState>,
    gate: Gate,
    registers: Mutex<RegisterFile>,
}

static INSTANCE: Shared<Instance> = Shared::new();

/// Apart from the plugin, for its thread has to end with the processor whatever becomes of the plugin.
static KICKER: OnceLock<&Kicker> = OnceLock::new();

/// PANDA's entry: false, with a reason on standard error, when recordings can't be promised.
///
/// # Safety
///
/// Called by PANDA with its handle of this plugin, once, before the machine runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn init_plugin(handle: *mut c_void) -> bool {
    INSTANCE.load(NAME, &ARGUMENTS, |arguments| load(Handle::new(handle), arguments))
}

/// PANDA's exit: it has ended a recording that was on.
#[unsafe(no_mangle)]
pub extern "C" fn uninit_plugin(_handle: *mut c_void) {
    if let Some(kicker) = KICKER.get() {
        guarded((), || kicker.end());
    }
    INSTANCE.with((), |instance| instance.plugin.shutdown());
}

#[expect(clippy::disallowed_macros, reason = "no guest runs yet")]
fn load(handle: Handle, arguments: &Arguments) -> Result<Option<Instance>, Box<dyn Error>> {
    let mut options = Options::new(arguments)?;
    let symbols = symbols()?;
    let panda = match Panda::find(&symbols, tick, stepped_out) {
        Ok(panda) => panda,
        // Some PANDAs quit when a plugin doesn't load, and a guest that can't be recorded can still run.
        Err(unfit @ Unfit::Target) => {
            log::error!("{unfit}; the machine runs, and recctrl does nothing");
            return Ok(None);
        }
        Err(unfit) => return Err(unfit.into()),
    };
    if !panda.can_record() && !options.dry {
        log::warn!("this PANDA was built without record and replay: recordings are pretended, as with dry=y");
        options.dry = true;
    }
    let folder = Folder::open(&options.dir).map_err(|e| format!("dir={}: {e}", options.dir.display()))?;
    let events = Events::open(options.events.as_deref()).map_err(|e| format!("events: {e}"))?;
    let registers = Mutex::new(RegisterFile::find(&symbols)?);
    let gate = Gate::install(handle, &symbols, hypercall)?;
    let plugin = Plugin::new(panda, &options, folder, events);
    plugin.loaded();
    if options.kick {
        match Kicker::install(handle, &symbols) {
            Ok(kicker) => _ = KICKER.set(kicker),
            Err(unfit) => log::warn!("a guest that is never idle may hang this PANDA: {unfit}"),
        }
    }
    Ok(Some(Instance { plugin, gate, registers }))
}

/// A hypercall that may be ours, from the gate.
extern "C" fn hypercall(cpu: *mut CPUState) -> c_int {
    let not_ours = gate::PANDACAP_NOT_OURS as c_int;
    INSTANCE.with(not_ours, |instance| {
        instance.registers.lock().tune(instance.gate, cpu);
        match instance.plugin.call(cpu) {
            Verdict::NotOurs => not_ours,
            Verdict::Answered => gate::PANDACAP_ANSWERED as c_int,
            Verdict::SteppedOut => gate::PANDACAP_LEAVE as c_int,
        }
    })
}

/// The virtual processor has left PANDA's execution loop, as it was asked to.
extern "C" fn stepped_out(cpu: *mut CPUState, _data: *mut c_void) {
    INSTANCE.with((), |instance| instance.plugin.stepped_out(cpu));
}

/// A turn of PANDA's main loop while a recording is on; 0 ends them.
extern "C" fn tick(_data: *mut c_void) -> c_int {
    INSTANCE.with(0, |instance| instance.plugin.tick().into())
}
