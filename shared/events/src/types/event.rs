//! `event.deadlettered`: a function gave up on an event.

use super::wire;
use crate::EventId;

wire! {
    /// A function gave up on an event. Subject: the function's name.
    pub struct EventDeadlettered {
        /// The event that was given up; absent for work that no single event asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub original: Option<EventId>,
        /// Who gave up.
        pub function: String,
        /// The unit of work, when there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub unit: Option<String>,
        /// The last error.
        pub error: String,
        /// How often it was tried.
        pub attempts: u32,
    }
}
