//! A command's arguments in JSON, without loss: a string where an argument is UTF-8, else its bytes.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Argument {
    Text(String),
    Bytes(Vec<u8>),
}

pub(super) fn serialize<S: Serializer>(argv: &[OsString], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(argv.iter().map(|argument| match argument.to_str() {
        Some(text) => Argument::Text(text.to_owned()),
        None => Argument::Bytes(argument.as_bytes().to_owned()),
    }))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<OsString>, D::Error> {
    let argv = Vec::<Argument>::deserialize(deserializer)?;
    Ok(argv.into_iter().map(Argument::into_os_string).collect())
}

impl Argument {
    fn into_os_string(self) -> OsString {
        match self {
            Argument::Text(text) => text.into(),
            Argument::Bytes(bytes) => OsString::from_vec(bytes),
        }
    }
}
