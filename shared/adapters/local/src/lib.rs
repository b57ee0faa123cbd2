//! One machine: the journal in SQLite, blobs and secrets in files, builds as processes of this host.
//!
//! Everything lies in the data folder of one host; a lock that the host takes keeps a second one out.

mod blobs;
pub mod builder;
pub mod journal;
mod secrets;
mod write;

pub use blobs::FileBlobs;
pub use builder::LocalBuilder;
pub use journal::SqliteJournal;
pub use secrets::FileSecrets;
