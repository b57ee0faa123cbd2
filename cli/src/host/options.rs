//! What the command line says to the host, the runner and the hook.

use std::net::SocketAddr;
use std::path::PathBuf;

/// How to log, to stderr.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// One JSON object a line, rather than text for people.
    pub json: bool,
    /// What to log, e.g. `debug` or `longshore_cli=debug,info`; `info` when absent.
    pub level: Option<String>,
}

/// What `longshore up` is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpOptions {
    /// The configuration's file; when absent `longshore.toml` of the working folder, and without one the sample.
    pub config: Option<PathBuf>,
    /// The data folder, in place of the configuration's.
    pub data: Option<PathBuf>,
    /// The cluster for environments that name none: `kube:CONTEXT`.
    pub cluster: Option<String>,
    /// Where to listen, in place of the configuration's address.
    pub listen: Option<SocketAddr>,
    /// Where the proxy listens, in place of the configuration's address.
    pub proxy: Option<SocketAddr>,
    /// Written with one JSON line ([`crate::api::Ready`]) once the host is ready.
    pub ready_file: Option<PathBuf>,
    /// Print that line to stdout, rather than text for people.
    pub output_json: bool,
    /// How to log.
    pub log: LogOptions,
}

/// What `longshore runner` is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerOptions {
    /// The file that the host wrote for it.
    pub config: PathBuf,
    /// How to log.
    pub log: LogOptions,
}

/// What `longshore hook post-receive` is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookOptions {
    /// The data folder of the host, absolute.
    pub data: PathBuf,
    /// The repository.
    pub repository: String,
}
