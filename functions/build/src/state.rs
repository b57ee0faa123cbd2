//! What `build` remembers of a service at a commit. Stored: samples of every release load for ever.

use jiff::Timestamp;
use longshore_events::{Link, types::ImagePushed};
use serde::{Deserialize, Serialize};

/// The state of one unit.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct State {
    /// Where it stands.
    #[serde(default)]
    pub stage: Stage,
    /// The push that it stands for.
    #[serde(default)]
    pub push: Option<Push>,
    /// The image that was made.
    #[serde(default)]
    pub built: Option<ImagePushed>,
}

/// Where a build stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Not begun: the commit is not, or not yet, known to be the tip.
    #[default]
    Waiting,
    /// Begun.
    Building,
    /// Not the tip when it was asked. The branch may come back to it unheard, so it is watched for a while.
    Superseded,
    /// At its end, whichever.
    Ended,
}

/// What matters of a push.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Push {
    /// When it was heard of.
    pub told_at: Timestamp,
    /// It was forced: the branch may have gone back to an older commit.
    pub forced: bool,
    /// Who pushed it, where somebody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The link of what follows from it.
    pub link: Link,
}
