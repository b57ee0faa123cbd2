//! The key of an effect: what it means.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an effect means, readable: `function/unit[/generation]/name`.
///
/// The same key with other arguments is an error, never silence.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Key {
    /// The function that wants it.
    pub function: String,
    /// The unit of work.
    pub unit: String,
    /// What the function counts, where one unit may want the same thing more than once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Which effect.
    pub name: String,
    /// How the outside keeps it from happening twice.
    pub kind: EffectKind,
    /// It restores (rolls back, reverts, releases), and so happens even while the switch says stop.
    #[serde(default)]
    pub restoring: bool,
}

/// How the outside keeps an effect from happening twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectKind {
    /// Converges; carries generation and step, and the outside refuses an older one.
    Set,
    /// Created under its key; "exists" is success.
    Named,
    /// Aimed at one incarnation; "gone" is success.
    Aimed,
    /// At least once; carries its key for the receiver.
    Told,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.generation {
            Some(generation) => write!(f, "{}/{}/{generation}/{}", self.function, self.unit, self.name),
            None => write!(f, "{}/{}/{}", self.function, self.unit, self.name),
        }
    }
}
