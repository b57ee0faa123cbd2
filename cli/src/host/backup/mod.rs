//! A data folder in one file: `longshore backup` writes it, also while a host runs, and `longshore restore` reads it.
//!
//! A tar in zstd, with checksums: first what is in it, then the journal as it was at one moment, then what the journal
//! refers to. All of that is only ever added to, so that what is read after the journal has everything that it names.
//! What can be made again (builds, unpacked images, where the host listens) is left out; secrets are, unless asked for.

mod read;
mod write;

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use read::restore;
pub use write::backup;

/// The form of the file.
const FORMAT: u32 = 1;
/// The first entry: [`Backup`] as JSON.
const CONTENTS: &str = "backup.json";
/// The journal, in the backup as in the data folder.
const JOURNAL: &str = "journal.sqlite";
/// What else is kept, in the order in which it is read: what refers comes before what is referred to.
const PARTS: &[&str] = &["git", "registry", "blobs"];
/// What is kept when it is asked for.
const SECRETS: &[&str] = &["secrets", "token"];

/// What `longshore backup` is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupOptions {
    /// The data folder.
    pub data: PathBuf,
    /// The file to write.
    pub file: PathBuf,
    /// Put the secrets in.
    pub with_secrets: bool,
    /// Overwrite a file that is there.
    pub force: bool,
}

/// What `longshore restore` is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreOptions {
    /// The data folder, new or empty.
    pub data: PathBuf,
    /// The file to read.
    pub file: PathBuf,
}

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    format: u32,
    /// The version that wrote it.
    pub version: String,
    /// When it was written.
    pub at: Timestamp,
    /// How many events are in the journal.
    pub events: u64,
    /// The time of the newest event.
    pub newest: Option<Timestamp>,
    /// The secrets are in it.
    pub secrets: bool,
}
