//! A real Kubernetes cluster for tests: its control plane, and one node with containerd and runc, or many of kwok's.
//!
//! It lives in network, mount and process namespaces of its own, and ends with them: nothing is installed, nothing else
//! on the machine is touched, and clusters do not meet each other. A pair of virtual links joins it to the machine.
//! What it cannot do: policies of networks are taken and not enforced, and it has no name service.
#![allow(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]
#![allow(clippy::print_stderr, reason = "so does what they have to say")]

mod api;
mod archive;
mod cgroup;
mod cluster;
mod component;
mod control;
mod kubectl;
mod kwok;
mod link;
mod machine;
mod metrics;
mod node;
mod pki;
mod programs;
mod proxy;
mod registry;
mod space;

pub use archive::Image;
pub use cluster::Cluster;
pub use proxy::{Asked, Fault, FaultProxy};
