//! `alarm.raised`, `alarm.cleared`: a monitor says that something is wrong, and that it is over.

use std::collections::BTreeMap;

use super::wire;
use crate::{EnvironmentName, ServiceName, Timestamp};

wire! {
    /// A monitor says that something is wrong. Subject: `<source>/<fingerprint>`.
    pub struct AlarmRaised {
        /// Who told: `alertmanager`, `grafana`, …
        pub provider: String,
        /// What tells this alarm from others of its source: the same whenever it is raised.
        pub fingerprint: String,
        /// The name of its rule.
        pub name: String,
        /// How bad it is, as the monitor's rule says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub severity: Option<String>,
        /// The service that it is about, when its labels name one of the configuration.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub service: Option<ServiceName>,
        /// The environment that it is about, when its labels name one of the configuration.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub environment: Option<EnvironmentName>,
        /// Since when.
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        pub started_at: Timestamp,
        /// A sentence for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub summary: Option<String>,
        /// Its labels.
        #[serde(default)]
        pub labels: BTreeMap<String, String>,
        /// Where people look at it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub url: Option<String>,
    }

    /// A monitor says that it is over. Subject: as of the alarm that was raised.
    pub struct AlarmCleared {
        /// Who told: `alertmanager`, `grafana`, …
        pub provider: String,
        /// That of the alarm that was raised.
        pub fingerprint: String,
        /// The name of its rule.
        pub name: String,
        /// The service that it was about, when its labels name one of the configuration.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub service: Option<ServiceName>,
        /// The environment that it was about, when its labels name one of the configuration.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub environment: Option<EnvironmentName>,
        /// Since when it was raised; absent where the monitor does not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
        pub started_at: Option<Timestamp>,
        /// Until when.
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        pub ended_at: Timestamp,
    }
}
