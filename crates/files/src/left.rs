//! Folders in the making: locked by the process that makes them, for as long as it lives.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// How long a process may take from making a folder to locking it.
pub const YOUNG: Duration = Duration::from_secs(2);

/// Whether the process that was making this folder has gone without finishing it.
pub fn is_left(folder: &Path) -> bool {
    let Ok(lock) = File::open(folder) else { return false };
    // One that is about to be locked is younger than this.
    let age = lock.metadata().and_then(|metadata| metadata.modified()).map(|time| time.elapsed());
    matches!(age, Ok(Ok(age)) if age > YOUNG) && lock.try_lock().is_ok()
}
