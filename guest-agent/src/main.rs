//! recctrlu: the guest's tiny static program that starts and stops PANDA recordings.
#![no_std]
#![no_main]

mod mem;

use core::ffi::c_char;
use recctrlu::{Strings, exit, linux, linux::Machine};

recctrlu::start!("recctrlu_start");

/// Where every architecture's `_start` goes, with the stack as the kernel has made it.
///
/// # Safety
/// `stack` points at the count of the arguments; their pointers follow, a null, the environment's
/// pointers, and a null.
#[unsafe(no_mangle)]
unsafe extern "C" fn recctrlu_start(stack: *const usize) -> ! {
    // SAFETY: the caller's promise, which is the kernel's; none of it is ever changed.
    let (args, env) = unsafe {
        let args: *const *const c_char = stack.add(1).cast();
        (Strings::from_raw(args), Strings::from_raw(args.add(*stack + 1)))
    };
    linux::exit(recctrlu::main(&mut Machine, args, env))
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    linux::exit(exit::FAILED)
}
