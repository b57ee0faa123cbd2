//! Kubernetes: so far a real cluster that tests start.

#[cfg(feature = "testing")]
pub mod testing;
