//! Git as the REST APIs of GitHub and GitLab know it, for who has no git command, or no copy of the repository.
//!
//! [`ForgeGit`] is the port [`Git`](longshore_ports::Git) over repositories whose configuration names a forge; what has
//! none is asked of another adapter. [`ForgeStatus`] shows statuses there. Nothing is kept between two questions but connections.
//!
//! Sources: GitHub's "REST API endpoints for commits", "for branches", "for Git references", "for Git trees", and "Best practices for
//! using the REST API"; GitLab's "Repositories API", "Branches API", "Tags API" and "REST API".

mod api;
mod error;
mod git;
mod github;
mod gitlab;
mod page;
mod status;
#[cfg(feature = "testing")]
pub mod testing;
mod trees;

pub use error::ForgeError;
pub use git::ForgeGit;
pub use status::ForgeStatus;
