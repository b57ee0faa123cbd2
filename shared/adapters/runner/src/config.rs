//! What the runner is told when it starts.

use std::net::SocketAddr;
use std::path::PathBuf;

/// How the runner is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its data folder: what shall run, which processes do, unpacked images, logs. One runner serves it.
    pub data: PathBuf,
    /// The Unix socket of its API; at most 107 bytes long.
    pub socket: PathBuf,
    /// Where the proxy listens. With port 0 a free one is chosen once, and kept in the data folder from then on.
    pub proxy: SocketAddr,
    /// Who may read the registry that images are pulled from.
    pub pull: PullAccess,
}

/// How images are pulled.
#[derive(Debug, Clone, Default)]
pub struct PullAccess {
    /// The registry's URL, e.g. `http://127.0.0.1:5000`, for images whose name has no host before it.
    pub registry: Option<String>,
    /// User and password for it, where it asks for them.
    pub login: Option<(String, String)>,
}
