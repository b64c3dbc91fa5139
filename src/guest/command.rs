//! `pandacap guest`: what was typed, and how the answer is printed.

use std::io::{self, Write};

use clap::{Subcommand, ValueEnum};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::json;

use super::{Guest, GuestError, GuestManifest, Origin, debian, remove, tiny};
use crate::cli::{Context, Error};
use crate::dist;
use crate::exit::Exit;
use crate::target::Target;
use crate::vm::Nic;

/// What can be done about guests.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a guest from Debian's packages
    ///
    /// tiny: a kernel, and busybox as an initramfs; it boots in seconds, and `pandacap rec` makes it when it is
    /// first needed. debian: bookworm with systemd, OpenSSH, recctrlu and the bootstrap hook on a disk; making
    /// it takes root, and a minute or two. Its key is made for it alone and lies in its folder; it opens root and
    /// panda, no password opens anything, and the console is root's.
    Build {
        /// What to make
        recipe: Recipe,

        /// The guest's name [default: the recipe's]; only a debian guest can have another
        #[arg(long)]
        name: Option<String>,
    },
    /// List the guests
    Ls,
    /// Say what a guest is made of
    Inspect {
        /// The guest
        name: String,

        /// Read every file, and compare it with its digest
        #[arg(long)]
        check: bool,
    },
    /// Remove a guest
    Rm {
        /// The guest
        name: String,

        /// Remove it even when it is damaged, or traces have their disks on it
        #[arg(long)]
        force: bool,
    },
}

/// What guests are made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Recipe {
    /// Kernel and busybox
    Tiny,
    /// Debian with systemd and OpenSSH
    Debian,
}

impl Command {
    /// Does it.
    pub fn run(self, context: &Context) -> Result<Exit, Error> {
        match self {
            Command::Build { recipe, name } => {
                let guest = build(context, recipe, name.as_deref())?;
                show(&guest, context.json)?;
            }
            Command::Ls => list(context)?,
            Command::Inspect { name, check } => {
                let guest = Guest::open(&context.home, &name)?;
                if check {
                    guest.check()?;
                }
                show(&guest, context.json)?;
            }
            Command::Rm { name, force } => remove(&context.home, &name, force)?,
        }
        Ok(Exit::Done)
    }
}

fn build(context: &Context, recipe: Recipe, name: Option<&str>) -> Result<Guest, Error> {
    let name = match (recipe, name) {
        (Recipe::Tiny, None) => return Ok(tiny::build(&context.home, Target::default(), false)?),
        (Recipe::Tiny, Some(name)) => return Err(GuestError::Name(name.to_owned()).into()),
        (Recipe::Debian, name) => name.unwrap_or(debian::RECIPE),
    };
    let agent = dist::find("recctrlu", Target::X86_64)?;
    Ok(debian::build(&context.home, name, &agent)?)
}

fn list(context: &Context) -> Result<(), Error> {
    let guests = Guest::list(&context.home)?;
    let mut out = io::stdout().lock();
    if context.json {
        let guests: Vec<_> = guests
            .iter()
            .map(|(name, guest)| match guest {
                Ok(guest) => document(guest),
                Err(error) => json!({ "name": name, "error": error.to_string() }),
            })
            .collect();
        writeln!(out, "{:#}", json!(guests))?;
        return Ok(());
    }
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["guest", "target", "memory", "size", "disk", "network", "from"]);
    for (name, guest) in &guests {
        let Ok(guest) = guest else {
            table.add_row([name.as_str(), "-", "-", "-", "-", "-", "cannot be used"]);
            continue;
        };
        let manifest = &guest.manifest;
        table.add_row([
            name.clone(),
            manifest.target.to_string(),
            format!("{} MiB", manifest.memory_mib),
            format!("{:.1} MiB", mib(guest.bytes())),
            manifest.disk.as_ref().map_or("-".to_owned(), |disk| disk.format.clone()),
            nic(manifest, "-"),
            origin(&manifest.origin),
        ]);
    }
    writeln!(out, "{}", table.trim_fmt())?;
    drop(out);
    for (name, guest) in guests {
        if let Err(error) = guest {
            eprintln!("pandacap: {name}: {error}");
        }
    }
    Ok(())
}

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Built { recipe, packages } => format!("{recipe}, {} packages", packages.len()),
        Origin::Imported { from } => from.display().to_string(),
    }
}

fn document(guest: &Guest) -> serde_json::Value {
    let mut value = json!(guest.manifest);
    value["name"] = json!(guest.name);
    value["folder"] = json!(guest.folder);
    value
}

fn show(guest: &Guest, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        return writeln!(out, "{:#}", document(guest));
    }
    let manifest = &guest.manifest;
    let mut row = |what: &str, value: String| writeln!(out, " {what:<13} {value}");
    row("guest", guest.name.clone())?;
    row("folder", guest.folder.display().to_string())?;
    row("target", manifest.target.to_string())?;
    row("memory", format!("{} MiB", manifest.memory_mib))?;
    if let (Some(disk), Some(path)) = (&manifest.disk, guest.disk()) {
        row("disk", format!("{} ({}, {:.0} MiB)", path.display(), disk.format, mib(disk.bytes)))?;
    }
    row("network", nic(manifest, "none"))?;
    if let Some(kernel) = guest.kernel() {
        row("kernel", kernel.display().to_string())?;
        row("told", manifest.append.clone())?;
    }
    if let Some(login) = &manifest.login {
        let key = guest.folder.join(&login.key);
        row("login", format!("ssh -i {} {}@...", key.display(), login.user))?;
    }
    row("from", origin(&manifest.origin))?;
    for (file, digest) in &manifest.files {
        row("", format!("{} {} ({:.1} MiB)", &digest.sha256[..12], file, mib(digest.bytes)))?;
    }
    Ok(())
}

fn nic(manifest: &GuestManifest, none: &str) -> String {
    manifest.nic.as_ref().map_or(none, Nic::model).to_owned()
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
