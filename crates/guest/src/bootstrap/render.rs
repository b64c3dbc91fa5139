//! Rendering a bootstrap folder for one place: templates filled in, scripts chosen, everything in its order.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};

use super::source::Source;
use super::variables::{self, Setting};
use super::{BootstrapError, Place};
use crate::startup::quoted;

const ENVIRONMENT: &str = "bootstrap.env";
const TEMPLATE: &str = ".j2";
/// The most that one template may become, in bytes.
const RENDERED: usize = 16 << 20;
/// The most that a template may do, in minijinja's steps.
const FUEL: u64 = 500_000;

/// A bootstrap folder, and what it is to become.
#[derive(Clone, Copy, Debug)]
pub struct Bootstrap<'a> {
    /// The folder.
    pub source: &'a Path,
    /// Variables that have another value than in the folder.
    pub settings: &'a [Setting],
    /// Where the scripts are to run.
    pub place: Place,
}

impl Bootstrap<'_> {
    /// Renders it into the empty folder `into`.
    ///
    /// Links are followed within the bootstrap folder. Files keep their permissions, but for set-user-ID; scripts can
    /// be executed.
    pub fn render(&self, into: &Path) -> Result<(), BootstrapError> {
        let source = Source::open(self.source)?;
        let scripts = Path::new("scripts");
        if !source.metadata(scripts)?.is_some_and(|scripts| scripts.is_dir()) {
            return Err(BootstrapError::NoScripts(self.source.to_owned()));
        }
        let variables = variables::read(&source, self.settings)?;
        let rendering = Rendering { source: &source, templates: templates(), variables };

        write_runner(into)?;
        for name in [ENVIRONMENT.to_owned(), format!("{ENVIRONMENT}{TEMPLATE}")] {
            if source.metadata(Path::new(&name))?.is_some() {
                rendering.file(Path::new(&name), &into.join(ENVIRONMENT))?;
            }
        }
        let into_scripts = into.join("scripts");
        make_folder(&into_scripts)?;
        for (name, path) in source.entries(scripts)? {
            let (only, target) =
                script_name(&name).ok_or_else(|| BootstrapError::ScriptName(source.path(&path)))?;
            if only.is_none_or(|only| only == self.place) {
                let target = into_scripts.join(target);
                rendering.file(&path, &target)?;
                set_mode(&target, 0o755)?;
            }
        }
        let (files, into_files) = (Path::new("files"), into.join("files"));
        match source.metadata(files)? {
            Some(_) => rendering.folder(files, &into_files),
            None => make_folder(&into_files),
        }
    }
}

/// Writes what runs the rest of a rendered folder.
pub(super) fn write_runner(into: &Path) -> Result<(), BootstrapError> {
    let path = into.join("bootstrap.sh");
    fs::write(&path, include_str!("guest/bootstrap.sh")).map_err(BootstrapError::file("write", &path))?;
    set_mode(&path, 0o755)
}

/// Where a script is to run (`None`: everywhere), and the name that says when.
fn script_name(name: &str) -> Option<(Option<Place>, &str)> {
    let name = name.strip_suffix(TEMPLATE).unwrap_or(name);
    let (place, name) = match (name.strip_prefix("vm_"), name.strip_prefix("docker_")) {
        (Some(name), _) => (Some(Place::Vm), name),
        (_, Some(name)) => (Some(Place::Docker), name),
        _ => (None, name),
    };
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let numbered = matches!(name.as_bytes(), [b'0'..=b'9', b'0'..=b'9', b'_', _, ..]);
    (plain && numbered && name.ends_with(".sh")).then_some((place, name))
}

struct Rendering<'a> {
    source: &'a Source,
    templates: Environment<'static>,
    variables: BTreeMap<String, Value>,
}

fn templates() -> Environment<'static> {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.set_fuel(Some(FUEL));
    templates.set_keep_trailing_newline(true);
    templates.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    templates.add_filter("sh", shell_word);
    templates
}

/// The filter `sh`: one word of a shell, whatever is in it.
fn shell_word(value: &Value) -> Result<String, minijinja::Error> {
    if value.is_undefined() {
        return Err(ErrorKind::UndefinedError.into());
    }
    Ok(String::from_utf8_lossy(&quoted(value.to_string().as_ref())).into_owned())
}

impl Rendering<'_> {
    fn folder(&self, from: &Path, to: &Path) -> Result<(), BootstrapError> {
        make_folder(to)?;
        for (name, path) in self.source.entries(from)? {
            if self.source.metadata(&path)?.is_some_and(|path| path.is_dir()) {
                self.folder(&path, &to.join(name))?;
            } else {
                self.file(&path, &to.join(name.strip_suffix(TEMPLATE).unwrap_or(&name)))?;
            }
        }
        Ok(())
    }

    /// Copies a file, or what a template becomes.
    fn file(&self, from: &Path, to: &Path) -> Result<(), BootstrapError> {
        if to.exists() {
            let become_ = to.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Err(BootstrapError::Clash { path: self.source.path(from), become_ });
        }
        let (mut file, mode) = self.source.file(from)?;
        if from.to_string_lossy().ends_with(TEMPLATE) {
            let text = self.fill_in(&self.source.path(from), &self.source.text(from)?)?;
            fs::write(to, text).map_err(BootstrapError::file("write", to))?;
        } else {
            let mut copy = fs::File::create_new(to).map_err(BootstrapError::file("write", to))?;
            io::copy(&mut file, &mut copy).map_err(BootstrapError::file("copy", &self.source.path(from)))?;
        }
        set_mode(to, mode & 0o777)
    }

    fn fill_in(&self, path: &Path, text: &str) -> Result<Vec<u8>, BootstrapError> {
        let mut rendered = Bounded(Vec::new());
        let name = path.to_string_lossy();
        let template = self.templates.template_from_named_str(&name, text);
        let filled = template
            .and_then(|template| template.render_captured_to(&self.variables, &mut rendered).map(drop));
        filled.map(|()| rendered.0).map_err(|error| {
            let line = error.line().unwrap_or(1);
            let what = match (error.kind(), error.detail()) {
                (ErrorKind::UndefinedError, _) => self.missing(text, line, &error),
                (ErrorKind::WriteFailure, _) => format!("it becomes more than {} MiB", RENDERED >> 20),
                (ErrorKind::OutOfFuel, _) => "it does not terminate".to_owned(),
                (kind, Some(detail)) => format!("{kind}: {detail}"),
                (kind, None) => kind.to_string(),
            };
            BootstrapError::Template { path: path.to_owned(), line, what }
        })
    }

    /// What is missing in a line, where the error knows but that something is.
    fn missing(&self, text: &str, line: usize, error: &minijinja::Error) -> String {
        let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let template = self.templates.template_from_str(text);
        let names = template.map(|template| template.undeclared_variables(false)).unwrap_or_default();
        let mut missing: Vec<String> = names
            .into_iter()
            .filter(|name| !self.variables.contains_key(name) && line.contains(name.as_str()))
            .collect();
        missing.sort();
        if missing.is_empty() {
            let expression = error.range().and_then(|range| text.get(range)).unwrap_or(line);
            return format!("{expression} has no value");
        }
        format!("{} has no variable {}", variables::FILE, missing.join(", "))
    }
}

/// What a template becomes, as far as it is of a size to bootstrap with.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > RENDERED {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn make_folder(folder: &Path) -> Result<(), BootstrapError> {
    fs::create_dir(folder).map_err(BootstrapError::file("make", folder))?;
    set_mode(folder, 0o755)
}

/// Sets the mode of a file.
pub fn set_mode(path: &Path, mode: u32) -> Result<(), BootstrapError> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(BootstrapError::file("set the permissions of", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_says_by_its_name_where_and_when_it_runs() {
        assert_eq!(script_name("10_a.sh"), Some((None, "10_a.sh")));
        assert_eq!(script_name("vm_20_a-b.sh"), Some((Some(Place::Vm), "20_a-b.sh")));
        assert_eq!(script_name("docker_99_a.sh.j2"), Some((Some(Place::Docker), "99_a.sh")));
        for name in ["a.sh", "1_a.sh", "100_a.sh", "10_.py", "10_a b.sh", "vm_a.sh", "10_a.sh~", "10_.sh/"] {
            assert_eq!(script_name(name), None, "{name}");
        }
    }
}
