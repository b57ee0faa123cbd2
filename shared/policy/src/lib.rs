//! Configuration text → checked policy, every fault with its place.
//!
//! [`check`] reads the text raw, then checks all of it: whoever gets a [`Policy`] need not check again, and whoever gets
//! [`Fault`]s gets all of them at once. One table of keys (`spec`) drives the reader, its defaults, its suggestions,
//! and the JSON Schema for editors.
//!
//! ```
//! let text = "[[service]]\nname = \"shop\"\nimage = \"docker.io/library/nginx\"\n[[enviroment]]\nname = \"live\"\n";
//! let faults = longshore_policy::check(text, "longshore.toml").unwrap_err();
//! assert_eq!(
//!     faults[0].to_string(),
//!     "longshore.toml:4:3: error[LS0102]: unknown key `enviroment` in the file; did you mean `environment`?"
//! );
//! ```

mod calendar;
mod check;
mod cluster;
mod fault;
mod gates;
mod init;
mod keys;
mod manifests;
mod metrics;
mod policy;
mod read;
mod rules;
mod scan;
mod schema;
mod signed;
mod signers;
mod spec;
mod steps;
mod strategy;
mod suggest;
mod target;
mod units;
mod url;
mod watch;

pub use calendar::{Calendar, Closed, Freeze, Window};
pub use check::{check, check_bytes, check_file};
pub use cluster::{Cluster, ClusterAccess};
pub use fault::{Code, Fault};
pub use init::{Found, FoundDockerfile, FoundLanguage, Language, init};
pub use keys::SigningKey;
pub use manifests::{MAX_MANIFESTS, Manifests};
pub use metrics::{CloudWatchSource, MetricsSource, PrometheusSource};
pub use policy::{
    ApprovalPolicy, Environment, Forge, ForgeKind, GatePolicy, Host, Notify, Person, Policy, Probe,
    Promotion, Provider, Repository, Run, SETTLE_MS, Service, ServiceSource, Signer, Source, Waiver,
};
pub use scan::{Scan, Trivy};
pub use schema::schema;
pub use signed::image_of_tag;
pub use strategy::{Check, Degree, Increase, OnUnknown, Plan, Step, Strategy};
pub use watch::Watch;

/// The annotated sample configuration, `samplconfig.toml`: every key with its default.
pub const SAMPLE: &str = include_str!("../../../samplconfig.toml");
