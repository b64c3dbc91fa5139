//! The libFuzzer target for [`pandacap_fuzz::kernel_profile`].
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| pandacap_fuzz::kernel_profile(input));

#[cfg(not(fuzzing))]
fn main() {}
