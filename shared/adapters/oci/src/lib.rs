//! OCI images on one machine and in registries: layers, a packer, a registry's client and a registry's server.
//!
//! - [`layer`] writes reproducible layers and unpacks hostile ones safely.
//! - [`packer`] turns a Dockerfile without `RUN` into an image, without a daemon.
//! - [`client`] pushes to and pulls from any registry, streaming.
//! - `checks` (feature `server`) looks into the images of the host's own registry for what must not run.
//! - `trivy` (feature `server`) has Trivy do that.
//! - `server` (feature `server`) is the host's own registry, an axum router over blobs on disk.
//!
//! Nothing here holds a layer in memory, and nothing is visible under a digest before its content matched it.

#[cfg(feature = "server")]
pub mod checks;
pub mod client;
#[cfg(feature = "server")]
mod desk;
mod digest;
pub mod image;
pub mod layer;
mod names;
pub mod packer;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod trivy;
#[cfg(all(test, feature = "server"))]
mod yard;

pub use names::{InvalidReference, Reference, Repository};
