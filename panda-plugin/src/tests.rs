//! What becomes of a plugin that panics, called as PANDA calls it: from C, where unwinding would be an abort.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use super::*;

/// Panics at its second block, and again when it is dropped.
struct Clumsy {
    blocks: Arc<AtomicU32>,
}

impl Plugin for Clumsy {
    const NAME: &'static CStr = c"clumsy";
    const ARGUMENTS: &'static [Argument] = &[];
    const CALLBACKS: &'static [Callback] = &[];

    fn load(_arguments: &Arguments) -> Result<Clumsy, Box<dyn Error>> {
        Err("the test makes it".into())
    }

    fn before_block(&mut self, _cpu: Cpu<'_>) {
        assert_ne!(self.blocks.fetch_add(1, Ordering::Relaxed), 1, "as it is meant to");
    }

    fn hypercall(&mut self, _cpu: Cpu<'_>) -> bool {
        true
    }

    fn unload(self, _panda: &Panda) {
        self.blocks.store(0, Ordering::Relaxed);
    }
}

impl Drop for Clumsy {
    fn drop(&mut self) {
        panic!("as it is meant to, too");
    }
}

#[test]
fn a_plugin_that_panics_is_called_no_more_and_its_caller_learns_nothing_of_it() {
    let blocks = Arc::new(AtomicU32::new(0));
    let slot = Slot {
        loaded: Mutex::new(Some((Clumsy { blocks: blocks.clone() }, Panda::fake()))),
        watched: OnceLock::new(),
    };
    let context = ptr::from_ref(&slot).cast_mut().cast();
    let none = ptr::null_mut();
    // SAFETY: the slot that the callbacks expect; neither they nor the fake PANDA look at the processor.
    unsafe {
        assert!(hypercall::<Clumsy>(context, none), "its answer, as long as it is well");
        for _ in 0..5 {
            before_block::<Clumsy>(context, none, ptr::null_mut());
        }
        assert!(!hypercall::<Clumsy>(context, none), "left to the next plugin");
    }
    slot.tell(|_| unreachable!("it is gone"));
    slot.unload();
    assert_eq!(blocks.load(Ordering::Relaxed), 2, "neither called after its panic nor unloaded");
}

/// Answers at the third instruction that is translated.
struct Watching {
    asked: Arc<AtomicU32>,
    reached: Arc<AtomicU32>,
}

impl Plugin for Watching {
    const NAME: &'static CStr = c"watching";
    const ARGUMENTS: &'static [Argument] = &[];
    const CALLBACKS: &'static [Callback] = &[Callback::Instructions];

    fn load(_arguments: &Arguments) -> Result<Watching, Box<dyn Error>> {
        Err("the test makes it".into())
    }

    fn watch(&mut self, _cpu: Cpu<'_>, _address: u64) -> Option<Vec<u64>> {
        (self.asked.fetch_add(1, Ordering::Relaxed) == 2).then(|| vec![30, 3])
    }

    fn reached(&mut self, _cpu: Cpu<'_>, address: u64) {
        self.reached.fetch_add(address as u32, Ordering::Relaxed);
    }
}

#[test]
fn a_plugin_is_asked_until_it_has_named_what_is_watched() {
    let (asked, reached_sum) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let plugin = Watching { asked: asked.clone(), reached: reached_sum.clone() };
    let slot = Slot { loaded: Mutex::new(Some((plugin, Panda::fake()))), watched: OnceLock::new() };
    let context = ptr::from_ref(&slot).cast_mut().cast();
    let none = ptr::null_mut();
    // SAFETY: the slot that the callbacks expect; neither they nor the fake PANDA look at the processor.
    let picked =
        unsafe { [3, 30, 3, 4, 30, 31].map(|address| translated::<Watching>(context, none, address)) };
    assert_eq!(picked, [false, false, true, false, true, false]);
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    // SAFETY: as above.
    unsafe { reached::<Watching>(context, none, 30) };
    assert_eq!(reached_sum.load(Ordering::Relaxed), 30);
}
