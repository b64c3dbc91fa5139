//! The libFuzzer target for [`pandacap_fuzz::hypercall`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: ([u64; 4], [u64; 4], &[u8])| {
    pandacap_fuzz::hypercall(input.0, input.1, input.2);
});

#[cfg(not(fuzzing))]
fn main() {}
