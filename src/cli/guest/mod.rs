//! `pandacap guest`: its arguments and output.

pub(super) mod profile;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Subcommand, ValueEnum};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use indicatif::HumanBytes;
use schemars::JsonSchema;
use serde::Serialize;

use guest::{
    BootSign, Guest, GuestError, GuestManifest, Import, Listed, Origin, WarmKey, debian, import,
    read_profile, remove, shell, shrink, tiny, warm,
};
use machine::{Interrupt, Nic, Overlays, PortForward, Reach};
use panda_host::{Panda, Progress};
use rr_log::Target;

use super::context::Context;
use super::error::Error;
use super::exit::Exit;
use super::image::ImageArgs;
use super::output::Output;
use super::terminal::{self, complain_of};
use super::values;

/// The subcommands of `guest`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build a guest from Debian packages
    ///
    /// tiny: a kernel, with busybox as the initramfs. It boots in seconds, and `pandacap rec` builds it on first use.
    ///
    /// debian: bookworm on a disk, with systemd, OpenSSH, recctrlu and the bootstrap hook. Building it needs root
    /// and takes a minute or two. An SSH key is generated for this guest and stored in its folder; it logs in as
    /// root or panda. Passwords do not work, and the console is logged in as root.
    Build {
        /// Which guest to build
        recipe: Recipe,

        /// Name of the guest [default: the recipe's name]; only a debian guest can have another name
        #[arg(long)]
        name: Option<String>,
    },
    /// Import a copy of a disk image as a guest
    ///
    /// An image that is missing, encrypted, truncated or too new for PANDA is refused, and nothing is imported.
    Import {
        /// The guest's name
        name: String,

        /// The image (raw or qcow2)
        #[arg(long, value_name = "IMAGE")]
        disk: PathBuf,

        /// How to read the image
        #[command(flatten)]
        image: ImageArgs,

        /// The kernel that PANDA loads [default: the disk's own boot loader]
        #[arg(long, value_name = "FILE")]
        kernel: Option<PathBuf>,

        /// The kernel's initramfs
        #[arg(long, value_name = "FILE", requires = "kernel")]
        initrd: Option<PathBuf>,

        /// The kernel's command line
        #[arg(
            long,
            value_name = "ARGS",
            requires = "kernel",
            default_value = "root=/dev/sda1 console=ttyS0 panic=-1 no_timer_check"
        )]
        append: String,

        /// The kernel's profile, if the kernel does not tell enough itself
        #[arg(long, value_name = "FILE")]
        profile: Option<PathBuf>,

        /// The guest architecture
        #[arg(short, long, value_parser = values::target(), default_value = "x86_64")]
        target: Target,

        /// The guest's memory in MiB, or with a suffix M or G
        #[arg(short, long, value_name = "MIB", value_parser = values::mib, default_value = "512")]
        mem: u32,

        /// The guest's network card
        #[arg(long, value_name = "CARD", default_value = "e1000")]
        nic: Nic,

        /// Text on the first serial port that shows that the guest has booted [default: wait for its SSH server]
        #[arg(long, value_name = "TEXT")]
        booted: Option<String>,
    },
    /// Shrink a guest's image: discard its free space and compress the rest
    ///
    /// The old image is replaced once the new one is complete. An existing warm state becomes invalid.
    Shrink {
        /// The guest
        name: String,

        /// Shrink the image even if disks of traces depend on it
        #[arg(long)]
        force: bool,
    },
    /// List the guests
    Ls,
    /// Show a guest's parts and settings
    Inspect {
        /// The guest
        name: String,

        /// Read every file and compare it with its digest
        #[arg(long)]
        check: bool,
    },
    /// Boot a guest once and save its state, from which later runs resume
    ///
    /// From then on, `pandacap rec` starts this guest in a second or two, unless --cold is given. The state is valid
    /// for this guest with its current memory, network card and files, and for this PANDA; if one of them changes,
    /// the state is no longer used, and a new one is made. The guest's clock continues from when the state was saved.
    Warm {
        /// The guest
        name: String,

        /// Give up after SECS seconds without a sign that the guest has booted
        #[arg(long, value_name = "SECS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
        boot_timeout: u64,
    },
    /// Open a guest's console, on an overlay that is discarded afterwards
    ///
    /// The machine boots, or resumes from its warm state. Press Ctrl-] x to leave. The guest must have a disk.
    Shell {
        /// The guest
        name: String,

        /// Forward port TO of this machine to port FROM of the guest, as in `pandacap rec`
        #[arg(long, value_name = "FROM:TO[:SCOPE[:PROTO]]")]
        port_fwd: Vec<PortForward>,

        /// What the guest can reach over its network; `open` forces a cold boot
        #[arg(long, value_parser = values::reach(), default_value = "restricted")]
        net: Reach,
    },
    /// Print where the guest's kernel keeps what analyses read
    ///
    /// The profile is made of the kernel alone, when the guest is built or imported, or now. It needs the types in the
    /// kernel (BTF), which Debian builds in for x86_64 and arm64. With --json, prints the profile itself; see
    /// docs/kernel-profiles.md.
    Profile {
        /// The guest
        name: String,

        /// Print it for another program
        #[arg(long, value_name = "FORMAT", conflicts_with = "json")]
        format: Option<profile::Format>,

        /// Use this profile from now on, for a guest whose kernel does not tell enough
        #[arg(long, value_name = "FILE")]
        profile: Option<PathBuf>,
    },
    /// Remove a guest
    Rm {
        /// The guest
        name: String,

        /// Remove the guest even if it is damaged, or disks of traces depend on it
        #[arg(long)]
        force: bool,
    },
}

/// The guests that can be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Recipe {
    /// A kernel and busybox
    Tiny,
    /// Debian with systemd and OpenSSH
    Debian,
}

impl Command {
    /// Runs the subcommand.
    pub fn run(self, context: &Context) -> Result<Exit, Error> {
        match self {
            Command::Build { recipe, name } => {
                let guest = build(context, recipe, name.as_deref())?;
                show(&guest, context.output)?;
            }
            Command::Import {
                name,
                disk,
                image,
                kernel,
                initrd,
                append,
                profile,
                target,
                mem,
                nic,
                booted,
            } => {
                let booted = booted.map_or(BootSign::Ssh(22), BootSign::Console);
                let (initramfs, nic) = (initrd, Some(nic));
                let (format, below, memory_mib) = (image.format, image.below(), mem);
                let profile = profile.as_deref().map(read_profile).transpose()?;
                let what = Import {
                    disk,
                    format,
                    below,
                    kernel,
                    initramfs,
                    append,
                    profile,
                    target,
                    memory_mib,
                    nic,
                    booted,
                };
                show(&import(&context.home, &name, what, &context.progress)?, context.output)?;
            }
            Command::Shrink { name, force } => {
                let guest = Guest::open(&context.home, &name)?;
                let (before, after) = shrink(guest, &context.home, force, &context.progress)?;
                let sizes = Shrunk { guest: &name, bytes_before: before, bytes: after };
                context.output.give(&sizes, |out| {
                    writeln!(out, "{name}: {}, was {}", HumanBytes(after), HumanBytes(before))
                })?;
            }
            Command::Ls => list(context)?,
            Command::Inspect { name, check } => {
                let guest = Guest::open(&context.home, &name)?;
                if check {
                    guest.check()?;
                }
                show(&guest, context.output)?;
            }
            Command::Warm { name, boot_timeout } => warm(context, &name, Duration::from_secs(boot_timeout))?,
            Command::Shell { name, port_fwd, net } => {
                let interrupt = Interrupt::catch()?;
                let guest = Guest::open(&context.home, &name)?;
                let panda = Panda::find(&context.home, &context.selection, guest.manifest.target)?;
                terminal::say(format_args!(
                    "console of {name}: Ctrl-] x leaves it, and changes are discarded"
                ));
                if shell(&guest, &panda, &port_fwd, net, &interrupt)? {
                    return Ok(Exit::Interrupted);
                }
            }
            Command::Profile { name, format, profile } => {
                profile::run(context, &name, format, profile.as_deref())?;
            }
            Command::Rm { name, force } => remove(&context.home, &name, force)?,
        }
        Ok(Exit::Done)
    }
}

fn build(context: &Context, recipe: Recipe, name: Option<&str>) -> Result<Guest, Error> {
    let name = match (recipe, name) {
        (Recipe::Tiny, None) => {
            return Ok(tiny::build(&context.home, Target::default(), false, &context.progress)?);
        }
        (Recipe::Tiny, Some(_)) => return Err(GuestError::TinyName.into()),
        (Recipe::Debian, name) => name.unwrap_or(debian::RECIPE),
    };
    let agent = context.dist.find("recctrlu", Target::X86_64)?;
    Ok(debian::build(&context.home, name, &agent, &context.progress)?)
}

/// The guest of this name; the tiny one is built if it is not there.
fn ready(context: &Context, name: &str) -> Result<Guest, GuestError> {
    match name {
        tiny::RECIPE => tiny::ready(&context.home, None, Target::default(), &context.progress),
        name => Guest::open(&context.home, name),
    }
}

fn warm(context: &Context, name: &str, patience: Duration) -> Result<(), Error> {
    let interrupt = Interrupt::catch()?;
    let guest = ready(context, name)?;
    let target = guest.manifest.target;
    let panda = Panda::find(&context.home, &context.selection, target)?;
    let initramfs = match guest.disk() {
        Some(_) => None,
        None => Some(warm::tiny_initramfs(&guest, &std::fs::read(context.dist.find("recctrlu", target)?)?)?),
    };
    let initramfs = initramfs.as_deref();
    let key = WarmKey::of(&guest, &guest.machine(), &panda, initramfs).map_err(GuestError::from)?;
    let began = Instant::now();
    let (warm, made) = match guest.warm(&key) {
        Some(warm) => (warm, false),
        None => {
            let _booting = context.progress.waiting(&format!("booting {name}"));
            let made = guest.make_warm(&key, &panda, initramfs, patience, &interrupt);
            (made.map_err(GuestError::from)?, true)
        }
    };
    guest.forget_stale(&key, &Overlays::of(&context.home)).map_err(GuestError::from)?;
    let bytes = std::fs::metadata(&warm.state)?.len();
    let seconds = began.elapsed().as_secs_f64();
    let document = Warmed { guest: name, state: &warm.state, bytes, made };
    context.output.give(&document, |out| match made {
        true => writeln!(out, "{name} is warm: saved {} in {seconds:.1} s", HumanBytes(bytes)),
        false => writeln!(out, "{name} is already warm: {}", HumanBytes(bytes)),
    })?;
    Ok(())
}

fn list(context: &Context) -> Result<(), Error> {
    let guests = Guest::list(&context.home)?;
    let documents: Vec<_> = guests
        .iter()
        .map(|(name, guest)| match guest {
            Ok(guest) => Entry::Guest(Box::new(guest.into())),
            Err(error) => Entry::Unusable { name: name.clone(), error: files::chain(error) },
        })
        .collect();
    context.output.give(&documents, |out| writeln!(out, "{}", table(&guests)))?;
    if context.output.json {
        return Ok(());
    }
    if guests.is_empty() {
        terminal::say("no guests yet: create one with `pandacap guest build` or `pandacap guest import`");
    }
    for error in guests.into_iter().filter_map(|(_, guest)| guest.err()) {
        complain_of(&error);
    }
    Ok(())
}

fn table(guests: &[Listed]) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["guest", "target", "memory", "size", "disk", "network", "from"]);
    for (name, guest) in guests {
        let Ok(guest) = guest else {
            table.add_row([name.as_str(), "-", "-", "-", "-", "-", "cannot be used"]);
            continue;
        };
        let manifest = &guest.manifest;
        table.add_row([
            name.clone(),
            manifest.target.to_string(),
            format!("{} MiB", manifest.memory_mib),
            HumanBytes(guest.bytes()).to_string(),
            manifest.disk.as_ref().map_or("-".to_owned(), |disk| disk.format.to_string()),
            nic(manifest, "-"),
            origin(&manifest.origin),
        ]);
    }
    table.trim_fmt()
}

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Built { recipe, packages } => format!("{recipe}, {} packages", packages.len()),
        Origin::Imported { from } => from.display().to_string(),
    }
}

/// A guest as `ls`, `inspect`, `build` and `import` give it.
#[derive(JsonSchema, Serialize)]
pub(super) struct Described {
    name: String,
    folder: PathBuf,
    #[serde(flatten)]
    manifest: GuestManifest,
}

impl From<&Guest> for Described {
    fn from(guest: &Guest) -> Described {
        let (name, folder) = (guest.name.clone(), guest.folder.clone());
        Described { name, folder, manifest: guest.manifest.clone() }
    }
}

/// One guest of `ls`.
#[derive(JsonSchema, Serialize)]
#[serde(untagged)]
pub(super) enum Entry {
    /// It can be used.
    Guest(Box<Described>),
    /// It cannot be used.
    Unusable {
        name: String,
        /// Why not.
        error: String,
    },
}

/// What `warm` gives.
#[derive(JsonSchema, Serialize)]
pub(super) struct Warmed<'a> {
    guest: &'a str,
    /// The file with the machine's state.
    state: &'a Path,
    /// Its size.
    bytes: u64,
    /// Whether it was made now.
    made: bool,
}

/// What `shrink` gives.
#[derive(JsonSchema, Serialize)]
pub(super) struct Shrunk<'a> {
    guest: &'a str,
    bytes_before: u64,
    bytes: u64,
}

fn show(guest: &Guest, output: Output) -> io::Result<()> {
    output.give(&Described::from(guest), |out| describe(guest, out))
}

fn describe(guest: &Guest, out: &mut impl Write) -> io::Result<()> {
    let manifest = &guest.manifest;
    let mut row = |what: &str, value: String| writeln!(out, " {what:<13} {value}");
    row("guest", guest.name.clone())?;
    row("folder", guest.folder.display().to_string())?;
    row("target", manifest.target.to_string())?;
    row("memory", format!("{} MiB", manifest.memory_mib))?;
    if let (Some(disk), Some(path)) = (&manifest.disk, guest.disk()) {
        row("disk", format!("{} ({}, {})", path.display(), disk.format, HumanBytes(disk.bytes)))?;
    }
    row("network", nic(manifest, "none"))?;
    if let Some(kernel) = guest.kernel() {
        row("kernel", kernel.display().to_string())?;
        row("append", manifest.append.clone())?;
    }
    if let Some(login) = &manifest.login {
        let key = guest.folder.join(&login.key);
        row("login", format!("ssh -i {} {}@...", key.display(), login.user))?;
    }
    row("from", origin(&manifest.origin))?;
    for (file, digest) in &manifest.files {
        row("file", format!("{file} ({}, SHA-256 {:.12}...)", HumanBytes(digest.bytes), digest.sha256))?;
    }
    Ok(())
}

fn nic(manifest: &GuestManifest, none: &str) -> String {
    manifest.nic.as_ref().map_or(none, Nic::model).to_owned()
}
