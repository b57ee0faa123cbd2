//! `request.made`: somebody asked for something.

use super::wire;
use crate::Digest;

wire! {
    /// Somebody asked for something. Subject: the target.
    pub struct RequestMade {
        /// What was asked for.
        pub what: RequestKind,
        /// Who asked.
        pub who: String,
        /// What it is about: `<environment>/<service>` to roll back; an environment or `all` to stop and resume.
        pub target: String,
        /// The release to go back to; absent for the one before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub to: Option<Digest>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub why: Option<String>,
    }

    /// What can be asked for.
    #[serde(rename_all = "snake_case")]
    #[derive(Copy)]
    pub enum RequestKind {
        /// Go back to an older release.
        RollBack,
        /// Let no forward effect happen.
        Stop,
        /// Go on.
        Resume,
    }
}
