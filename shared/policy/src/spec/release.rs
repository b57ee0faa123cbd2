//! The tables of where services run: environments, their strategies and gates, waivers, people and signers.

use super::{Key, Kind, Need, Spec, key};

pub(crate) static ENVIRONMENT: Spec = Spec {
    title: "[[environment]]",
    about: "Where services run, and the policy there.",
    keys: &[
        key("name", Kind::Text, Need::Required, "Its name: a DNS label."),
        key(
            "services",
            Kind::Texts,
            Need::Texts(&["*"]),
            "The services that run there; `*` is all. One that runs nowhere is built, not deployed.",
        ),
        key("strategy", Kind::Strategy(&STRATEGY), Need::Text("rolling"), "How a release replaces another."),
        key(
            "deadline",
            Kind::Duration(1_000),
            Need::Text("60s"),
            "How long a new release has to become ready.",
        ),
        key(
            "settle",
            Kind::Duration(0),
            Need::Text("1s"),
            "How long a new release must stay ready with all the traffic before the old one goes.",
        ),
        key(
            "after",
            Kind::Text,
            Need::Optional,
            "The environment that images are promoted from: they must have run there. Without it: they come as built.",
        ),
        key(
            "soak",
            Kind::Duration(0),
            Need::Text("0s"),
            "How long an image must have run in that environment.",
        ),
        key("gate", Kind::Table(&GATE), Need::Optional, "What an image must have before it runs here."),
        key(
            "cluster",
            Kind::Table(&CLUSTER),
            Need::Optional,
            "The Kubernetes cluster where the services run. Without it: this machine.",
        ),
        key("window", Kind::Tables(&WINDOW), Need::Optional, "When rollouts may begin. Without any: always."),
        key("freeze", Kind::Tables(&FREEZE), Need::Optional, "When no rollout begins here."),
    ],
};

pub(crate) static CLUSTER: Spec = Spec {
    title: "[environment.cluster]",
    about: "The Kubernetes cluster where an environment's services run.",
    keys: &[
        key(
            "context",
            Kind::Text,
            Need::Optional,
            "The context of the kubeconfig that names it. Without it, and without `eks`: the current one.",
        ),
        key(
            "kubeconfig",
            Kind::Text,
            Need::Optional,
            "The kubeconfig. Without it: the file that KUBECONFIG names, or ~/.kube/config.",
        ),
        key(
            "eks",
            Kind::Text,
            Need::Optional,
            "The name of a cluster of EKS in the region, in place of a context.",
        ),
        key("namespace", Kind::Text, Need::Optional, "The namespace. Without it: the environment's name."),
        key(
            "registry",
            Kind::Text,
            Need::Optional,
            "Where the nodes pull images from whose name has no registry: the host's address as they reach it.",
        ),
    ],
};

pub(crate) static STRATEGY: Spec = Spec {
    title: "[environment.strategy]",
    about: "How a release replaces another, step by step.",
    keys: &[
        key(
            "kind",
            Kind::StrategyName,
            Need::Required,
            "`rolling`: at once, when it is ready. `canary`: by steps. `blue-green`: at once after a test without traffic.",
        ),
        key(
            "hold",
            Kind::Duration(0),
            Need::Optional,
            "canary: how long a step lasts that says nothing else; without it: 5m. blue-green: how long the new release \
             is tested before it gets traffic; without it: it is not.",
        ),
        key(
            "patience",
            Kind::Duration(0),
            Need::Text("10m"),
            "How long past its end a step waits for what is unknown; after that it has failed.",
        ),
        key("step", Kind::Tables(&STEP), Need::Optional, "The steps of a canary."),
        key(
            "rollback",
            Kind::Tables(&DEGREE),
            Need::Optional,
            "The degrees by which traffic goes back when what was measured takes a release back. Without any: at once.",
        ),
        key("check", Kind::Tables(&CHECK), Need::Optional, "What a release may do under traffic."),
    ],
};

pub(crate) static STEP: Spec = Spec {
    title: "[[environment.strategy.step]]",
    about: "A step of a canary.",
    keys: &[
        key("weight", Kind::Weight, Need::Required, "The new release's share of the traffic, in percent."),
        key(
            "hold",
            Kind::Duration(0),
            Need::Optional,
            "How long it lasts. Without it: the strategy's `hold`.",
        ),
        key("checks", Kind::Texts, Need::Texts(&["*"]), "What is checked meanwhile, by name; `*` is all."),
    ],
};

pub(crate) static DEGREE: Spec = Spec {
    title: "[[environment.strategy.rollback]]",
    about: "A degree by which traffic goes back to the old release.",
    keys: &[
        key(
            "weight",
            Kind::Weight,
            Need::Required,
            "The share of the traffic that the new release still has, in percent, 1 to 99.",
        ),
        key(
            "hold",
            Kind::Duration(0),
            Need::Text("30s"),
            "How long that lasts once the old release is ready for its share.",
        ),
    ],
};

pub(crate) static CHECK: Spec = Spec {
    title: "[[environment.strategy.check]]",
    about: "What a release may do under traffic.",
    keys: &[
        key("name", Kind::Text, Need::Required, "Its name: a DNS label."),
        key(
            "measure",
            Kind::Measure,
            Need::Required,
            "error_rate and saturation in percent, latency_p99 (or any other percentile) as a duration, requests; or \
             expression.",
        ),
        key(
            "expression",
            Kind::Text,
            Need::Optional,
            "For the measure `expression`: what the source of [metrics] is asked, with the variables of its queries.",
        ),
        key(
            "limit",
            Kind::Text,
            Need::Optional,
            "The most that it may be. Without it: only `increase` counts.",
        ),
        key(
            "increase",
            Kind::Text,
            Need::Optional,
            "How much more than the running release, over the same window, it may be, in percent of that. Without it: \
             only `limit` counts.",
        ),
        key(
            "tolerate",
            Kind::Text,
            Need::Optional,
            "Up to this value nothing is an increase. Without it: 0.",
        ),
        key("min_requests", Kind::Count, Need::Count(50), "With fewer requests it is unknown."),
        key(
            "on_unknown",
            Kind::Unknown,
            Need::Text("wait"),
            "What unknown does once the step is over: it waits, fails or passes.",
        ),
    ],
};

pub(crate) static GATE: Spec = Spec {
    title: "[environment.gate]",
    about: "What an image must have before it runs in the environment.",
    keys: &[
        key(
            "requires",
            Kind::Texts,
            Need::Texts(&[]),
            "`scan`: it was scanned whole, and nothing that blocks was found. `tests`: a build ran the service's `test`. \
             `approval`: people approved it. `signature`: a [[signer]] signed it.",
        ),
        key(
            "block",
            Kind::Texts,
            Need::Texts(&["critical", "high"]),
            "Findings that block, by severity: critical, high, medium, low, unknown.",
        ),
        key(
            "deadline",
            Kind::Duration(1_000),
            Need::Text("1h"),
            "How long a scan, tests or a signature that are required may be unknown before the gate closes.",
        ),
        key(
            "approvals",
            Kind::Count,
            Need::Count(1),
            "How many people must approve, where approval is required.",
        ),
        key(
            "author",
            Kind::Text,
            Need::Text("excluded"),
            "Whether who pushed the commit may be one of them: `excluded` or `counts`.",
        ),
        key("approval_valid", Kind::Duration(1_000), Need::Text("72h"), "How long a person's word counts."),
    ],
};

pub(crate) static WAIVER: Spec = Spec {
    title: "[[waiver]]",
    about: "A finding that is accepted for a while.",
    keys: &[
        key("id", Kind::Text, Need::Required, "The finding's id, such as `CVE-2026-0001`."),
        key(
            "until",
            Kind::Text,
            Need::Required,
            "The last day, in UTC, such as \"2026-12-31\"; or a moment.",
        ),
        key("why", Kind::Text, Need::Required, "Why it is accepted."),
    ],
};

pub(crate) static PERSON: Spec = Spec {
    title: "[[person]]",
    about: "Somebody who may approve images. Without any: whoever has the host's token.",
    keys: &[
        key("name", Kind::Text, Need::Required, "Their name."),
        key(
            "secret",
            Kind::Text,
            Need::Optional,
            "The name of the secret with their token, never the token itself. Without it: the person's name.",
        ),
        key(
            "logins",
            Kind::Texts,
            Need::Texts(&[]),
            "What GitHub, GitLab and others call them: who wrote a change may not be who approves it.",
        ),
        key(
            "approves",
            Kind::Texts,
            Need::Texts(&["*"]),
            "The environments where their approval counts; `*` is all.",
        ),
        key(
            "overrides",
            Kind::Texts,
            Need::Texts(&[]),
            "The environments whose windows and freezes their word overrides; `*` is all. Without it: none.",
        ),
    ],
};

pub(crate) static SIGNER: Spec = Spec {
    title: "[[signer]]",
    about: "A key whose signatures on images count, where an environment requires them.",
    keys: &[
        key("name", Kind::Text, Need::Required, "Its name, as reasons say it."),
        key(
            "key",
            Kind::Text,
            Need::Optional,
            "The public key in PEM, as `cosign public-key` prints it: ECDSA on P-256.",
        ),
        key(
            "file",
            Kind::Text,
            Need::Optional,
            "In place of `key`: the file with it, relative to this file.",
        ),
        key(
            "services",
            Kind::Texts,
            Need::Texts(&["*"]),
            "The services whose images it may sign; `*` is all of them.",
        ),
        key(
            "environments",
            Kind::Texts,
            Need::Texts(&["*"]),
            "The environments where its signatures count; `*` is all of them.",
        ),
    ],
};

pub(crate) static WINDOW: Spec = Spec {
    title: "[[environment.window]]",
    about: "Some hours of some days: rollouts begin within a window, and go on to their end.",
    keys: &[
        key("days", Kind::Texts, Need::Texts(&["*"]), "The days on which it opens: mon to sun; `*` is all."),
        key("from", Kind::Text, Need::Text("00:00"), "When it opens, on the clock of `zone`."),
        key(
            "to",
            Kind::Text,
            Need::Text("24:00"),
            "When it closes; when that is before `from`, on the next day.",
        ),
        key("zone", Kind::Text, Need::Text("UTC"), "The time zone by IANA's name, such as `Europe/Berlin`."),
    ],
};

/// The keys of a freeze, of an environment or of all.
const FREEZES: &[Key] = &[
    key(
        "from",
        Kind::Text,
        Need::Required,
        "The first day, such as \"2026-12-24\"; or a time on the clock of `zone`, such as \"2026-12-24T18:00\".",
    ),
    key("until", Kind::Text, Need::Required, "The last day, to its end; or a time."),
    key("why", Kind::Text, Need::Required, "Why nothing begins."),
    key("zone", Kind::Text, Need::Text("UTC"), "The time zone by IANA's name, such as `Europe/Berlin`."),
];

pub(crate) static FREEZE: Spec = Spec {
    title: "[[environment.freeze]]",
    about: "A span of time within which no rollout begins in the environment.",
    keys: FREEZES,
};

pub(crate) static FREEZE_OF_ALL: Spec = Spec {
    title: "[[freeze]]",
    about: "A span of time within which no rollout begins anywhere.",
    keys: FREEZES,
};
