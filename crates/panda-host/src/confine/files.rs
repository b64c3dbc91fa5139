//! Landlock: which files and ports a PANDA may use, and which processes it may signal.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, Scope,
};

use super::{ConfineError, Sandbox};

/// The newest Landlock that is used.
const NEWEST: ABI = ABI::V6;
/// Where the dynamic loader may be.
const LOADERS: [&str; 5] = [
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/ld-linux-aarch64.so.1",
    "/lib/ld-linux.so.2",
    "/lib/ld-musl-x86_64.so.1",
    "/lib/ld-musl-aarch64.so.1",
];
/// Where this machine's libraries are, and the loader's configuration.
const LIBRARIES: [&str; 7] =
    ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/etc/ld.so.preload"];
/// Devices that hold no data.
const DEVICES: [&str; 3] = ["/dev/null", "/dev/urandom", "/dev/random"];

/// The version of the kernel's Landlock; 0 where there is none.
pub(super) fn abi() -> i64 {
    // `LANDLOCK_CREATE_RULESET_VERSION`
    const VERSION: u32 = 1;
    let nothing = std::ptr::null::<u8>();
    // SAFETY: without a ruleset and with this flag nothing is read or made.
    let abi = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0_usize, VERSION) };
    abi.max(0)
}

/// The loaders that this machine has.
pub(super) fn loaders() -> Vec<PathBuf> {
    LOADERS.iter().map(PathBuf::from).filter(|loader| loader.exists()).collect()
}

/// Where this machine's loader searches.
pub(super) fn libraries() -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = LIBRARIES.iter().map(PathBuf::from).collect();
    for entry in fs::read_dir("/etc/ld.so.conf.d").into_iter().flatten().flatten() {
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        let folders = text.lines().map(str::trim).filter(|line| line.len() > 1 && line.starts_with('/'));
        paths.extend(folders.map(PathBuf::from));
    }
    paths
}

/// The folders that belong to this PANDA, installed or built.
pub(super) fn beside(program: &Path) -> Vec<PathBuf> {
    let mut paths = vec!["/usr/local/lib/panda".into(), "/usr/share/panda".into()];
    let program = fs::canonicalize(program).unwrap_or_else(|_| program.to_owned());
    let Some(folder) = program.parent() else { return paths };
    // A folder for programs may be anywhere, and its parent a user's home.
    match folder.to_string_lossy().ends_with("-softmmu") {
        true => paths.push(folder.to_owned()),
        false => paths.push(folder.join("panda")),
    }
    if let Some(prefix) = folder.parent() {
        paths.extend(["pc-bios", "share/panda", "share/qemu", "lib/panda"].map(|part| prefix.join(part)));
        paths.extend(prefix.parent().map(|source| source.join("pc-bios")));
    }
    paths
}

/// A ruleset for the child to take on; none where the kernel has no Landlock.
pub(super) fn ruleset(sandbox: &Sandbox) -> Result<Option<OwnedFd>, ConfineError> {
    rules(sandbox).map(Into::into).map_err(ConfineError::Files)
}

fn rules(sandbox: &Sandbox) -> Result<RulesetCreated, landlock::RulesetError> {
    let everything = AccessFs::from_all(NEWEST);
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(everything)?
        .scope(Scope::Signal)?;
    if !sandbox.sockets.all {
        ruleset = ruleset.handle_access(AccessNet::from_all(NEWEST))?.scope(Scope::AbstractUnixSocket)?;
    }
    let mut ruleset = ruleset.create()?;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let barred = AccessFs::Execute
        | AccessFs::MakeChar
        | AccessFs::MakeBlock
        | AccessFs::MakeSym
        | AccessFs::Refer
        | AccessFs::IoctlDev;
    let mut write = everything & !barred;
    if !sandbox.sockets.monitor {
        write &= !BitFlags::from(AccessFs::MakeSock);
    }
    let devices = DEVICES.map(PathBuf::from);
    let rights = [
        (&sandbox.execute[..], AccessFs::Execute | AccessFs::ReadFile),
        (&sandbox.read, read),
        (&sandbox.write, write),
        (&devices, AccessFs::ReadFile | AccessFs::WriteFile),
    ];
    for (paths, access) in rights {
        for path in paths {
            // A path that does not exist needs no rule.
            let Ok(opened) = PathFd::new(path) else { continue };
            let access = if path.is_dir() { access } else { access & AccessFs::from_file(NEWEST) };
            ruleset = ruleset.add_rule(PathBeneath::new(opened, access))?;
        }
    }
    if !sandbox.sockets.all {
        for port in &sandbox.sockets.listen {
            ruleset = ruleset.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
        }
    }
    Ok(ruleset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_in_a_users_home_does_not_open_the_home() {
        let home = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(home.path().join("bin")).expect("made");
        let program = home.path().join("bin/panda-system-x86_64");
        fs::write(&program, "").expect("written");
        let home = fs::canonicalize(home.path()).expect("there");
        for path in beside(&program) {
            assert!(
                path != home && !home.starts_with(&path) && path != home.join("bin"),
                "{}",
                path.display()
            );
        }
    }
}
