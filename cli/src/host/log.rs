//! Where the host's and the runner's logs go.

use anyhow::{Context as _, Result};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::options::LogOptions;

/// Logs to stderr: text for people, or one JSON object a line.
///
/// # Errors
/// When the level is none.
pub(super) fn to_stderr(options: &LogOptions) -> Result<()> {
    // What a cluster refuses is told by whoever asked it.
    let level = options.level.as_deref().unwrap_or("info,kube_client=off");
    let wanted: Targets = level.parse().with_context(|| {
        format!(
            "{level:?} is no log level; write `error`, `warn`, `info`, `debug`, `trace`, or `module=level,…`"
        )
    })?;
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let layer = if options.json { layer.json().boxed() } else { layer.with_ansi(false).boxed() };
    // A second subscriber in one process is a test's.
    let _ = tracing_subscriber::registry().with(layer.with_filter(wanted)).try_init();
    Ok(())
}
