//! recctrl, as another plugin: follow its recordings, start and stop them, ask for their state.

pub mod abi;

use std::{
    ffi::{CStr, CString, c_char, c_void},
    mem::ManuallyDrop,
    ptr,
};

use panda_sys::{Panda as Symbols, libloading::os::unix::Library};

use self::abi::Add;
pub use self::abi::{Reply, State};
use crate::{Plugin, Slot, Unfit};

/// recctrl, to ask things of. Only used in callbacks: they have QEMU's big lock.
#[derive(Clone, Copy, Debug)]
pub struct Recctrl {
    start: abi::Start,
    stop: abi::Stop,
    status: abi::Status,
}

impl Recctrl {
    /// Finds recctrl; PANDA loads it if it has not yet.
    ///
    /// # Errors
    ///
    /// This PANDA or this recctrl has no such functions.
    pub fn require() -> Result<Recctrl, Unfit> {
        let library = library(&crate::symbols()?)?;
        // SAFETY: the types are those of recctrl's header.
        unsafe {
            Ok(Recctrl {
                start: symbol(&library, "recctrl_start")?,
                stop: symbol(&library, "recctrl_stop")?,
                status: symbol(&library, "recctrl_status")?,
            })
        }
    }

    /// Asks for a recording. It begins at the main loop's next turn, and `recording_began` says when.
    pub fn start(&self, name: &str) -> Reply {
        let name = CString::new(name.replace('\0', "")).unwrap_or_default();
        // SAFETY: the name ends with a NUL; this is a callback.
        Reply::from_code(unsafe { (self.start)(name.as_ptr()) })
    }

    /// Asks for the end of the recording.
    pub fn stop(&self) -> Reply {
        // SAFETY: this is a callback.
        Reply::from_code(unsafe { (self.stop)() })
    }

    /// The state of recordings; `None` when recctrl could not be loaded.
    pub fn state(&self) -> Option<State> {
        let mut state = State::default();
        // SAFETY: the state can be written to; this is a callback.
        unsafe { (self.status)(&raw mut state) }.then_some(state)
    }
}

/// recctrl's library, never to be closed by us.
fn library(symbols: &Symbols) -> Result<ManuallyDrop<Library>, Unfit> {
    let (Ok(require), Ok(find)) = (&symbols.panda_require, &symbols.panda_get_plugin_by_name) else {
        return Err(Unfit::Symbol("panda_get_plugin_by_name"));
    };
    // SAFETY: the name ends with a NUL; PANDA's handle is one of dlopen's.
    unsafe {
        require(c"recctrl".as_ptr());
        let handle = find(c"recctrl".as_ptr());
        if handle.is_null() {
            return Err(Unfit::Recctrl("anything"));
        }
        Ok(ManuallyDrop::new(Library::from_raw(handle)))
    }
}

/// # Safety
///
/// `T` is the type of the function `name`.
unsafe fn symbol<T: Copy>(library: &Library, name: &'static str) -> Result<T, Unfit> {
    // SAFETY: the caller's promise.
    let found = unsafe { library.get::<T>(name.as_bytes()) };
    found.map(|found| *found).map_err(|_| Unfit::Recctrl(name))
}

/// Has the plugin in `slot` told what recctrl does.
pub(crate) fn follow<P: Plugin>(symbols: &Symbols, slot: &'static Slot<P>) -> Result<(), Unfit> {
    let library = library(symbols)?;
    let context = ptr::from_ref(slot).cast_mut().cast();
    // SAFETY: the types are those of recctrl's header; each function expects this slot, which is a static.
    unsafe {
        let add_began: Add<abi::BeganWith> = symbol(&library, "ppp_add_cb_on_recording_began_with_context")?;
        let add_ended: Add<abi::EndedWith> = symbol(&library, "ppp_add_cb_on_recording_ended_with_context")?;
        let add_message: Add<abi::MessageWith> =
            symbol(&library, "ppp_add_cb_on_guest_message_with_context")?;
        add_began(began::<P>, context);
        add_ended(ended::<P>, context);
        add_message(message::<P>, context);
    }
    Ok(())
}

unsafe extern "C" fn began<P: Plugin>(slot: *mut c_void, name: *const c_char) {
    // SAFETY: recctrl hands the slot back that was registered; its texts end with a NUL.
    let (slot, name) = unsafe { (&*slot.cast::<Slot<P>>(), CStr::from_ptr(name)) };
    slot.tell(|plugin| plugin.recording_began(&name.to_string_lossy()));
}

unsafe extern "C" fn ended<P: Plugin>(
    slot: *mut c_void,
    name: *const c_char,
    why: *const c_char,
    instructions: u64,
) {
    // SAFETY: as for `began`.
    let (slot, name, why) = unsafe { (&*slot.cast::<Slot<P>>(), CStr::from_ptr(name), CStr::from_ptr(why)) };
    slot.tell(|plugin| plugin.recording_ended(&name.to_string_lossy(), &why.to_string_lossy(), instructions));
}

unsafe extern "C" fn message<P: Plugin>(slot: *mut c_void, text: *const c_char, len: usize) {
    // SAFETY: as for `began`; the text is as long as recctrl says.
    let (slot, text) =
        unsafe { (&*slot.cast::<Slot<P>>(), std::slice::from_raw_parts(text.cast::<u8>(), len)) };
    slot.tell(|plugin| plugin.guest_message(text));
}
