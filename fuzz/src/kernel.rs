//! An untrusted kernel, and an untrusted profile of one.

use std::io;

use kernel::{Kernel, given, isf, kernelinfo};
use kernel_profile::Profile;

/// For any bytes read as a kernel, packed or as it lies in memory: no panic, and a profile that can be read again.
pub fn kernel(bytes: &[u8]) {
    // As arm64's flat kernels begin, so that more than the decoders is reached.
    let mut flat = vec![0; 0x38];
    flat.extend(b"ARM\x64\0\0\0\0Linux version 6.1.0 (me) #1 SMP\n\0");
    flat.resize(128, 0);
    flat.extend(bytes);
    for image in [bytes.to_vec(), flat] {
        let Ok(kernel) = Kernel::read(image) else { continue };
        if let Ok(profile) = kernel.profile() {
            assert_eq!(Profile::read(&profile.to_json().unwrap()).unwrap(), profile);
            _ = kernelinfo(&profile, "any", 0);
        }
        _ = isf(&kernel, "", io::sink());
    }
}

/// For any bytes read as a profile, of our own or of Volatility's: no panic, and what is read is written the same.
pub fn kernel_profile(text: &[u8]) {
    let own = Profile::read(text);
    let given = given(text);
    assert!(given.is_ok() || own.is_err());
    for profile in own.into_iter().chain(given) {
        assert_eq!(Profile::read(&profile.to_json().unwrap()).unwrap(), profile);
        _ = kernelinfo(&profile, "any", 0);
    }
}
