//! `pandacap plugin new`: creates a crate that builds a PANDA plugin.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::error::{Error, NewError, PluginError};
use crate::cli::exit::Exit;

/// The crate's files.
const TEMPLATE: [(&str, &str); 4] = [
    ("Cargo.toml", include_str!("template/Cargo.toml.in")),
    ("build.rs", include_str!("template/build.rs")),
    ("README.md", include_str!("template/README.md.in")),
    (".gitignore", include_str!("template/gitignore")),
];

/// The plugin itself, and the one that follows a Linux guest.
const SOURCE: &str = include_str!("template/lib.rs.in");
const LINUX_SOURCE: &str = include_str!("template/linux.rs.in");

/// The crate that plugins depend on, and the one beside it that follows Linux guests.
const CRATE: &str = "panda-plugin";
const LINUX_CRATE: &str = "panda-linux";

/// Arguments of `plugin new`.
#[derive(Args, Debug)]
pub struct New {
    /// The plugin's name, as passed to -panda: lower-case letters, digits and _
    name: Name,

    /// The folder to create, which may exist if it is empty [default: ./panda_NAME]
    dir: Option<PathBuf>,

    /// Start from what a Linux guest does: its system calls, processes and files, as events
    #[arg(long)]
    linux: bool,

    /// Where to find the crate panda-plugin: a checkout of pandacap, or the URL of its git repository
    /// [default: the checkout that this pandacap was built in]
    #[arg(long, value_name = "FOLDER|URL")]
    layer: Option<String>,
}

/// A plugin's name.
#[derive(Clone, Debug)]
struct Name(String);

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Name, String> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !text.starts_with(|first: char| first.is_ascii_lowercase()) || !text.bytes().all(plain) {
            return Err(
                "use lower-case letters, digits and _, starting with a letter, as in my_plugin".to_owned()
            );
        }
        if text.len() > 64 {
            return Err("64 characters at most".to_owned());
        }
        match text {
            "recctrl" => Err("this is the name of pandacap's own plugin".to_owned()),
            "plugin" | "sys" => {
                Err(format!("panda_{text} is the name of a crate that the plugin depends on"))
            }
            _ => Ok(Name(text.to_owned())),
        }
    }
}

/// What was made.
#[derive(JsonSchema, Serialize)]
pub(in crate::cli) struct Made<'a> {
    name: &'a str,
    folder: PathBuf,
    /// What `cargo build --release` will make.
    plugin: PathBuf,
    /// Where panda-plugin is: a folder or a URL.
    layer: String,
}

impl Made<'_> {
    /// Prints the next steps.
    fn tell(&self, out: &mut impl Write) -> io::Result<()> {
        let Made { name, folder, plugin, layer } = self;
        let quoted = |path: &Path| shell_words::quote(&path.to_string_lossy()).into_owned();
        // Without a slash, PANDA would take it for the name of one of its own plugins.
        let plugin = if plugin.is_absolute() { plugin.clone() } else { Path::new(".").join(plugin) };
        writeln!(out, "created {name} in {}; it depends on {CRATE} in {layer}", folder.display())?;
        writeln!(out, "build it:  (cd {} && cargo build --release)", quoted(folder))?;
        writeln!(out, "run it:    pandacap replay TRACE --plugin {}", quoted(&plugin))
    }
}

impl New {
    /// Creates the crate and prints the next steps.
    pub fn run(&self, context: &Context) -> Result<Exit, Error> {
        let Name(name) = &self.name;
        let folder = self.dir.clone().unwrap_or_else(|| PathBuf::from(format!("panda_{name}")));
        let layer = match &self.layer {
            Some(named) => Layer::named(named)?,
            None => Layer::around(&context.program).map_err(PluginError::from)?,
        };
        write(&folder, name, &layer, self.linux)?;
        let plugin = folder.join(format!("target/release/libpanda_{name}.so"));
        let made = Made { name, folder, plugin, layer: layer.to_string() };
        context.output.give(&made, |out| made.tell(out))?;
        Ok(Exit::Done)
    }
}

/// Where panda-plugin comes from.
#[derive(Debug, PartialEq, Eq)]
enum Layer {
    Folder(PathBuf),
    Git(String),
}

impl std::fmt::Display for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Layer::Folder(folder) => folder.display().fmt(f),
            Layer::Git(url) => f.write_str(url),
        }
    }
}

impl Layer {
    fn named(named: &str) -> Result<Layer, PluginError> {
        if named.contains("://") {
            return Ok(Layer::Git(named.to_owned()));
        }
        let folder = fs::canonicalize(named).map_err(PluginError::io(Path::new(named)))?;
        let places = [folder.join(CRATE), folder.clone()];
        let found = places.into_iter().find(|place| place.ends_with(CRATE) && is_crate(place));
        Ok(Layer::Folder(found.ok_or(NewError::NoLayer(folder))?))
    }

    /// The crate in the checkout that `program` was built in.
    fn around(program: &Path) -> Result<Layer, NewError> {
        let mut places = program.ancestors().skip(1).map(|folder| folder.join(CRATE));
        let found = places.find(|place| is_crate(place));
        found.map(Layer::Folder).ok_or_else(|| NewError::Unknown(program.to_owned()))
    }

    /// Where `Cargo.toml` says that one of the layer's crates is.
    fn dependency(&self, name: &str) -> String {
        let (kind, place) = match self {
            Layer::Folder(folder) => ("path", folder.with_file_name(name).to_string_lossy().into_owned()),
            Layer::Git(url) => ("git", url.clone()),
        };
        // A JSON string is also a TOML string.
        format!("{kind} = {}", serde_json::Value::String(place))
    }
}

fn is_crate(folder: &Path) -> bool {
    folder.join("Cargo.toml").is_file()
}

/// Writes the crate's files to `folder`, which must be new or empty.
fn write(folder: &Path, name: &str, layer: &Layer, linux: bool) -> Result<(), PluginError> {
    let source = folder.join("src");
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(NewError::NotEmpty(folder.to_owned()).into());
    }
    fs::create_dir_all(&source).map_err(PluginError::io(&source))?;
    let (source, linux) = match linux {
        true => {
            let dependency = format!("{LINUX_CRATE} = {{ {} }}\n", layer.dependency(LINUX_CRATE));
            (LINUX_SOURCE, dependency)
        }
        false => (SOURCE, String::new()),
    };
    for (file, template) in TEMPLATE.into_iter().chain([("src/lib.rs", source)]) {
        let text = template
            .replace("@NAME@", name)
            .replace("@RUST@", env!("CARGO_PKG_RUST_VERSION"))
            .replace("@LINUX@\n", &linux)
            .replace("@LAYER@", &layer.dependency(CRATE));
        let path = folder.join(file);
        fs::write(&path, text).map_err(PluginError::io(&path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_no_valid_file_or_crate_name_is_refused() {
        for good in ["hello", "a", "taint_3", "self"] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", "3d", "_a", "my-plugin", "Hello", "a/b", "ä", "recctrl", "plugin", &"a".repeat(65)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_layer_is_found_in_the_checkout_or_has_to_be_named() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let program = root.path().join("target/dist/pandacap");
        assert!(Layer::around(&program).is_err_and(|error| error.to_string().contains("--layer")));
        fs::create_dir(root.path().join(CRATE))?;
        fs::write(root.path().join(CRATE).join("Cargo.toml"), "")?;
        let found = Layer::around(&program).ok();
        assert_eq!(found, Some(Layer::Folder(root.path().join(CRATE))));
        for place in ["", CRATE] {
            assert!(Layer::named(&root.path().join(place).to_string_lossy()).is_ok(), "{place:?}");
        }
        assert!(Layer::named(&root.path().join("nowhere").to_string_lossy()).is_err());
        let git = Layer::named("https://example.org/\"pandacap").expect("a URL");
        assert_eq!(git.dependency(CRATE), r#"git = "https://example.org/\"pandacap""#);
        Ok(())
    }
}
