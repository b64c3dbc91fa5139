//! `--docker`: runs the same command in a container.

pub(super) mod images;
mod inside;
mod start;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use clap::ArgMatches;
use container::{Access, BOOTSTRAP, ContainerError, Ended, Engine, IMAGE, Invocation, Mount, Network, Relay};
use machine::{Interrupt, PortForward};

pub(super) use self::inside::Command;
use self::inside::Inside;
pub(super) use self::start::started;
use super::context::Context;
use super::error::Error;
use super::exit::Exit;
use super::terminal;

/// The heading of these options.
const CONTAINER: &str = "Container";
/// Variables of the environment that say how to print.
const PASSED: [&str; 3] = ["TERM", "NO_COLOR", "COLUMNS"];

/// The options of every command that can run in a container.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct DockerArgs {
    /// Run the same command in a container, with Docker or Podman [default image: pandacap]
    ///
    /// Files and folders that the command line names are at the same paths in the container, and nothing else of this
    /// machine is. `pandacap image build` makes the image.
    #[arg(long, value_name = "IMAGE", num_args = 0..=1, require_equals = true, default_missing_value = IMAGE, help_heading = CONTAINER)]
    docker: Option<String>,

    /// Start no init in the container
    #[arg(long, requires = "docker", help_heading = CONTAINER)]
    docker_no_init: bool,

    /// Run as this user in the container, with the engine's usual capabilities [default: you, with none]
    #[arg(long, value_name = "USER[:GROUP]", requires = "docker", help_heading = CONTAINER)]
    docker_user: Option<String>,

    /// The folder in the container in which the command runs
    #[arg(long, value_name = "DIR", requires = "docker", help_heading = CONTAINER)]
    docker_workdir: Option<PathBuf>,

    /// Where the PANDA to use is in the container [default: the image's own]
    #[arg(long, value_name = "PREFIX", requires = "docker", help_heading = CONTAINER)]
    docker_panda_root: Option<PathBuf>,

    /// Mount a file or folder of this machine into the container; may be repeated
    ///
    /// DST is an absolute path in the container, or a name: bootstrap (its docker_*.sh scripts run first), qcow (/qcow),
    /// rr (/rr), or x11 (the socket folder of an X server).
    #[arg(long, value_name = "DST:SRC", requires = "docker", help_heading = CONTAINER)]
    docker_mount: Vec<Mount>,

    /// The container's network [default: none; the engine's own with a forwarded port or --net open]
    #[arg(long, value_name = "NET", requires = "docker", help_heading = CONTAINER)]
    docker_net: Option<String>,

    /// Forward port TO of this machine to port FROM of the container; --port-fwd needs no such option
    #[arg(long, value_name = "FROM:TO[:SCOPE[:PROTO]]", requires = "docker", help_heading = CONTAINER)]
    docker_port_fwd: Vec<PortForward>,
}

impl DockerArgs {
    /// Runs the command that was typed in a container, if that was asked for.
    pub fn run(
        &self,
        command: Command,
        typed: &ArgMatches,
        context: &Context,
    ) -> Option<Result<Exit, Error>> {
        self.docker.as_deref().map(|image| self.run_in(image, command, typed, context))
    }

    fn run_in(
        &self,
        image: &str,
        command: Command,
        typed: &ArgMatches,
        context: &Context,
    ) -> Result<Exit, Error> {
        let interrupt = Interrupt::catch()?;
        let engine = Engine::find(context.selection.path.as_deref())?;
        let invocation = self.invocation(image, Inside::of(command, typed)?, command, context)?;
        if typed.try_get_one::<bool>("dry_run").is_ok_and(|dry| dry.copied().unwrap_or_default()) {
            let run = invocation.command(&engine);
            let words = std::iter::once(run.get_program()).chain(run.get_args());
            let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
            writeln!(terminal::verbatim(), "{}", shell_words::join(words))?;
            return Ok(Exit::Done);
        }
        match invocation.run(&engine, &interrupt)? {
            Ended::Code(code) => Ok(Exit::from_code(code)),
            Ended::Signal(_) if interrupt.is_set() => Ok(Exit::Interrupted),
            Ended::Signal(_) => {
                let name = invocation.name;
                Err(ContainerError::NotStarted { engine: engine.name, name }.into())
            }
        }
    }

    fn invocation(
        &self,
        image: &str,
        inside: Inside,
        command: Command,
        context: &Context,
    ) -> Result<Invocation, Error> {
        let Inside { arguments, mut mounts, ports, relays, open, workdir, name } = inside;
        let mut environment: Vec<(&'static str, OsString)> = Vec::new();
        for mount in &self.docker_mount {
            let source = std::path::absolute(&mount.source)?;
            if !source.exists() {
                return Err(ContainerError::Path { path: source, why: "there is no such file" }.into());
            }
            if mount.target.ends_with(".X11-unix") {
                environment.extend(std::env::var_os("DISPLAY").map(|display| ("DISPLAY", display)));
            }
            mounts.add(Mount { source, ..mount.clone() });
        }
        if let Some(prefix) = &self.docker_panda_root {
            environment.push(("PANDA_PATH", prefix.into()));
        }
        environment.extend(PASSED.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))));
        if !relays.is_empty() {
            environment.push((start::RELAYS, Relay::join(&relays).into()));
        }
        // Guests are the user's; PANDA is the image's, for it is made for the libraries there.
        let mut empty = Vec::new();
        if command.uses_guests() {
            std::fs::create_dir_all(&context.home)?;
            let home = mounts.same(&context.home, Access::Write)?;
            empty.push(home.join("panda"));
            environment.push(("PANDACAP_HOME", home.into()));
        }
        let ports: Vec<PortForward> = ports.into_iter().chain(self.docker_port_fwd.iter().copied()).collect();
        let network = match &self.docker_net {
            Some(name) if name == "none" => Network::None,
            Some(name) => Network::Named(name.clone(), ports),
            None if ports.is_empty() && !open => Network::None,
            None => Network::Default(ports),
        };
        let terminal = terminal::is_interactive();
        let bootstraps = inside::bootstraps(&arguments) || mounts.has(BOOTSTRAP);
        Ok(Invocation {
            image: image.to_owned(),
            name,
            user: self.docker_user.clone(),
            init: !self.docker_no_init,
            workdir: self.docker_workdir.clone().or(workdir),
            network,
            mounts,
            empty,
            environment,
            writable: bootstraps || self.docker_user.is_some(),
            terminal,
            stdin: terminal || command == Command::Maint,
            arguments,
        })
    }
}
