//! Kubernetes: the workloads of releases on clusters.
//!
//! The manifests that a release was built with are applied by server-side apply, under the field manager `longshore`, never by force.
//! Longshore owns the image of the service's containers, its own labels and annotations, and, while two releases run, who gets the
//! traffic; everything else is as the manifests have it, or belongs to whoever else manages it.
//!
//! What shall be next is decided in pure code (`shape.rs`) from the wish, the manifests and what stands; it is written object by
//! object, each refused by the outside when a newer wish wrote it (`write.rs`). How things stand is read from the objects
//! (`standing.rs`), and where they stand badly from their pods (`trouble.rs`).

mod api;
mod connect;
mod dress;
mod error;
mod kinds;
mod look;
mod manifest;
mod mark;
mod object;
#[cfg(test)]
mod orders;
mod place;
mod running;
mod shape;
mod standing;
#[cfg(feature = "testing")]
pub mod testing;
mod traffic;
mod trouble;
mod workloads;
mod write;

pub use connect::{Connection, connect};
pub use error::KubeError;
pub use place::{OwnRegistry, Place};
pub use workloads::KubeWorkloads;
