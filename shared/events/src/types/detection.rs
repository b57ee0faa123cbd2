//! `detection.raised`: something was seen that a rule forbids.

use std::collections::BTreeMap;

use serde_json::Value;

use super::wire;
use crate::{ServiceName, Timestamp};

wire! {
    /// Something was seen at run time that a rule forbids. Subject: `<source>/<fingerprint>`.
    pub struct DetectionRaised {
        /// Who told: `falco`.
        pub provider: String,
        /// The same whenever the same rule sees the same container, pod or host.
        pub fingerprint: String,
        /// The rule.
        pub rule: String,
        /// How bad it is: the rule's priority, in lower case.
        pub severity: String,
        /// Where the rule looks: `syscall`, `k8s_audit`, …
        pub origin: String,
        /// When it was seen.
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        pub seen_at: Timestamp,
        /// A sentence for people.
        pub summary: String,
        /// The host that it was seen on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub host: Option<String>,
        /// The namespace of the pod that it was seen in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub namespace: Option<String>,
        /// The pod that it was seen in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub pod: Option<String>,
        /// The service that it is about, when the pod's label or the container's name is one of the configuration.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub service: Option<ServiceName>,
        /// What the rule printed, by name; numbers stay numbers.
        #[serde(default)]
        pub fields: BTreeMap<String, Value>,
        /// The rule's tags.
        #[serde(default)]
        pub tags: Vec<String>,
        /// `fields` or `tags` is not all of them, or a text in them was cut.
        #[serde(default)]
        pub truncated: bool,
    }
}
