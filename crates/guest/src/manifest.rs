//! A guest's manifest: what boots it, on which machine, and where it comes from.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::apt::Package;
use files::{FileDigest, Schema};
use machine::{Format, Nic, PortForward, Protocol};
use rr_log::Target;

/// The manifest's name in a guest's folder.
pub const MANIFEST: &str = "manifest.json";
/// The version of the schema; a reader refuses every other.
pub const SCHEMA: Schema = Schema::new(2);

/// A guest's manifest. Files are named as they lie in the guest's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GuestManifest {
    /// [`SCHEMA`]
    pub schema: Schema,
    /// The guest architecture.
    pub target: Target,
    /// The memory that it is meant to have, in MiB.
    pub memory_mib: u32,
    /// The kernel that PANDA loads; none where the disk has a boot loader.
    pub kernel: Option<String>,
    /// Its initramfs.
    pub initramfs: Option<String>,
    /// Its command line.
    pub append: String,
    /// Its disk, which no machine ever writes to; none where the initramfs is all.
    pub disk: Option<GuestDisk>,
    /// Its network card.
    pub nic: Option<Nic>,
    /// What tells that it has booted.
    pub booted: BootSign,
    /// How to log in.
    pub login: Option<Login>,
    /// Where it comes from.
    pub origin: Origin,
    /// Its files.
    pub files: BTreeMap<String, FileDigest>,
}

/// A disk image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GuestDisk {
    /// The image's name in the guest's folder, or the absolute path of one that was linked.
    pub file: PathBuf,
    /// Its format.
    pub format: Format,
    /// The disk's size in bytes, as the guest sees it.
    pub bytes: u64,
}

/// What tells that a guest has booted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BootSign {
    /// This text on its first serial port.
    Console(String),
    /// What an SSH server says first, on this port of the guest.
    Ssh(u16),
}

impl BootSign {
    /// The text on the console, or nothing.
    pub fn text(&self) -> &str {
        if let BootSign::Console(text) = self { text } else { "" }
    }

    /// A port of the host, any that is free, that leads to the SSH server.
    pub fn forward(&self) -> Option<PortForward> {
        let BootSign::Ssh(guest) = self else { return None };
        Some(PortForward { guest: *guest, host: 0, address: Ipv4Addr::LOCALHOST, protocol: Protocol::Tcp })
    }
}

/// How to log in over SSH.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The private key's file, made for this guest alone.
    pub key: String,
}

/// Where a guest comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Made from packages.
    Built {
        /// `tiny` or `debian`.
        recipe: String,
        /// Every package in it.
        packages: Vec<Package>,
    },
    /// The user's own image.
    Imported {
        /// Where the image was.
        from: PathBuf,
    },
}
