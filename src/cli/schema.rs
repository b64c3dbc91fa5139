//! Checks that the JSON Schemas in `docs/schema/` match the types that are written and printed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use container::{Built, Listed};
use guest::GuestManifest;
use kernel_profile::Profile;
use panda_host::{Folder, Installed};
use rr_log::Summary;
use schemars::{JsonSchema, Schema, schema_for};
use trace::{Event, Manifest, Verdict};

use super::config::Origin;
use super::guest::{Described, Entry, Shrunk, Warmed};
use super::panda::Found;
use super::trace::{Document, Outcome};
use super::{analyze, doctor, exit, plugin, rec, replay};

/// The schemas by the names of their files in `docs/schema/`.
fn contracts() -> BTreeMap<&'static str, Schema> {
    fn of<T: JsonSchema>() -> Schema {
        schema_for!(T)
    }
    BTreeMap::from([
        ("activity", of::<analysis::Line>()),
        ("analyze", of::<analyze::Document<'_>>()),
        ("config-show", of::<Vec<Origin>>()),
        ("doctor", of::<doctor::Report>()),
        ("error", of::<exit::Report>()),
        ("event", of::<Event>()),
        ("guest", of::<Described>()),
        ("guest-ls", of::<Vec<Entry>>()),
        ("guest-manifest", of::<GuestManifest>()),
        ("guest-shrink", of::<Shrunk<'_>>()),
        ("guest-warm", of::<Warmed<'_>>()),
        ("image-build", of::<Built>()),
        ("image-ls", of::<Vec<Listed>>()),
        ("kernel-profile", of::<Profile>()),
        ("panda-install", of::<Vec<Installed>>()),
        ("panda-path", of::<Found<'_>>()),
        ("plugin", of::<Vec<Folder>>()),
        ("plugin-new", of::<plugin::new::Made<'_>>()),
        ("rec", of::<rec::report::Report<'_>>()),
        ("rec-guest", of::<Vec<rec::report::Report<'_>>>()),
        ("replay", of::<replay::Report<'_>>()),
        ("trace-inspect", of::<Document<'_, Summary>>()),
        ("trace-manifest", of::<Manifest>()),
        ("trace-salvage", of::<Document<'_, Outcome>>()),
        ("verify", of::<Vec<Verdict>>()),
    ])
}

/// `SCHEMA_UPDATE=always cargo test schema` regenerates them.
#[test]
fn the_documented_schemas_match_the_types() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema");
    let contracts = contracts();
    let update = std::env::var_os("SCHEMA_UPDATE").is_some_and(|value| value == "always");
    for (name, schema) in &contracts {
        let path = folder.join(format!("{name}.json"));
        let text = serde_json::to_string_pretty(schema).expect("a schema is JSON") + "\n";
        if update {
            fs::write(&path, &text).expect("the schema is written");
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == text,
            "{} is out of date: review the change, mention it in CHANGELOG.md, and regenerate the schemas with \
             SCHEMA_UPDATE=always",
            path.display()
        );
    }
    for entry in fs::read_dir(&folder).expect("docs/schema is there") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        let known = name.strip_suffix(".json").is_some_and(|name| contracts.contains_key(name));
        assert!(known || name == "README.md", "docs/schema/{name} belongs to no type");
    }
}
