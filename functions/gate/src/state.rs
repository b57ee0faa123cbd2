//! What `gate` remembers of an image in an environment. Stored: samples of every release load for ever.

use jiff::Timestamp;
use longshore_events::{
    CommitId, EventId, Link,
    types::{ApprovalDecision, ImagePushed, Verdict, WindowOverride},
};
use longshore_ports::Claim;
use serde::{Deserialize, Serialize};

/// Images of one digest that are remembered: what may have to run once the verdict is good.
const HEARD: usize = 20;

/// People whose words are remembered.
const WORDS: usize = 50;

/// The state of one unit.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct State {
    /// The images of this digest that were heard of, each for its commit, the newest last.
    #[serde(default)]
    pub heard: Vec<Heard>,
    /// The build that tested it, when one did.
    #[serde(default)]
    pub tested: Option<Tested>,
    /// How it came to run in the environment before, when it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven: Option<Proven>,
    /// What people said of it, each person once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<Word>,
    /// People approved it in time: the verdict was good with their words. One that rejects it takes that back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approved: bool,
    /// The signature that counts, where one is required and was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Claim>,
    /// Since when something that machines must say is unknown.
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

/// A deployment that ended well in the environment before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proven {
    /// Its generation there.
    pub generation: u64,
    /// When it ended.
    pub at: Timestamp,
    /// The event that told of it.
    pub event: EventId,
}

/// A person's word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// Who gave it.
    pub who: String,
    /// What they said.
    pub decision: ApprovalDecision,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When.
    pub at: Timestamp,
    /// Until when it counts, where they said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// It overrides the environment's windows and freezes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overrides: bool,
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
    /// The word that overrides the calendar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_window: Option<WindowOverride>,
}

impl State {
    /// Remembers a deployment; of two the newer one counts. True when this one does.
    pub(crate) fn prove(&mut self, proven: Proven) -> bool {
        let newer = self.proven.as_ref().is_none_or(|known| known.generation < proven.generation);
        if newer {
            self.proven = Some(proven);
        }
        newer
    }

    /// Remembers a word; a person's last one counts, whatever the order in which they come.
    pub(crate) fn note(&mut self, word: Word) {
        if self.words.iter().any(|known| known.who == word.who && known.at > word.at) {
            return;
        }
        self.words.retain(|known| known.who != word.who);
        self.words.push(word);
        let surplus = self.words.len().saturating_sub(WORDS);
        self.words.drain(..surplus);
    }

    /// Remembers an image; one of the same commit takes the place of the one before.
    pub(crate) fn hear(&mut self, heard: Heard) {
        self.heard.retain(|known| known.image.commit != heard.image.commit);
        self.heard.push(heard);
        let surplus = self.heard.len().saturating_sub(HEARD);
        self.heard.drain(..surplus);
    }
}
