use super::*;
use crate::btf::tests as btf_tests;
use crate::kallsyms::tests::{Order, Writer, symbols};
use kernel_profile::Architecture;
use proptest::prelude::*;

const BANNER: &str = "Linux version 6.1.0-50-arm64 (me) #1 SMP Debian 6.1.176-1 (2026-07-02)";
const BASE: u64 = 0xffff_8000_0800_0000;

/// A kernel for arm64, which is flat, with a few types and symbols.
pub(crate) fn image() -> Vec<u8> {
    let mut btf = btf_tests::Writer::default();
    let int = btf.int("int", 4);
    let letter = btf.int("char", 1);
    let comm = btf.array(letter, 16);
    btf.structure("task_struct", 64, &[("pid", int, 4), ("tgid", int, 8), ("comm", comm, 16)]);
    let mut named = symbols(BASE, 0);
    let more =
        ["init_task", "linux_banner", "finish_task_switch.isra.0", "do_exit", "do_exit", "do_exit.cold"];
    named.extend(
        more.iter().zip(0..).map(|(name, number)| ((*name).to_owned(), BASE + 0x10_0000 + 64 * number)),
    );

    let mut image = vec![0; 0x38];
    image.extend(b"ARM\x64");
    image.resize(128, 0);
    image.extend(format!("{BANNER}\n\0").bytes());
    image.resize(image.len().next_multiple_of(8), 0);
    image.extend(btf.finish());
    image.resize(image.len().next_multiple_of(8), 0);
    image.extend(Writer { order: Order::New, pointer: 8, per_cpu: 0, base: BASE }.write(&named));
    image
}

#[test]
fn a_profile_has_what_this_kernel_has_and_nothing_else() {
    let profile = Kernel::read(image()).expect("a kernel").profile().expect("a profile");
    assert_eq!((profile.target, profile.version), (Architecture::Aarch64, [6, 1, 176]));
    assert_eq!(profile.banner, BANNER);
    let offsets: Vec<_> = profile.offsets.iter().map(|(name, &offset)| (name.as_str(), offset)).collect();
    assert_eq!(offsets, [("task_struct.comm", 16), ("task_struct.pid", 4), ("task_struct.tgid", 8)]);
    assert_eq!((profile.size("task_struct"), profile.size("task_struct.comm")), (Some(64), Some(16)));
    assert_eq!(profile.symbol("init_task"), Some(BASE + 0x10_0000));
    // The compiler's own copy of a function is the function; one of two is neither.
    assert_eq!(profile.symbol("finish_task_switch"), Some(BASE + 0x10_0080));
    assert_eq!(profile.symbol("do_exit"), None);
    let text = profile.to_json().expect("JSON");
    assert_eq!(Profile::read(&text).expect("reads"), profile);
}

#[test]
fn a_kernel_without_types_or_symbols_says_what_to_do() {
    let mut image = image();
    let btf = memchr::memmem::find(&image, &[0x9f, 0xeb, 1, 0]).expect("there");
    image[btf] = 0;
    let error = Kernel::read(image.clone()).expect("a kernel").profile().expect_err("no types").to_string();
    assert!(
        error.contains("6.1.0-50-arm64 was built without BTF") && error.contains("--profile FILE"),
        "{error}"
    );
    image[btf] = 0x9f;
    image.truncate(image.len() - 16);
    let error = Kernel::read(image).expect("a kernel").profile().expect_err("no symbols").to_string();
    assert!(error.contains("no symbols") && error.contains("--profile FILE"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn a_kernel_that_was_changed_anywhere_is_read_or_refused(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        length in any::<prop::sample::Index>(),
    ) {
        let mut image = image();
        for (at, byte) in changes {
            let at = at.index(image.len());
            image[at] = byte;
        }
        image.truncate(1 + length.index(2 * image.len()));
        if let Ok(kernel) = Kernel::read(image) {
            if let Ok(profile) = kernel.profile() {
                let text = profile.to_json().expect("JSON");
                prop_assert_eq!(Profile::read(&text).expect("what is made can be read"), profile);
            }
            _ = crate::isf(&kernel, "", std::io::sink());
        }
    }
}
