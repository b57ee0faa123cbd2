//! The table of keys: every key that the configuration has, its kind, its default and what it is for. The reader, the
//! suggestions and the JSON Schema are made from it, so they cannot disagree.

mod host;
mod release;
mod source;

pub(crate) use host::{HOST, METRICS, NOTIFY, SCAN, SOURCE, TRIVY};
pub(crate) use release::{
    CHECK, DEGREE, ENVIRONMENT, FREEZE, FREEZE_OF_ALL, GATE, PERSON, SIGNER, STEP, STRATEGY, WAIVER, WINDOW,
};
pub(crate) use source::{HEALTH, MANIFESTS, READY, REPOSITORY, RUN, SERVICE};

/// A table of the configuration.
pub(crate) struct Spec {
    /// How it is written, e.g. `[[service]]`.
    pub(crate) title: &'static str,
    /// What it is, for editors.
    pub(crate) about: &'static str,
    /// Its keys.
    pub(crate) keys: &'static [Key],
}

/// A key of a table.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) need: Need,
    /// What it is for, for editors.
    pub(crate) about: &'static str,
}

/// What a key takes.
pub(crate) enum Kind {
    Text,
    Provider,
    Forge,
    /// A text, or a table.
    Strategy(&'static Spec),
    StrategyName,
    MetricsSource,
    Measure,
    Unknown,
    /// From 0 to 100.
    Weight,
    /// At least so many milliseconds.
    Duration(u64),
    /// At least so many bytes.
    Size(u64),
    /// From 1 to 1000.
    Count,
    Texts,
    /// A list of words, or one line for the shell.
    Command,
    /// `true`, or globs.
    TrueOrGlobs,
    /// A table of texts.
    Map,
    /// A path, or a table.
    Probe(&'static Spec),
    Table(&'static Spec),
    Tables(&'static Spec),
}

/// What happens when a key is not there.
pub(crate) enum Need {
    /// That is a fault.
    Required,
    /// It is as if this were written.
    Text(&'static str),
    Count(u32),
    Texts(&'static [&'static str]),
    /// The description says what happens.
    Optional,
}

impl Spec {
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.keys.iter().map(|key| key.name)
    }
}

impl Kind {
    /// What to write, for messages.
    pub(crate) fn wanted(&self) -> &'static str {
        match self {
            Self::Text
            | Self::Provider
            | Self::Forge
            | Self::StrategyName
            | Self::MetricsSource
            | Self::Measure
            | Self::Unknown => "a text in quotes",
            Self::Strategy(_) => "\"rolling\", or a table with `kind`",
            Self::Weight => "a whole number from 0 to 100 without quotes",
            Self::Duration(_) => "a duration in quotes, such as \"10s\"",
            Self::Size(_) => "a size in quotes, such as \"25MiB\"",
            Self::Count => "a whole number without quotes",
            Self::Texts => "a list of texts, such as [\"a\", \"b\"]",
            Self::Command => {
                "a list of words, such as [\"npm\", \"ci\"], or one line for the shell in quotes"
            }
            Self::TrueOrGlobs => "true, or a list of globs, such as [\"migrations/**\"]",
            Self::Map => "a table of texts, such as { KEY = \"value\" }",
            Self::Probe(_) => "a path in quotes, such as \"/healthz\", or a table",
            Self::Table(_) => "a table",
            Self::Tables(_) => "a list of tables, each under its own heading in two pairs of brackets",
        }
    }
}

const fn key(name: &'static str, kind: Kind, need: Need, about: &'static str) -> Key {
    Key { name, kind, need, about }
}

/// The whole file.
pub(crate) static ROOT: Spec = Spec {
    title: "the file",
    about: "Longshore's configuration.",
    keys: &[
        key("host", Kind::Table(&HOST), Need::Optional, "The one-machine host, `longshore up`."),
        key("scan", Kind::Table(&SCAN), Need::Optional, "How images are looked into."),
        key(
            "metrics",
            Kind::Table(&METRICS),
            Need::Optional,
            "Who is asked what releases do under traffic, for the checks of strategies.",
        ),
        key("notify", Kind::Table(&NOTIFY), Need::Optional, "Who is told of failures."),
        key("source", Kind::Tables(&SOURCE), Need::Optional, "Where webhooks come from."),
        key("repository", Kind::Tables(&REPOSITORY), Need::Optional, "The Git repositories."),
        key(
            "service",
            Kind::Tables(&SERVICE),
            Need::Optional,
            "The services: what is built and run. At least one.",
        ),
        key(
            "environment",
            Kind::Tables(&ENVIRONMENT),
            Need::Optional,
            "Where services run. Without any: one named `local`, with all services.",
        ),
        key(
            "freeze",
            Kind::Tables(&FREEZE_OF_ALL),
            Need::Optional,
            "When no rollout begins in any environment.",
        ),
        key("waiver", Kind::Tables(&WAIVER), Need::Optional, "Findings that are accepted for a while."),
        key(
            "person",
            Kind::Tables(&PERSON),
            Need::Optional,
            "Who may approve. Without any: whoever has the host's token.",
        ),
        key(
            "signer",
            Kind::Tables(&SIGNER),
            Need::Optional,
            "Keys whose signatures count, where an environment requires them.",
        ),
    ],
};

/// Every table, the file itself first.
pub(crate) const ALL: [&Spec; 25] = [
    &ROOT,
    &HOST,
    &SCAN,
    &TRIVY,
    &METRICS,
    &NOTIFY,
    &SOURCE,
    &REPOSITORY,
    &SERVICE,
    &MANIFESTS,
    &RUN,
    &READY,
    &HEALTH,
    &ENVIRONMENT,
    &GATE,
    &WAIVER,
    &PERSON,
    &SIGNER,
    &WINDOW,
    &FREEZE,
    &FREEZE_OF_ALL,
    &STRATEGY,
    &STEP,
    &DEGREE,
    &CHECK,
];
