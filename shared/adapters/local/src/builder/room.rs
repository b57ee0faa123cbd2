//! Room on the disk: that there is none is not the commit's fault, so its build waits, and begins again.

use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;

/// A disk with less than this is full, in bytes.
const FULL: u64 = 1 << 20;
/// What must be free before a build is tried again, in bytes.
const ENOUGH: u64 = 16 << 20;
/// How often it is looked.
const LOOK: Duration = Duration::from_secs(1);

/// How often a build is begun again: one that itself takes all the room there is comes to an end.
pub(super) const TRIES: u32 = 3;

/// Whether a build ended because the disk of this folder was full.
pub(super) fn was_missing(reason: &str, folder: &Path) -> bool {
    reason.contains("No space left on device") || free(folder).is_some_and(|free| free < FULL)
}

/// Waits until there is room where this folder lies.
pub(super) async fn comes(folder: &Path) {
    while free(folder).is_some_and(|free| free < ENOUGH) {
        sleep(LOOK).await;
    }
}

fn free(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}
