//! Prints a report as a tree of processes.

use std::io::{self, Write};

use analysis::{
    Connection, Credentials, Escalation, How, NameChange, Named, Process, Report, Use, UserChange, Way,
};
use indicatif::HumanCount;

/// How deep lines are indented at most: a guest can fork for ever.
const DEEPEST: usize = 20;
/// Files of a process that were only read, and names that it changed, unless all are wanted.
const FILES: usize = 8;
const NAMES: usize = 24;
/// Where files are that say little of what a process does.
const DULL: [&str; 9] =
    ["/usr/lib/", "/lib/", "/lib64/", "/usr/lib64/", "/etc/ld.so", "/usr/share/", "/proc/", "/sys/", "/dev/"];

/// Writes the report: what acted and what that descends from, or everything.
pub(super) fn write(out: &mut impl Write, report: &Report, all: bool) -> io::Result<()> {
    let mut shown = report.shown();
    let acted = shown.iter().filter(|shown| **shown).count();
    if all {
        shown.fill(true);
    }
    let [calls, instructions] = [report.calls, report.instructions].map(HumanCount);
    writeln!(out, "{acted} processes and {calls} system calls in {instructions} instructions")?;
    for escalation in &report.escalations {
        escalated(out, report, escalation)?;
    }
    let (mut next, children) = report.children();
    next.reverse();
    let mut next: Vec<(usize, usize)> = next.into_iter().map(|root| (root, 0)).collect();
    writeln!(out)?;
    while let Some((place, depth)) = next.pop() {
        if !shown[place] {
            continue;
        }
        process(out, &report.processes[place], depth.min(DEEPEST), all)?;
        next.extend(children[place].iter().rev().map(|child| (*child, depth + 1)));
    }
    for why in &report.left_out {
        writeln!(out, "\nnot in this report: {why}")?;
    }
    if !report.complete {
        writeln!(out, "\nthe trace was not followed to its end")?;
    }
    Ok(())
}

fn process(out: &mut impl Write, process: &Process, depth: usize, all: bool) -> io::Result<()> {
    let indent = "  ".repeat(depth);
    write!(out, "{indent}{} {}", process.pid, line_of(&process.name))?;
    match (process.began, process.ended) {
        (Some(began), Some(ended)) => write!(out, "  {} to {}", HumanCount(began), HumanCount(ended))?,
        (Some(began), None) => write!(out, "  from {}", HumanCount(began))?,
        (None, Some(ended)) => write!(out, "  to {}", HumanCount(ended))?,
        (None, None) => {}
    }
    match process.fate {
        Some(fate) => writeln!(out, ", {fate}")?,
        None => writeln!(out)?,
    }
    let indent = format!("{indent}    ");
    for program in process.programs.iter().filter(|program| all || program.instructions.is_some()) {
        let arguments: Vec<String> = program.arguments.iter().map(|argument| line_of(argument)).collect();
        writeln!(out, "{indent}$ {}  ({})", shell_words::join(&arguments), line_of(&program.file))?;
        for variable in &program.environment {
            writeln!(out, "{indent}  {}", line_of(variable))?;
        }
    }
    for change in &process.changes {
        user(out, change, &indent)?;
    }
    for connection in &process.connections {
        connected(out, connection, &indent)?;
    }
    names(out, &process.names, &indent, all)?;
    files(out, &process.files, &indent, all)
}

/// How a process came to more rights, in a paragraph of its own.
fn escalated(out: &mut impl Write, report: &Report, escalation: &Escalation) -> io::Result<()> {
    let Escalation { instructions, chain, before, after, how, program, calls } = escalation;
    let names = chain.iter().filter_map(|place| report.processes.get(*place));
    let mut names: Vec<String> =
        names.map(|process| format!("{} {}", process.pid, line_of(&process.name))).collect();
    let who_did = names.first().cloned().unwrap_or_default();
    let by = match program {
        Some(program) => format!("by executing {}", line_of(program)),
        None => by(how),
    };
    let at = HumanCount(*instructions);
    writeln!(out, "\n{who_did} came to more rights, {by}, at {at}")?;
    writeln!(out, "    {} -> {}", who(before), who(after))?;
    names.reverse();
    writeln!(out, "    from {}", names.join(" > "))?;
    let mut said: Vec<String> = Vec::new();
    for same in calls.chunk_by(|one, next| one.call == next.call && one.result == next.result) {
        let times = if same.len() > 1 { format!(" ({} times)", same.len()) } else { String::new() };
        said.push(format!("{} = {}{times}", line_of(&same[0].call), same[0].result));
    }
    if said.is_empty() { Ok(()) } else { writeln!(out, "    after {}", said.join(", ")) }
}

/// How credentials came to be others.
fn by(how: &How) -> String {
    match how {
        How::Execution => "by executing its program".to_owned(),
        How::Call(call) => format!("by {}", line_of(call)),
        How::Kernel => "by the kernel".to_owned(),
        How::None => "BY NO SYSTEM CALL: the kernel's memory was changed".to_owned(),
    }
}

fn user(out: &mut impl Write, change: &UserChange, indent: &str) -> io::Result<()> {
    let UserChange { instructions, before, after, how, .. } = change;
    let (before, after, at) = (who(before), who(after), HumanCount(*instructions));
    if before == after {
        return Ok(());
    }
    writeln!(out, "{indent}{before} -> {after}, {}, at {at}", by(how))
}

/// A process's credentials, in short.
fn who(credentials: &Credentials) -> String {
    let Credentials { uid, euid, suid, gid, egid, capabilities, .. } = *credentials;
    let mut who = format!("user {euid}");
    if (uid, suid) != (euid, euid) {
        who += &format!(" (real {uid}, saved {suid})");
    }
    who += &format!(" group {egid}");
    if gid != egid {
        who += &format!(" (real {gid})");
    }
    if euid != 0 && capabilities != 0 {
        who += &format!(" with capabilities {capabilities:#x}");
    }
    who
}

fn connected(out: &mut impl Write, connection: &Connection, indent: &str) -> io::Result<()> {
    let Connection { instructions, way, address, socket, error, read, written } = connection;
    let way = match way {
        Way::Connected => "connected to",
        Way::Accepted => "accepted",
        Way::Bound => "bound to",
        Way::Sent => "sent to",
        Way::Inherited => "used",
    };
    let whole = match socket {
        Some(socket) => socket.to_string(),
        None => line_of(address),
    };
    write!(out, "{indent}{way} {whole}, at {}", HumanCount(*instructions))?;
    if let Some(error) = error {
        write!(out, ": {}", io::Error::from_raw_os_error(*error))?;
    }
    if *read > 0 || *written > 0 {
        write!(out, ": read {} bytes, wrote {}", HumanCount(*read), HumanCount(*written))?;
    }
    writeln!(out)
}

fn names(out: &mut impl Write, names: &[NameChange], indent: &str, all: bool) -> io::Result<()> {
    let most = if all { usize::MAX } else { NAMES };
    for NameChange { instructions, what, path, from } in names.iter().take(most) {
        let path = line_of(path);
        let from = from.as_deref().map(line_of).unwrap_or_default();
        let what = match what {
            Named::Renamed => format!("renamed {from} to {path}"),
            Named::Linked => format!("linked {path} to {from}"),
            Named::Removed => format!("removed {path}"),
            Named::FolderMade => format!("made the folder {path}"),
            Named::AttributesSet => format!("set the attributes of {path}"),
        };
        writeln!(out, "{indent}{what}, at {}", HumanCount(*instructions))?;
    }
    match names.len().saturating_sub(most) {
        0 => Ok(()),
        more => writeln!(out, "{indent}and changed {more} names more"),
    }
}

fn files(out: &mut impl Write, files: &[Use], indent: &str, all: bool) -> io::Result<()> {
    let dull =
        |file: &&Use| DULL.iter().any(|prefix| file.path.starts_with(prefix)) || !file.path.starts_with('/');
    for file in files.iter().filter(|file| file.written > 0 && (all || !dull(file))) {
        writeln!(out, "{indent}wrote {}{}", line_of(&file.path), amount(file))?;
    }
    let read: Vec<&Use> = files.iter().filter(|file| file.written == 0 && (all || !dull(file))).collect();
    let most = if all { usize::MAX } else { FILES };
    for file in read.iter().take(most) {
        let did = if file.read > 0 || file.mapped { "read" } else { "opened" };
        writeln!(out, "{indent}{did} {}{}", line_of(&file.path), amount(file))?;
    }
    match read.len().saturating_sub(most) {
        0 => Ok(()),
        more => writeln!(out, "{indent}and {more} files more"),
    }
}

fn amount(file: &Use) -> String {
    let mut amount = match (file.read, file.written) {
        (0, 0) => String::new(),
        (bytes, 0) | (0, bytes) => format!(" ({} bytes)", HumanCount(bytes)),
        (read, written) => format!(" ({} bytes, read {})", HumanCount(written), HumanCount(read)),
    };
    if file.mapped {
        amount += " (mapped)";
    }
    amount
}

/// Text of a guest's in one line.
fn line_of(text: &str) -> String {
    text.replace('\n', "\\n").replace('\t', "\\t")
}
