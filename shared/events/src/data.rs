//! All known types in one enum, and the means for a function to say which of them it takes.

use serde::Serialize;
use serde_json::Value;

use crate::EventError;

/// One event type at one version.
pub trait Fact: Clone + PartialEq + Serialize + serde::de::DeserializeOwned + Into<Data> {
    /// The CloudEvents `type`.
    const KIND: &'static str;

    /// This type's data, when `data` is of this type.
    fn from_data(data: &Data) -> Option<&Self>;
}

macro_rules! facts {
    ($($(#[$doc:meta])* $variant:ident = $kind:literal,)+) => {
        /// The data of an event, by its type.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum Data {
            $($(#[$doc])* $variant(crate::types::$variant),)+
        }

        impl Data {
            /// Every type this build knows.
            pub const KINDS: &'static [&'static str] = &[$($kind),+];

            /// The CloudEvents `type`.
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$variant(_) => $kind,)+ }
            }

            /// Reads the data of an event of type `kind`.
            ///
            /// # Errors
            /// [`EventError`] when the type is unknown, newer than this build, or the data does not fit it.
            pub fn parse(kind: &str, data: Value) -> Result<Self, EventError> {
                match kind {
                    $($kind => read(kind, data).map(Self::$variant),)+
                    _ => Err(unknown(kind)),
                }
            }
        }

        $(
            impl Fact for crate::types::$variant {
                const KIND: &'static str = $kind;
                fn from_data(data: &Data) -> Option<&Self> {
                    match data { Data::$variant(fact) => Some(fact), _ => None }
                }
            }
            impl From<crate::types::$variant> for Data {
                fn from(fact: crate::types::$variant) -> Self { Self::$variant(fact) }
            }
        )+

        /// Every type with the JSON Schema of its data alone.
        #[cfg(feature = "schema")]
        pub(crate) fn data_schemas() -> Vec<(&'static str, schemars::Schema)> {
            vec![$(($kind, schemars::schema_for!(crate::types::$variant))),+]
        }
    };
}

facts! {
    /// A push arrived, or was found by the ref check.
    PushReceived = "dev.longshore.push.received.v1",
    /// A change was proposed.
    ChangeOpened = "dev.longshore.change.opened.v1",
    /// A proposed change has another head or base.
    ChangeUpdated = "dev.longshore.change.updated.v1",
    /// A proposed change was merged.
    ChangeMerged = "dev.longshore.change.merged.v1",
    /// A proposed change was given up.
    ChangeClosed = "dev.longshore.change.closed.v1",
    /// Somebody else's pipeline came to its end.
    PipelineFinished = "dev.longshore.pipeline.finished.v1",
    /// A build began.
    BuildStarted = "dev.longshore.build.started.v1",
    /// A build came to its end.
    BuildFinished = "dev.longshore.build.finished.v1",
    /// An image is in a registry.
    ImagePushed = "dev.longshore.image.pushed.v1",
    /// An image or a tag was deleted from a registry.
    ImageDeleted = "dev.longshore.image.deleted.v1",
    /// A scan of an image came to its end.
    ImageScanned = "dev.longshore.image.scanned.v1",
    /// Whether an image may run in an environment.
    GateEvaluated = "dev.longshore.gate.evaluated.v1",
    /// A schedule came to one of its times.
    ScheduleFired = "dev.longshore.schedule.fired.v1",
    /// Somebody asked for something.
    RequestMade = "dev.longshore.request.made.v1",
    /// A rollout began.
    DeploymentStarted = "dev.longshore.deployment.started.v1",
    /// A rollout took a step.
    DeploymentAdvanced = "dev.longshore.deployment.advanced.v1",
    /// A rollout came to its end.
    DeploymentFinished = "dev.longshore.deployment.finished.v1",
    /// A digest was found bad, and is refused from now on.
    DigestQuarantined = "dev.longshore.digest.quarantined.v1",
    /// The quarantine of a digest was lifted.
    DigestReleased = "dev.longshore.digest.released.v1",
    /// Somebody approved an image for an environment, or rejected it.
    ApprovalGiven = "dev.longshore.approval.given.v1",
    /// The checks of a rollout's step came to an end.
    VerificationFinished = "dev.longshore.verification.finished.v1",
    /// A monitor says that something is wrong.
    AlarmRaised = "dev.longshore.alarm.raised.v1",
    /// A monitor says that it is over.
    AlarmCleared = "dev.longshore.alarm.cleared.v1",
    /// Something was seen that a rule forbids.
    DetectionRaised = "dev.longshore.detection.raised.v1",
    /// A function gave up on an event.
    EventDeadlettered = "dev.longshore.event.deadlettered.v1",
}

fn read<T: serde::de::DeserializeOwned>(kind: &str, data: Value) -> Result<T, EventError> {
    serde_json::from_value(data)
        .map_err(|error| EventError::Data { kind: kind.to_owned(), reason: error.to_string() })
}

/// A known name with a higher version number is newer; anything else is unknown.
fn unknown(kind: &str) -> EventError {
    let split = |kind: &str| {
        let (name, version) = kind.rsplit_once(".v")?;
        let digits = version.bytes().all(|b| b.is_ascii_digit());
        Some((name.to_owned(), version.parse::<u64>().ok().filter(|_| digits)?))
    };
    let newer = split(kind).is_some_and(|(name, version)| {
        Data::KINDS.iter().filter_map(|known| split(known)).any(|(known, v)| known == name && version > v)
    });
    if newer { EventError::Newer(kind.to_owned()) } else { EventError::UnknownType(kind.to_owned()) }
}

/// What a function takes: an enum over some of the event types.
pub trait Takes: Sized {
    /// The CloudEvents types taken; the routing table and the bus rules are generated from them.
    const KINDS: &'static [&'static str];

    /// The input, when `data` is of a type taken.
    fn from_data(data: &Data) -> Option<Self>;
}

/// Declares the input of a function.
///
/// ```
/// use longshore_events::{Takes, takes};
/// takes! {
///     /// What `deploy` takes.
///     pub enum Input { ImagePushed, RequestMade }
/// }
/// assert_eq!(Input::KINDS.len(), 2);
/// ```
#[macro_export]
macro_rules! takes {
    ($(#[$doc:meta])* $vis:vis enum $name:ident { $($variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        $vis enum $name { $(
            #[doc = concat!("See [`longshore_events::types::", stringify!($variant), "`].")]
            $variant($crate::types::$variant)
        ),+ }
        impl $crate::Takes for $name {
            const KINDS: &'static [&'static str] = &[$(<$crate::types::$variant as $crate::Fact>::KIND),+];
            fn from_data(data: &$crate::Data) -> Option<Self> {
                match data {
                    $($crate::Data::$variant(fact) => Some(Self::$variant(fact.clone())),)+
                    #[allow(unreachable_patterns, reason = "a function may take every type")]
                    _ => None,
                }
            }
        }
    };
}
