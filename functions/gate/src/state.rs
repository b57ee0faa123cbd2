//! What `gate` remembers of an image in an environment. Stored: samples of every release load for ever.

use jiff::Timestamp;
use longshore_events::{
    CommitId, EventId, Link,
    types::{ImagePushed, Verdict},
};
use serde::{Deserialize, Serialize};

/// Images of one digest that are remembered: what may have to run once the verdict is good.
const HEARD: usize = 20;

/// The state of one unit.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct State {
    /// The images of this digest that were heard of, each for its commit, the newest last.
    #[serde(default)]
    pub heard: Vec<Heard>,
    /// The build that tested it, when one did.
    #[serde(default)]
    pub tested: Option<Tested>,
    /// Since when the verdict is unknown.
    #[serde(default)]
    pub unknown_since: Option<Timestamp>,
    /// What was said last.
    #[serde(default)]
    pub said: Option<Said>,
}

/// An image that was heard of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heard {
    /// The image.
    pub image: ImagePushed,
    /// The event that told of it.
    pub event: EventId,
    /// The link of what is said about it.
    pub link: Link,
}

/// A build whose tests passed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tested {
    /// The commit that was built.
    pub commit: CommitId,
    /// The event that told of it.
    pub event: EventId,
}

/// What was said last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// The verdict.
    pub verdict: Verdict,
    /// Its reasons.
    pub reasons: Vec<String>,
}

impl State {
    /// Remembers an image; one of the same commit takes the place of the one before.
    pub(crate) fn hear(&mut self, heard: Heard) {
        self.heard.retain(|known| known.image.commit != heard.image.commit);
        self.heard.push(heard);
        let surplus = self.heard.len().saturating_sub(HEARD);
        self.heard.drain(..surplus);
    }
}
