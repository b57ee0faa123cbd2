//! Who is asked what releases do, as the configuration says.

use std::sync::Arc;

use anyhow::Result;
use longshore_aws::CloudWatchMetrics;
use longshore_policy::MetricsSource;
use longshore_ports::{Clock, Metrics, Secrets};
use longshore_runner::RunnerClient;
use longshore_telemetry::Prometheus;

use crate::commands::account;

/// The source of measurements.
///
/// # Errors
/// When its address cannot be asked, or there is no account of AWS to ask.
pub(super) fn metrics(
    source: &MetricsSource,
    runner: &Arc<RunnerClient>,
    secrets: Arc<dyn Secrets>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Metrics>> {
    Ok(match source {
        MetricsSource::Host => runner.clone(),
        MetricsSource::Prometheus(source) => Arc::new(Prometheus::new(source, secrets, clock)?),
        MetricsSource::CloudWatch(source) => Arc::new(CloudWatchMetrics::new(&account()?, source, clock)),
    })
}
