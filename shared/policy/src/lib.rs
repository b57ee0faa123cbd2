//! Configuration text → checked policy, every fault with its place.

mod policy;

pub use policy::{
    Environment, Host, Policy, Probe, Provider, Repository, Run, Service, ServiceSource, Source, Strategy,
};
