//! What every journal must do.
//!
//! Nothing here depends on an executor: a suite's functions are plain async functions, and racers are commits made
//! from the same reading.

mod conditions;
mod facts;
mod owed;
pub(crate) mod sample;
mod units;

use crate::Journal;
use crate::journal::Routes;

pub use sample::routes;

/// Runs every test of the suite, each on a journal of its own. `make` gives an empty journal with these routes.
pub async fn run<J: Journal>(make: impl AsyncFn(Routes) -> J) {
    facts::run(&make).await;
    conditions::run(&make).await;
    units::run(&make).await;
    owed::run(&make).await;
}
