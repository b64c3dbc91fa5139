//! The report on a trace, made from its events.

use std::collections::{BTreeMap, HashMap};

use schemars::JsonSchema;
use serde::Serialize;

use crate::event::{Direction, Event, Line, Socket};
use crate::privilege::{Escalation, escalations};
use crate::process::{Connection, NameChange, Named, Process, Program, Use, UserChange, Way};

/// Processes that are kept; a guest can make more than a reader can look at.
const PROCESSES: usize = 1 << 16;
/// What is kept of all processes together: files, names, connections, changes.
const FACTS: usize = 1 << 20;
/// Bytes of each terminal's text that are kept.
const TERMINAL: usize = 1 << 20;

/// What happened in a trace.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Report {
    /// Guest instructions that were followed.
    pub instructions: u64,
    /// System calls that were made.
    pub calls: u64,
    /// Whether the trace was followed to its end.
    pub complete: bool,
    /// What was left out, and why.
    pub left_out: Vec<String>,
    /// How processes came to more rights than they had, the earliest first.
    pub escalations: Vec<Escalation>,
    /// The processes, in the order in which they appeared.
    pub processes: Vec<Process>,
    /// What went through each terminal.
    pub terminals: Vec<Terminal>,
}

/// What went through a terminal.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Terminal {
    /// Its path.
    pub path: String,
    /// What programs read from it: what was typed.
    pub typed: String,
    /// What programs wrote to it: what was shown.
    pub shown: String,
}

/// Makes a report from events, one after another.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    report: Report,
    /// The processes that have not ended, by their numbers: places in the report.
    alive: HashMap<u32, usize>,
    /// The files of each process, by path, and its connections by their ends: places in its lists.
    files: HashMap<(usize, String), usize>,
    sockets: HashMap<(usize, Socket), usize>,
    terminals: BTreeMap<String, usize>,
    facts: usize,
    /// Processes and facts for which there was no room.
    lost: u64,
}

impl Report {
    /// The report on these events; it ends at the first error.
    pub fn of<E>(events: impl IntoIterator<Item = Result<Line, E>>) -> Result<Report, E> {
        let mut builder = Builder::default();
        for line in events {
            builder.add(line?);
        }
        Ok(builder.finish())
    }

    /// The processes that did something, and those that they descend from: whether each is one.
    pub fn shown(&self) -> Vec<bool> {
        let mut shown: Vec<bool> = self.processes.iter().map(|process| process.acted).collect();
        // A parent that is after its child is a forged one; the loop ends all the same.
        for place in (0..self.processes.len()).rev() {
            if let (true, Some(parent)) = (shown[place], self.processes[place].parent) {
                let mut next = Some(parent);
                while let Some(above) = next.filter(|&above| !shown[above]) {
                    shown[above] = true;
                    next = self.processes[above].parent;
                }
            }
        }
        shown
    }

    /// The children of each process, and those with no parent.
    pub fn children(&self) -> (Vec<usize>, Vec<Vec<usize>>) {
        let mut roots = Vec::new();
        let mut children = vec![Vec::new(); self.processes.len()];
        for (place, process) in self.processes.iter().enumerate() {
            match process.parent {
                Some(parent) => children[parent].push(place),
                None => roots.push(place),
            }
        }
        (roots, children)
    }
}

impl Builder {
    pub(crate) fn add(&mut self, line: Line) {
        let Line { instructions, pid, event } = line;
        self.report.instructions = self.report.instructions.max(instructions);
        match event {
            Event::Began { .. } | Event::Call(_) => {}
            Event::Incomplete { why } if self.report.left_out.len() < 100 => self.report.left_out.push(why),
            Event::Incomplete { .. } => self.lost += 1,
            Event::End { calls } => {
                self.report.calls = calls;
                self.report.complete = true;
            }
            event => {
                if let Some(pid) = pid {
                    self.about(instructions, pid, event);
                }
            }
        }
    }

    pub(crate) fn finish(mut self) -> Report {
        if self.lost > 0 {
            let why = format!("{} facts are not in the report, for which there was no room", self.lost);
            self.report.left_out.push(why);
        }
        self.report.escalations = escalations(&self.report.processes);
        self.report
    }

    /// A new process.
    fn process(&mut self, process: Process, parent: u32) {
        if self.report.processes.len() >= PROCESSES {
            self.lost += 1;
            self.alive.remove(&process.pid);
            return;
        }
        let place = self.report.processes.len();
        let parent = self.alive.get(&parent).copied();
        self.alive.insert(process.pid, place);
        self.report.processes.push(Process { parent, ..process });
    }

    /// The place of a process that is alive, even if nothing was told of its beginning.
    fn place(&mut self, pid: u32) -> Option<usize> {
        if !self.alive.contains_key(&pid) {
            self.process(Process { pid, ..Process::default() }, 0);
        }
        self.alive.get(&pid).copied()
    }

    /// Whether there is room for one more fact.
    fn room(&mut self) -> bool {
        let room = self.facts < FACTS;
        self.facts += usize::from(room);
        self.lost += u64::from(!room);
        room
    }

    fn about(&mut self, instructions: u64, pid: u32, event: Event) {
        match event {
            Event::Present { parent, name, file, credentials, kernel } => {
                let programs = file
                    .map(|file| Program {
                        instructions: None,
                        file,
                        arguments: Vec::new(),
                        environment: Vec::new(),
                    })
                    .into_iter();
                let programs = programs.collect();
                let process = Process { pid, name, kernel, credentials, programs, ..Process::default() };
                return self.process(process, parent);
            }
            Event::Started { parent, name, credentials, kernel } => {
                let began = Some(instructions);
                let acted = !kernel;
                let process = Process { pid, name, kernel, credentials, began, acted, ..Process::default() };
                return self.process(process, parent);
            }
            _ => {}
        }
        let Some(place) = self.place(pid) else {
            self.lost += 1;
            return;
        };
        self.report.processes[place].acted = true;
        match event {
            Event::Ended { fate } => {
                let process = &mut self.report.processes[place];
                (process.ended, process.fate) = (Some(instructions), Some(fate));
                self.alive.remove(&pid);
            }
            Event::Executed { file, arguments, environment } if self.room() => {
                let process = &mut self.report.processes[place];
                process.name = file.rsplit('/').next().unwrap_or_default().to_owned();
                let instructions = Some(instructions);
                process.programs.push(Program { instructions, file, arguments, environment });
            }
            Event::CredentialsChanged { before, after, how, calls } if self.room() => {
                let change = UserChange { instructions, before, after, how, calls };
                self.report.processes[place].changes.push(change);
            }
            Event::Terminal { path, direction, text } => self.terminal(path, direction, &text),
            Event::Opened { path, access, .. } => {
                if let Some(file) = self.file(place, path) {
                    file.opened += 1;
                    file.to_write |= matches!(access, crate::Access::Write | crate::Access::ReadWrite);
                }
            }
            Event::Used { read, written, socket: Some(socket), .. } => {
                if let Some(connection) = self.connection(place, instructions, socket) {
                    connection.read = connection.read.saturating_add(read);
                    connection.written = connection.written.saturating_add(written);
                }
            }
            Event::Used { path, read, written, mapped, socket: None } => {
                if let Some(file) = self.file(place, path) {
                    file.read = file.read.saturating_add(read);
                    file.written = file.written.saturating_add(written);
                    file.mapped |= mapped;
                }
            }
            Event::Connected { peer, socket, error } => {
                self.connect(place, instructions, Way::Connected, peer, socket, error);
            }
            Event::Accepted { socket } => {
                let peer = socket.as_ref().and_then(|socket| socket.peer.clone()).unwrap_or_default();
                self.connect(place, instructions, Way::Accepted, peer, socket, None);
            }
            Event::Bound { local } => self.connect(place, instructions, Way::Bound, local, None, None),
            Event::Sent { peer, .. } => self.connect(place, instructions, Way::Sent, peer, None, None),
            Event::Renamed { from, to } => self.named(place, instructions, Named::Renamed, to, Some(from)),
            Event::Linked { target, path } => {
                self.named(place, instructions, Named::Linked, path, Some(target));
            }
            Event::Removed { path } => self.named(place, instructions, Named::Removed, path, None),
            Event::FolderMade { path } => self.named(place, instructions, Named::FolderMade, path, None),
            Event::AttributesSet { path, .. } => {
                self.named(place, instructions, Named::AttributesSet, path, None);
            }
            _ => {}
        }
    }

    fn named(&mut self, place: usize, instructions: u64, what: Named, path: String, from: Option<String>) {
        if self.room() {
            self.report.processes[place].names.push(NameChange { instructions, what, path, from });
        }
    }

    /// What a process did with a file so far.
    fn file(&mut self, place: usize, path: String) -> Option<&mut Use> {
        let key = (place, path);
        let at = match self.files.get(&key).copied() {
            Some(at) => at,
            None if self.room() => {
                let files = &mut self.report.processes[place].files;
                files.push(Use { path: key.1.clone(), ..Use::default() });
                let at = files.len() - 1;
                self.files.insert(key, at);
                at
            }
            None => return None,
        };
        self.report.processes[place].files.get_mut(at)
    }

    fn connect(
        &mut self,
        place: usize,
        instructions: u64,
        way: Way,
        address: String,
        socket: Option<Socket>,
        error: Option<i32>,
    ) {
        let connections = &self.report.processes[place].connections;
        let same = |known: &Connection| known.way == way && known.address == address && known.error == error;
        if way == Way::Sent && connections.iter().any(same) || !self.room() {
            return;
        }
        let connections = &mut self.report.processes[place].connections;
        if let Some(socket) = &socket {
            self.sockets.insert((place, socket.clone()), connections.len());
        }
        connections.push(Connection { instructions, way, address, socket, error, read: 0, written: 0 });
    }

    /// A process's connection by its ends.
    fn connection(&mut self, place: usize, instructions: u64, socket: Socket) -> Option<&mut Connection> {
        let key = (place, socket);
        if !self.sockets.contains_key(&key) {
            let socket = key.1.clone();
            let address = socket.peer.clone().unwrap_or_default();
            self.connect(place, instructions, Way::Inherited, address, Some(socket), None);
        }
        let at = *self.sockets.get(&key)?;
        self.report.processes[place].connections.get_mut(at)
    }

    fn terminal(&mut self, path: String, direction: Direction, text: &str) {
        let at = match self.terminals.get(&path).copied() {
            Some(at) => at,
            None if self.room() => {
                let at = self.report.terminals.len();
                self.report.terminals.push(Terminal { path: path.clone(), ..Terminal::default() });
                self.terminals.insert(path, at);
                at
            }
            None => return,
        };
        let terminal = &mut self.report.terminals[at];
        let whole = match direction {
            Direction::In => &mut terminal.typed,
            Direction::Out => &mut terminal.shown,
        };
        if whole.len() + text.len() <= TERMINAL {
            whole.push_str(text);
        } else {
            self.lost += 1;
        }
    }
}

#[cfg(test)]
mod tests;
