//! `pandacap doctor`: checks whether recording will work on this machine, and says how to fix what is missing.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use guest::bootstrap;
use machine::{available_memory, free_space};
use panda_host::{DistError, Fit, Panda, PandaError, RECCTRL, Selection, Source, confine, on_path};
use rr_log::Target;

use super::context::Context;
use super::exit::Exit;

const MIB: u64 = 1 << 20;
/// Room for PANDA, the tiny guest and one trace of it.
const DISK: u64 = 512 * MIB;
/// The tiny guest's memory, and what PANDA needs in addition.
const MEMORY: u64 = 400 * MIB;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// Nothing to do.
    Ok,
    /// Recording works, and something else does not.
    Warning,
    /// Recording will not work.
    Missing,
}

/// One thing that recording needs, or profits from.
#[derive(Debug, JsonSchema, Serialize)]
struct Check {
    name: &'static str,
    state: State,
    /// What was found.
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

/// What `--json` prints.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Report {
    target: Target,
    ready: bool,
    checks: Vec<Check>,
}

/// Checks what recording a guest of `target` needs; the exit code says whether it will work.
pub fn run(context: &Context, target: Target) -> io::Result<Exit> {
    let checks = checks(context, target);
    let ready = checks.iter().all(|check| check.state != State::Missing);
    let report = Report { target, ready, checks };
    context.output.give(&report, |out| print(&report, out))?;
    Ok(if ready { Exit::Done } else { Exit::Missing })
}

fn print(report: &Report, out: &mut impl Write) -> io::Result<()> {
    for check in &report.checks {
        let state = match check.state {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Missing => "missing",
        };
        writeln!(out, "{state:<8} {:<11} {}", check.name, check.found)?;
        if let Some(fix) = &check.fix {
            writeln!(out, "{:21}{fix}", "")?;
        }
    }
    let verdict = if report.ready { "can record" } else { "cannot yet record" };
    writeln!(out, "\nThis machine {verdict} {} guests.", report.target)
}

fn checks(context: &Context, target: Target) -> Vec<Check> {
    let mut checks = Vec::new();
    let panda = Panda::find(&context.home, &context.selection, target);
    checks.push(pip(panda.is_ok()));
    checks.extend(match &panda {
        Ok(panda) => start(panda),
        Err(PandaError::NotFound { .. }) => {
            vec![missing("panda", "not installed, and not on PATH".to_owned(), install(target))]
        }
        Err(error) => vec![missing("panda", files::chain(error), fix(&context.selection, target))],
    });
    let starts = checks.iter().all(|check| check.state != State::Missing);
    for (name, file) in [("plugin", RECCTRL), ("agent", "recctrlu")] {
        checks.push(match context.dist.find(file, target) {
            Ok(path) => match (&panda, name) {
                (Ok(panda), "plugin") if starts => match panda.try_recctrl(&path) {
                    Ok(()) => ok(name, format!("{}, and PANDA loads it", path.display())),
                    Err(error) => missing(name, files::chain(&error), "scripts/build".to_owned()),
                },
                _ => ok(name, path.display().to_string()),
            },
            Err(DistError::NotFound { .. }) => {
                missing(name, format!("no {file} for {target} beside pandacap"), "scripts/build".to_owned())
            }
            Err(error) => missing(name, files::chain(&error), "scripts/build".to_owned()),
        });
    }
    checks.extend(tiny_guest(context, target));
    let e2fsprogs = bootstrap::MAKERS.map(|tool| (tool, "rec --bootstrap", "e2fsprogs"));
    let optional =
        [("qemu-img", "rec --disk", "qemu-utils"), ("debootstrap", "guest build debian", "debootstrap")];
    for (tool, user, package) in e2fsprogs.into_iter().chain(optional) {
        checks.push(match on_path(tool, Some(OsStr::new("/usr/sbin:/sbin:/usr/bin:/bin"))) {
            Some(path) => ok(tool, path.display().to_string()),
            None => Check {
                name: tool,
                state: State::Warning,
                found: format!("not found; `{user}` needs it"),
                fix: Some(format!("apt-get install {package}")),
            },
        });
    }
    checks.push(disk(&context.home));
    checks.push(memory());
    checks.push(kvm());
    checks.push(confinement());
    checks
}

/// Checks for the tiny guest, or else for what it is built with.
fn tiny_guest(context: &Context, target: Target) -> Vec<Check> {
    if let Some(guest) = guest::tiny::find(&context.home, context.dist.home().as_deref(), target) {
        return vec![ok("guest", guest.folder.display().to_string())];
    }
    let tool = |tool| match on_path(tool, context.selection.path.as_deref()) {
        Some(path) => ok(tool, path.display().to_string()),
        None => missing(
            tool,
            format!("no {tool} on PATH; the tiny guest is built from Debian packages"),
            "use Debian or Ubuntu, or a container with one of them".to_owned(),
        ),
    };
    ["apt-get", "dpkg-deb"].map(tool).into()
}

fn pip(has_panda: bool) -> Check {
    let fix = "apt-get install python3-pip".to_owned();
    match panda_host::pip() {
        Some(pip) => ok("pip", pip.join(" ")),
        None if has_panda => Check {
            name: "pip",
            state: State::Warning,
            found: "not found; needed only to install PANDA".to_owned(),
            fix: Some(fix),
        },
        None => missing("pip", "not found; needed to install PANDA".to_owned(), fix),
    }
}

/// Checks the libraries of a PANDA that was found and, if they are all there, whether it starts.
fn start(panda: &Panda) -> Vec<Check> {
    let mut checks = Vec::new();
    if panda.source == Source::Embedded {
        checks.push(libraries(panda));
    }
    if checks.iter().all(|check| check.state == State::Ok) {
        checks.push(match panda.start_once() {
            Ok(version) => ok("panda", format!("{} ({version})", panda.program.display())),
            Err(error) => missing("panda", files::chain(&error), install(panda.target)),
        });
    }
    checks.extend(builder(panda));
    checks
}

/// Warns if PANDA loads files from its builder's paths, and other users can create those paths here.
fn builder(panda: &Panda) -> Option<Check> {
    let plugins = panda.plugin_dirs().into_iter().find(|folder| folder.is_dir()).unwrap_or_default();
    let exposed = panda_host::exposed_paths(&panda.code(), &plugins).ok()?.into_iter().next()?;
    Some(Check {
        name: "builder",
        state: State::Warning,
        found: format!(
            "PANDA would load {}, which other users of this machine can create",
            exposed.display()
        ),
        fix: Some("start PANDA through pandacap, which prevents this, or with -no-user-config".to_owned()),
    })
}

/// What to do about a PANDA that was found but cannot be used.
fn fix(selection: &Selection, target: Target) -> String {
    match selection.panda {
        Some(_) => "name another PANDA, or unset --panda and $PANDA_PATH".to_owned(),
        None => install(target),
    }
}

fn libraries(panda: &Panda) -> Check {
    let target = panda.target;
    match panda_host::fit(panda) {
        Ok(Fit::Fits { stand_ins }) if stand_ins.is_empty() => ok("libraries", "all there".to_owned()),
        Ok(Fit::Fits { stand_ins }) => {
            let names = stand_ins.join(" ");
            ok("libraries", format!("all there, {} of them stand-ins: {names}", stand_ins.len()))
        }
        Ok(Fit::Stale) => missing(
            "libraries",
            "the stand-ins no longer match this machine's libraries".to_owned(),
            install(target),
        ),
        Ok(Fit::Packages(packages)) => missing(
            "libraries",
            "a library is missing that a stand-in cannot replace".to_owned(),
            format!("apt-get install {}", packages.into_iter().collect::<Vec<_>>().join(" ")),
        ),
        Err(error) => missing("libraries", files::chain(&error), install(target)),
    }
}

fn disk(home: &Path) -> Check {
    // The home may not exist yet; what counts is the disk that it would be on.
    let there = home.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"));
    let free = match free_space(there) {
        Ok(free) => free,
        Err(error) => {
            let found = format!("cannot determine the free space in {}: {error}", there.display());
            return Check { name: "disk", state: State::Warning, found, fix: None };
        }
    };
    let found = format!("{} MiB free in {}", free / MIB, there.display());
    if free < DISK {
        return missing(
            "disk",
            found,
            format!("free up {} MiB, or choose another folder with --home", DISK / MIB),
        );
    }
    ok("disk", found)
}

fn memory() -> Check {
    let (state, found) = match available_memory() {
        Some(free) if free < MEMORY => (State::Missing, format!("{} MiB available", free / MIB)),
        Some(free) => (State::Ok, format!("{} MiB available", free / MIB)),
        None => (State::Warning, "cannot determine the available memory".to_owned()),
    };
    let fix =
        (state == State::Missing).then(|| format!("close other programs: {} MiB are needed", MEMORY / MIB));
    Check { name: "memory", state, found, fix }
}

fn kvm() -> Check {
    let found = if Path::new("/dev/kvm").exists() { "/dev/kvm exists" } else { "no /dev/kvm" };
    ok("kvm", format!("{found}; recording does not use it"))
}

fn confinement() -> Check {
    match confine::missing_words() {
        None => ok("confinement", "the kernel can restrict PANDA to what its job needs".to_owned()),
        Some(missing) => Check {
            name: "confinement",
            state: State::Warning,
            found: format!("the kernel cannot keep PANDA from {missing}"),
            fix: Some("use Linux 6.12 or newer, with Landlock and seccomp".to_owned()),
        },
    }
}

fn ok(name: &'static str, found: String) -> Check {
    Check { name, state: State::Ok, found, fix: None }
}

fn missing(name: &'static str, found: String, fix: String) -> Check {
    Check { name, state: State::Missing, found, fix: Some(fix) }
}

fn install(target: Target) -> String {
    format!("pandacap panda install --target {target}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_item_is_listed_with_its_fix() -> io::Result<()> {
        let checks =
            vec![ok("pip", "pip3".to_owned()), missing("panda", "none".to_owned(), install(Target::Arm))];
        let mut out = Vec::new();
        print(&Report { target: Target::Arm, ready: false, checks }, &mut out)?;
        let text = String::from_utf8_lossy(&out);
        assert!(text.contains("missing  panda       none\n"), "{text}");
        assert!(text.contains("pandacap panda install --target arm\n"), "{text}");
        assert!(text.ends_with("cannot yet record arm guests.\n"), "{text}");
        Ok(())
    }
}
