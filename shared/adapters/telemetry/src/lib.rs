//! What systems of telemetry know of releases: Prometheus.

mod error;
mod prometheus;

pub use error::TelemetryError;
pub use prometheus::Prometheus;
