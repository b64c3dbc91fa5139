//! The machine code of a stand-in, for x86_64, and the strings that it refers to.

use super::Symbol;

/// The size, in bytes, of one function, and twice of the code that they share.
pub(super) const STUB: usize = 16;
pub(super) const SHARED: usize = 2 * STUB;
const INT3: u8 = 0xcc;

/// The C strings that the code refers to: the label, then the name of each function.
pub(super) struct Strings {
    pub(super) bytes: Vec<u8>,
    /// Where each function's name begins.
    pub(super) offsets: Vec<usize>,
}

impl Strings {
    pub(super) fn new(label: &str, symbols: &[Symbol]) -> Strings {
        let mut strings = Strings { bytes: label.as_bytes().to_vec(), offsets: Vec::new() };
        for symbol in symbols.iter().filter(|symbol| !symbol.data) {
            strings.bytes.push(0);
            strings.offsets.push(strings.bytes.len());
            strings.bytes.extend_from_slice(symbol.name.as_bytes());
        }
        strings.bytes.push(0);
        strings
    }
}

/// The machine code: what all functions share, then the functions. Everything is reached relative to the
/// instruction pointer, so that nothing has to be relocated.
///
/// `text` is where it will lie, `hook` where `pandacap_on_call` does, and `strings` and `names` are of [`Strings`].
pub(super) fn assemble(text: usize, hook: usize, strings: usize, names: &[usize]) -> Vec<u8> {
    let mut code = Vec::with_capacity(SHARED + names.len() * STUB);
    // mov rax, [rip + hook]
    code.extend([0x48, 0x8b, 0x05]);
    relative(&mut code, text, hook);
    // test rax, rax; jnz over the ret; ret: not armed, and rax is 0
    code.extend([0x48, 0x85, 0xc0, 0x75, 0x01, 0xc3]);
    // lea rdi, [rip + label]; mov rsi, r11; jmp rax: the hook, with the stack as the caller left it
    code.extend([0x48, 0x8d, 0x3d]);
    relative(&mut code, text, strings);
    code.extend([0x4c, 0x89, 0xde, 0xff, 0xe0]);
    code.resize(SHARED, INT3);
    for (index, name) in names.iter().enumerate() {
        // lea r11, [rip + name]; jmp to what all share
        code.extend([0x4c, 0x8d, 0x1d]);
        relative(&mut code, text, strings + name);
        code.push(0xe9);
        relative(&mut code, text, text);
        code.resize(SHARED + (index + 1) * STUB, INT3);
    }
    code
}

/// Appends the distance from the end of this operand, which ends its instruction, to `target`.
fn relative(code: &mut Vec<u8>, text: usize, target: usize) {
    let distance = target as i64 - (text + code.len() + 4) as i64;
    // A stand-in is far smaller than 2 GiB: the distance fits.
    code.extend((distance as i32).to_le_bytes());
}
