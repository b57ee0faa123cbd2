//! `digest.quarantined`, `digest.released`: a digest that must not run, and one that may again.

use super::wire;
use crate::{Digest, EnvironmentName, EventId, ServiceName};

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

    /// Somebody lifted the quarantine of a digest. Subject: `<environment>/<service>/<digest>`.
    pub struct DigestReleased {
        /// The digest.
        pub digest: Digest,
        /// Where.
        pub environment: EnvironmentName,
        /// For which service.
        pub service: ServiceName,
        /// The `digest.quarantined` that is lifted: a later one counts.
        pub quarantine: EventId,
        /// Who lifted it.
        pub who: String,
        /// Why it may run again.
        pub why: String,
    }
}
