//! What an order must be, whatever came before it.

use longshore_ports::{Desired, DesiredRelease};

use crate::error::Refused;

/// Refuses an order that contradicts itself.
pub(super) fn check(order: &Desired) -> Result<(), Refused> {
    let total: u32 = order.releases.iter().map(|release| u32::from(release.weight)).sum();
    let mut numbers: Vec<u64> = order.releases.iter().map(|release| release.release).collect();
    numbers.sort_unstable();
    numbers.dedup();
    if numbers.len() != order.releases.len() {
        return Err(Refused::Invalid("a release is named twice".into()));
    }
    if !order.releases.is_empty() && total != 100 {
        return Err(Refused::Invalid(format!("the weights make {total} percent, not 100")));
    }
    Ok(())
}

/// Refuses to make something else of a release that is there: its number stands for one image, run in one way.
pub(super) fn check_known(order: &Desired, known: &[DesiredRelease]) -> Result<(), Refused> {
    let changed = order.releases.iter().find(|release| {
        let before = known.iter().find(|before| before.release == release.release);
        before.is_some_and(|before| (&before.image, &before.run) != (&release.image, &release.run))
    });
    let Some(release) = changed else { return Ok(()) };
    let number = release.release;
    Err(Refused::Conflict(format!(
        "release {number} stands for another image or way to run: give it a new number"
    )))
}
