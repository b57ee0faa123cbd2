//! `digest.quarantined`: a digest that must not run.

use super::wire;
use crate::{Digest, EnvironmentName, ServiceName};

wire! {
    /// A digest was found bad for a service in an environment. Subject: `<environment>/<service>/<digest>`.
    pub struct DigestQuarantined {
        /// The bad digest.
        pub digest: Digest,
        /// Where.
        pub environment: EnvironmentName,
        /// For which service.
        pub service: ServiceName,
        /// What was seen.
        pub reason: String,
    }
}
