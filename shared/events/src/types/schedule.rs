//! `schedule.fired`: the time has come.

use super::wire;
use crate::Timestamp;

wire! {
    /// A schedule came to one of its times. Subject: its name.
    pub struct ScheduleFired {
        /// Its name.
        pub name: String,
        /// The time that it was due at.
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        pub planned_at: Timestamp,
    }
}
