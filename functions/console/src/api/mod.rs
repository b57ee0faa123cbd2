//! What the HTTP API says and takes, shared by who serves it and by those who ask.
//!
//! Every request needs `Authorization: Bearer <token>`; the token lies in the file `token` of the data folder, and on
//! AWS as `token` in the stack's secret. All bodies are JSON, except the logs, which are text. An error is an
//! [`ApiError`] with a 4xx or 5xx status.

mod decisions;
mod dora;
mod events;
mod findings;
mod orders;
mod status;

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use decisions::*;
pub use dora::*;
pub use events::*;
pub use findings::*;
pub use orders::*;
pub use status::*;

/// The file of the data folder with a running host's [`Ready`].
pub const HOST_FILE: &str = "host.json";
/// The file of the data folder with the API's token, which is also the password for Git and the registry.
pub const TOKEN_FILE: &str = "token";
/// The user name beside the token where one is needed (Git, registry); any other is taken as well.
pub const TOKEN_USER: &str = "longshore";
/// The header of a log's answer that says where to go on reading: the next `offset`, in bytes.
pub const NEXT_OFFSET: &str = "x-longshore-next-offset";
/// The header of a log's answer that says whether the log may still grow: `true` or `false`.
pub const MAY_GROW: &str = "x-longshore-may-grow";
/// The longest that `GET /api/events` waits, in milliseconds.
pub const MAX_WAIT_MS: u64 = 30_000;

/// A running host: the content of `host.json`, and the line that says it is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Where webhooks, Git, the registry and this API listen.
    pub listen: SocketAddr,
    /// Where the proxy in front of the services listens.
    pub proxy: SocketAddr,
    /// The data folder, absolute.
    pub data: PathBuf,
    /// The file with the token.
    pub token_file: PathBuf,
    /// The host's process.
    pub pid: u32,
    /// The host's version.
    pub version: String,
}

impl Ready {
    /// The base of the API's URLs, e.g. `http://127.0.0.1:7200`.
    pub fn url(&self) -> String {
        format!("http://{}", self.listen)
    }
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// A stable code, where `docs/errors.md` has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What is wrong and what to do.
    pub message: String,
}

/// The query of `GET /api/logs/build/{service}` and `GET /api/logs/service/{environment}/{service}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogQuery {
    /// The build of this commit rather than the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// This release rather than the newest one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<u64>,
    /// From this byte on.
    #[serde(default)]
    pub offset: u64,
}
