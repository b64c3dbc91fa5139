//! Why an image cannot be used.

use std::io;
use std::path::PathBuf;

use super::format::Format;
use super::qcow2::Malformed;

/// Why an image cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// It cannot be read.
    #[error("cannot read the image {}", .path.display())]
    Unreadable {
        /// The image.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// qemu-img does not start.
    #[error("cannot start qemu-img; install Debian's package qemu-utils")]
    Tool(#[source] io::Error),
    /// qemu-img refuses it.
    #[error("qemu-img cannot {what} {}: {said}", .path.display())]
    Refused {
        /// What was tried.
        what: &'static str,
        /// The image.
        path: PathBuf,
        /// Why not.
        said: String,
    },
    /// It is encrypted.
    #[error("the image {} is encrypted, which PANDA cannot boot; decrypt a copy with `qemu-img convert`", .0.display())]
    Encrypted(PathBuf),
    /// Its end is missing.
    #[error("the image {} is truncated or damaged ({what}); copy it again, or see `qemu-img check`", .path.display())]
    Truncated {
        /// The image.
        path: PathBuf,
        /// How that shows.
        what: String,
    },
    /// It is of a format that is not taken.
    #[error(
        "the image {} is {what}, and pandacap takes raw and qcow2; if you trust it, convert it with \
         `qemu-img convert`", .path.display()
    )]
    Foreign {
        /// The image.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// It looks like another format than the last time.
    #[error(
        "the image {} was {known} before and no longer looks like it, perhaps because its guest changed it; \
         give its format with --format", .path.display()
    )]
    Changed {
        /// The image.
        path: PathBuf,
        /// What it was.
        known: Format,
    },
    /// Its header is invalid.
    #[error("the image {} is not a qcow2 image", .path.display())]
    Malformed {
        /// The image.
        path: PathBuf,
        /// Why.
        source: Malformed,
    },
    /// Its content is elsewhere.
    #[error("the image {} has its content in an external data file, which could be any file of yours", .0.display())]
    DataFile(PathBuf),
    /// It has a backing file.
    #[error(
        "the image {} has a backing file, {}, which could be any file of yours; --allow-backing accepts images \
         in the same folder, and `qemu-img convert` merges both into one if you trust them", .path.display(), .backing.display()
    )]
    Backing {
        /// The image.
        path: PathBuf,
        /// Its backing file.
        backing: PathBuf,
    },
    /// Its backing file cannot be used.
    #[error("the image {} has the backing file {}, {why}", .path.display(), .backing.display())]
    BadBacking {
        /// The image.
        path: PathBuf,
        /// Its backing file.
        backing: PathBuf,
        /// What is wrong with that.
        why: &'static str,
    },
    /// Too new for PANDA.
    #[error(
        "the image {} uses {feature}, which PANDA's QEMU does not know; convert it with \
         `qemu-img convert -O qcow2 -o compat=1.1 {} NEW.qcow2`", .path.display(), .path.display()
    )]
    TooNew {
        /// The image.
        path: PathBuf,
        /// What is new in it.
        feature: &'static str,
    },
    /// A run and maintenance exclude each other.
    #[error("the image {} is in use by {by}; wait until that has ended", .path.display())]
    Busy {
        /// The image.
        path: PathBuf,
        /// Who uses it.
        by: &'static str,
    },
}
