//! The same command line for a container: every path absolute and mounted, every port open to the engine.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, CommandFactory};
use container::{Access, ContainerError, Mounts, Relay};
use jiff::{Timestamp, tz::TimeZone};
use machine::{PortForward, Protocol, Reach};
use panda_host::PluginSpec;

use crate::cli::Cli;
use crate::cli::error::Error;
use crate::cli::terminal;

/// The commands that can run in a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// `rec`
    Rec,
    /// `replay`
    Replay,
    /// `verify`
    Verify,
    /// `maint`
    Maint,
}

impl Command {
    fn name(self) -> &'static str {
        match self {
            Command::Rec => "rec",
            Command::Replay => "replay",
            Command::Verify => "verify",
            Command::Maint => "maint",
        }
    }

    /// Whether it looks for guests, or notes which traces need an image.
    pub(super) fn uses_guests(self) -> bool {
        matches!(self, Command::Rec | Command::Maint)
    }
}

/// The first port of a container that is relayed.
const RELAYS: u16 = 40000;

/// What an argument of such a command names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    /// A file or folder that is read.
    Read,
    /// A disk image, which may have others beside it.
    Image(Access),
    /// A folder that is made if it is not there, and written to.
    Folder,
    /// A file that is written.
    File,
    /// A plugin of PANDA's, or the file of another.
    Plugin,
    /// A port of this machine that leads into the guest.
    Port,
    /// Nothing of this machine.
    Nothing,
    /// What the container has of its own, so that it is not passed on.
    Own,
}

/// What the argument called `id` names.
fn names(command: Command, id: &str) -> Names {
    match id {
        "out" => Names::Folder,
        "disk" if command == Command::Maint => Names::Image(Access::Write),
        "disk" => Names::Image(Access::Read),
        "kernel" | "initrd" | "bootstrap" | "trace" | "traces" => Names::Read,
        "plog" => Names::File,
        "plugin" => Names::Plugin,
        "port_fwd" => Names::Port,
        "home" | "panda" | "config" => Names::Own,
        id if id.starts_with("docker") => Names::Own,
        _ => Names::Nothing,
    }
}

/// A command line for a container, and what it needs there.
#[derive(Debug)]
pub(super) struct Inside {
    pub(super) arguments: Vec<OsString>,
    pub(super) mounts: Mounts,
    /// The ports that lead into the container, by the container's ports.
    pub(super) ports: Vec<PortForward>,
    /// The container's ports that lead on to its loopback.
    pub(super) relays: Vec<Relay>,
    /// Whether the guest is to reach what the container does.
    pub(super) open: bool,
    /// The folder to which plugins write.
    pub(super) workdir: Option<PathBuf>,
    /// The container's name.
    pub(super) name: String,
}

impl Inside {
    /// Translates what was typed, with the configuration file's settings in it.
    pub(super) fn of(command: Command, typed: &ArgMatches) -> Result<Inside, Error> {
        let mut inside = Inside {
            arguments: vec![command.name().into()],
            mounts: Mounts::default(),
            ports: Vec::new(),
            relays: Vec::new(),
            open: typed.try_get_one::<Reach>("net").is_ok_and(|net| net == Some(&Reach::Open)),
            workdir: None,
            name: name(command, typed),
        };
        let mut last = Vec::new();
        let mut root = Cli::command();
        root.build();
        let grammar = root.find_subcommand(command.name());
        for argument in grammar.into_iter().flat_map(clap::Command::get_arguments) {
            let id = argument.get_id().as_str();
            let given = matches!(typed.value_source(id), Some(ValueSource::CommandLine));
            match names(command, id) {
                // Where traces go is named in any case: by default, a folder of the current one.
                Names::Folder => {}
                _ if !given => continue,
                // It needs this machine's libraries.
                Names::Own if id == "panda" => return Err(ContainerError::Panda.into()),
                Names::Own => continue,
                _ => {}
            }
            let words = inside.words(command, argument, typed)?;
            match (argument.get_long(), argument.is_last_set()) {
                (Some(_), _) => inside.arguments.extend(words),
                (None, true) => last.extend(std::iter::once("--".into()).chain(words)),
                (None, false) => last.splice(0..0, words).for_each(drop),
            }
        }
        if command == Command::Replay && inside.writes(typed) {
            let here = std::env::current_dir()?;
            inside.workdir = Some(inside.mounts.same(&here, Access::Write)?);
        }
        inside.arguments.extend(last);
        match inside.arguments.iter().find(|word| word.to_str().is_none()) {
            Some(word) => Err(ContainerError::Text(word.clone()).into()),
            None => Ok(inside),
        }
    }

    /// Whether a replay may leave files in the current folder.
    fn writes(&self, typed: &ArgMatches) -> bool {
        ["plugin", "plog", "qemu_arg"]
            .iter()
            .any(|id| typed.value_source(id) == Some(ValueSource::CommandLine))
    }

    /// An argument as it is in the container.
    fn words(
        &mut self,
        command: Command,
        argument: &Arg,
        typed: &ArgMatches,
    ) -> Result<Vec<OsString>, Error> {
        let id = argument.get_id().as_str();
        let long = argument.get_long().map(|long| format!("--{long}"));
        match argument.get_action() {
            ArgAction::SetTrue => return Ok(long.into_iter().map(OsString::from).collect()),
            ArgAction::Count => {
                let count = typed.get_count(id).into();
                return Ok(std::iter::repeat_n(long.unwrap_or_default().into(), count).collect());
            }
            _ => {}
        }
        let mut words = Vec::new();
        for value in typed.get_raw(id).into_iter().flatten() {
            let value = self.value(names(command, id), value, typed)?;
            words.push(match &long {
                Some(long) => [OsStr::new(long), OsStr::new("="), &value].into_iter().collect(),
                None => value,
            });
        }
        Ok(words)
    }

    /// A value as it is in the container; what it names is mounted.
    fn value(&mut self, names: Names, value: &OsStr, typed: &ArgMatches) -> Result<OsString, Error> {
        let path = Path::new(value);
        let same = |mounts: &mut Mounts, path: &Path, access| mounts.same(path, access).map(OsString::from);
        Ok(match names {
            Names::Nothing | Names::Own => value.to_owned(),
            Names::Read => {
                there(path)?;
                same(&mut self.mounts, path, Access::Read)?
            }
            Names::Image(access) => {
                there(path)?;
                if typed.try_get_one::<bool>("allow_backing").is_ok_and(|allowed| allowed == Some(&true)) {
                    let path = std::path::absolute(path)?;
                    self.mounts.same(path.parent().unwrap_or(&path), Access::Read)?;
                }
                same(&mut self.mounts, path, access)?
            }
            Names::Folder => {
                std::fs::create_dir_all(path)?;
                same(&mut self.mounts, path, Access::Write)?
            }
            Names::File => {
                let path = std::path::absolute(path)?;
                self.mounts.same(path.parent().unwrap_or(&path), Access::Write)?;
                path.into()
            }
            Names::Plugin => self.plugin(value)?,
            Names::Port => {
                // clap has parsed it before.
                let Some(Ok(port)) = value.to_str().map(str::parse::<PortForward>) else {
                    return Ok(value.to_owned());
                };
                let port = port.ready().map_err(ContainerError::from)?;
                if value.as_bytes().split(|&byte| byte == b':').nth(1) == Some(b"0") {
                    terminal::say(format_args!(
                        "port {} of the guest is port {} of this machine",
                        port.guest, port.host
                    ));
                }
                self.port(port).into()
            }
        })
    }

    /// A port of this machine that leads to one of the container's, and on from there to the guest's.
    fn port(&mut self, port: PortForward) -> String {
        let PortForward { guest, host, protocol, .. } = port;
        if protocol == Protocol::Udp {
            // The engine says who may send.
            self.ports.push(PortForward { guest: host, ..port });
            return format!("{guest}:{host}:*:udp");
        }
        let taken = |from: u16| from == host || self.ports.iter().any(|port| port.guest == from);
        let from = (RELAYS..).find(|&from| !taken(from)).unwrap_or(RELAYS);
        self.ports.push(PortForward { guest: from, ..port });
        self.relays.push(Relay { from, to: host });
        format!("{guest}:{host}:l")
    }

    /// `NAME[:ARGS]`, or `FILE[:ARGS]` with the file mounted.
    fn plugin(&mut self, value: &OsStr) -> Result<OsString, Error> {
        let Some(text) = value.to_str().filter(|text| text.parse::<PluginSpec>().is_ok()) else {
            return Ok(value.to_owned());
        };
        let (place, arguments) =
            text.split_once(':').map_or((text, None), |(place, rest)| (place, Some(rest)));
        if !place.contains('/') {
            return Ok(value.to_owned());
        }
        there(Path::new(place))?;
        let mut word = OsString::from(self.mounts.same(Path::new(place), Access::Read)?);
        if let Some(arguments) = arguments {
            word.push(":");
            word.push(arguments);
        }
        Ok(word)
    }
}

/// An engine would make a folder of a path that is not there.
fn there(path: &Path) -> Result<(), Error> {
    std::fs::metadata(path).map_err(|source| ContainerError::Files { path: path.to_owned(), source })?;
    Ok(())
}

/// Whether the command bootstraps what it runs.
pub(super) fn bootstraps(arguments: &[OsString]) -> bool {
    let options = arguments.iter().take_while(|word| *word != "--");
    options.into_iter().any(|word| word.as_bytes().starts_with(b"--bootstrap="))
}

/// The container's name, after the run.
fn name(command: Command, typed: &ArgMatches) -> String {
    let asked = typed.try_get_one::<String>("name").ok().flatten();
    let plain = asked.filter(|name| files::is_plain(name));
    match plain {
        Some(name) => format!("pandacap-{name}"),
        None => {
            let time = Timestamp::now().to_zoned(TimeZone::UTC).strftime("%Y%m%d-%H%M%S");
            format!("pandacap-{}-{time}-{}", command.name(), std::process::id())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::any::TypeId;

    const ALL: [Command; 4] = [Command::Rec, Command::Replay, Command::Verify, Command::Maint];

    #[test]
    fn every_path_that_such_a_command_takes_is_mounted_or_the_containers_own() {
        let mut root = Cli::command();
        root.build();
        for command in ALL {
            let grammar = root.find_subcommand(command.name()).expect("a command");
            for argument in grammar.get_arguments() {
                let kind = argument.get_value_parser().type_id();
                let path = kind == TypeId::of::<PathBuf>() || kind == TypeId::of::<PluginSpec>();
                let id = argument.get_id().as_str();
                assert!(!path || names(command, id) != Names::Nothing, "{}: {id}", command.name());
            }
        }
    }
}
