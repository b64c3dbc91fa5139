#![doc = include_str!("../README.md")]

mod chain;
mod digest;
mod durable;
mod left;
mod open;
mod schema;
mod tail;
mod text;

pub use self::chain::chain;
pub use self::digest::{FileDigest, sha256};
pub use self::durable::{folder_of, fresh_in, replace, replace_with_mode, sync_folder};
pub use self::left::{YOUNG, is_left};
pub use self::open::{copy, open, open_unlinked, read_up_to};
pub use self::schema::Schema;
pub use self::tail::Tail;
pub use self::text::{is_plain, last, last_lines, line_of, list};
