//! `pandacap image`: builds, lists and removes container images.

use std::io::Write;
use std::path::PathBuf;

use clap::Subcommand;
use comfy_table::{Table, presets::NOTHING};
use container::{DEFAULT_BASE, Engine, IMAGE, Recipe, build, list, remove};
use indicatif::HumanBytes;
use rr_log::Target;

use crate::cli::context::Context;
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::values;

/// The subcommands of `image`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build the image: PANDA, pandacap, the tiny guest, and the few libraries that they need
    ///
    /// PANDA and the tiny guest are installed on this machine first if they are not. The libraries come from a Debian's
    /// image, which is downloaded if the engine does not have it; `scripts/make-base` makes one from Debian's packages.
    Build {
        /// The image's name
        #[arg(value_name = "IMAGE", default_value = IMAGE)]
        name: String,

        /// The Debian image that gives it its libraries; pin it with @sha256:DIGEST
        #[arg(long, value_name = "IMAGE", default_value = DEFAULT_BASE)]
        base: String,

        /// The guest architectures that its PANDA runs; may be repeated
        #[arg(long, value_parser = values::target(), default_value = "x86_64")]
        target: Vec<Target>,

        /// The user that programs in it run as, unless another is named
        #[arg(long, default_value_t = 1000)]
        uid: u32,

        /// That user's group
        #[arg(long, default_value_t = 1000)]
        gid: u32,

        /// PANDA's wheel, instead of downloading it
        #[arg(long, value_name = "FILE")]
        wheel: Option<PathBuf>,
    },
    /// List pandacap's images
    Ls,
    /// Remove images of pandacap's
    Rm {
        /// The images
        #[arg(required = true, value_name = "IMAGE")]
        names: Vec<String>,
    },
}

impl Command {
    /// Runs the subcommand.
    pub fn run(self, context: &Context) -> Result<Exit, Error> {
        let engine = Engine::find(context.selection.path.as_deref())?;
        match self {
            Command::Build { name, base, target, uid, gid, wheel } => {
                let recipe = Recipe {
                    name: &name,
                    base: &base,
                    targets: &target,
                    user: (uid, gid),
                    program: &context.program,
                    dist: &context.dist,
                    home: &context.home,
                    wheel: wheel.as_deref(),
                    confine: &context.selection.confine,
                };
                let built = build(&engine, &recipe, &context.progress)?;
                context.output.give(&built, |out| {
                    writeln!(out, "built {} ({}) for {}", built.image, HumanBytes(built.bytes), built.engine)
                })?;
            }
            Command::Ls => {
                let images = list(&engine)?;
                context.output.give(&images, |out| {
                    let mut table = Table::new();
                    table.load_preset(NOTHING).set_header(["image", "id", "size", "built"]);
                    for image in &images {
                        table.add_row([&image.image, &image.id, &image.size, &image.created]);
                    }
                    writeln!(out, "{}", table.trim_fmt())
                })?;
            }
            Command::Rm { names } => {
                for name in &names {
                    remove(&engine, name)?;
                }
            }
        }
        Ok(Exit::Done)
    }
}
