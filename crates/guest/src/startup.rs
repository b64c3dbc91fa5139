//! What a run brings into the tiny guest: the first process, the agent, and the command to record.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::cpio::Archive;

/// Blank lines that come before a message: the emulated port drops what it has taken when a state is loaded,
/// which are 16 bytes at most.
const DROPPED: usize = 64;

/// An initramfs to append to the guest's own. Without a script the guest waits for a [`message`].
pub fn initramfs(agent: &[u8], script: Option<&[u8]>) -> Vec<u8> {
    let archive = Archive::default()
        .file("init", 0o755, include_bytes!("init.sh"))
        .file("bin/recctrlu", 0o755, agent)
        .folder("pandacap");
    match script {
        Some(script) => archive.file("pandacap/command", 0o644, script).finish(),
        None => archive.finish(),
    }
}

/// The script as it reaches a guest that waits for it, on its second serial port.
pub fn message(script: &[u8]) -> Vec<u8> {
    let mut message = vec![b'\n'; DROPPED];
    message.extend_from_slice(format!("{}\n", script.len()).as_bytes());
    message.extend_from_slice(script);
    message
}

/// Shell that sets `$recording` and the positional parameters to exactly these bytes.
pub fn script(recording: &str, command: &[OsString]) -> Vec<u8> {
    let mut script = b"recording=".to_vec();
    quote(recording.as_ref(), &mut script);
    script.extend_from_slice(b"\nset --");
    for argument in command {
        script.push(b' ');
        quote(argument, &mut script);
    }
    script.push(b'\n');
    script
}

/// One word of a shell, whatever is in it.
pub fn quoted(text: &OsStr) -> Vec<u8> {
    let mut word = Vec::new();
    quote(text, &mut word);
    word
}

/// Within single quotes a shell takes every byte as it is, but a single quote.
fn quote(text: &OsStr, script: &mut Vec<u8>) {
    script.push(b'\'');
    for &byte in text.as_bytes() {
        match byte {
            b'\'' => script.extend_from_slice(br"'\''"),
            _ => script.push(byte),
        }
    }
    script.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{os::unix::ffi::OsStringExt, process::Command};

    #[test]
    fn a_shell_reads_back_every_byte_of_every_argument() {
        let every_byte = OsString::from_vec((1..=255).collect());
        let command = ["", "it's", "a\nb", " $x `y` \\ \"", "--", "-n"].map(OsString::from);
        let command: Vec<OsString> = command.into_iter().chain([every_byte]).collect();
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(dir.path().join("command"), script("a'b", &command)).expect("written");
        let output = Command::new("sh")
            .args(["-c", r#". ./command; printf '%s\0' "$recording" "$@""#])
            .current_dir(dir.path())
            .output()
            .expect("sh runs");
        let expected: Vec<u8> = [OsString::from("a'b")]
            .iter()
            .chain(&command)
            .flat_map(|argument| argument.as_bytes().iter().copied().chain([0]))
            .collect();
        assert_eq!(output.stdout, expected);
    }
}
