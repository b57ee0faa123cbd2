//! The table of keys: every key that the configuration has, its kind, its default and what it is for. The reader, the
//! suggestions and the JSON Schema are made from it, so they cannot disagree.

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
        key("waiver", Kind::Tables(&WAIVER), Need::Optional, "Findings that are accepted for a while."),
        key(
            "person",
            Kind::Tables(&PERSON),
            Need::Optional,
            "Who may approve. Without any: whoever has the host's token.",
        ),
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

pub(crate) static GATE: Spec = Spec {
    title: "[environment.gate]",
    about: "What an image must have before it runs in the environment.",
    keys: &[
        key(
            "requires",
            Kind::Texts,
            Need::Texts(&[]),
            "`scan`: it was scanned whole, and nothing that blocks was found. `tests`: a build ran the service's `test`. \
             `approval`: people approved it.",
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
            "How long a scan or tests that are required may be unknown before the gate closes.",
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
        key("approval_valid", Kind::Duration(1_000), Need::Text("72h"), "How long an approval counts."),
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
    ],
};

pub(crate) static HOST: Spec = Spec {
    title: "[host]",
    about: "The one-machine host, `longshore up`.",
    keys: &[
        key(
            "listen",
            Kind::Text,
            Need::Text("127.0.0.1:7070"),
            "Address of webhooks, Git, registry and API. Port 0: a free one.",
        ),
        key(
            "proxy",
            Kind::Text,
            Need::Text("127.0.0.1:7080"),
            "Address of the proxy in front of the services. Port 0: a free one.",
        ),
        key(
            "data",
            Kind::Text,
            Need::Text(".longshore"),
            "The folder for everything that the host keeps, relative to this file.",
        ),
        key("max_body", Kind::Size(1 << 10), Need::Text("25MiB"), "The largest webhook body that is taken."),
        key(
            "ref_check",
            Kind::Duration(1_000),
            Need::Text("60s"),
            "How often the host looks for pushes whose webhook never came.",
        ),
    ],
};

pub(crate) static SCAN: Spec = Spec {
    title: "[scan]",
    about: "How images are looked into.",
    keys: &[
        key(
            "advisories",
            Kind::Text,
            Need::Optional,
            "A folder of advisories in OSV's JSON, relative to this file, for the host's own scanner. Without it: \
             vulnerabilities are not looked for.",
        ),
        key(
            "timeout",
            Kind::Duration(1_000),
            Need::Text("15m"),
            "How long a scan may take; one that takes longer has failed, and is never clean.",
        ),
    ],
};

pub(crate) static METRICS: Spec = Spec {
    title: "[metrics]",
    about: "Who is asked what releases do under traffic.",
    keys: &[
        key(
            "source",
            Kind::MetricsSource,
            Need::Optional,
            "`host`: the proxy of the process runner. `prometheus`. `cloudwatch`. Without it: host.",
        ),
        key("url", Kind::Text, Need::Optional, "The address of Prometheus."),
        key(
            "token",
            Kind::Text,
            Need::Optional,
            "The name of the secret with its token, never the token itself. Without it: no token is sent.",
        ),
        key(
            "requests",
            Kind::Text,
            Need::Text(
                "sum(increase(http_requests_total{environment=\"$environment\",service=\"$service\",digest=\"$digest\"}[$window]))",
            ),
            "PromQL: how many requests a release got in the window.",
        ),
        key(
            "errors",
            Kind::Text,
            Need::Text(
                "sum(increase(http_requests_total{environment=\"$environment\",service=\"$service\",digest=\"$digest\",code=~\"5..\"}[$window]))",
            ),
            "PromQL: how many of them failed.",
        ),
        key(
            "latency",
            Kind::Text,
            Need::Text(
                "histogram_quantile($quantile, sum by (le) (increase(http_request_duration_seconds_bucket{environment=\"$environment\",service=\"$service\",digest=\"$digest\"}[$window])))",
            ),
            "PromQL: how long they took at a quantile, in seconds.",
        ),
        key(
            "saturation",
            Kind::Text,
            Need::Optional,
            "PromQL: how much of what it may use a release uses, in percent. Without it: that cannot be checked.",
        ),
        key(
            "namespace",
            Kind::Text,
            Need::Text("Longshore"),
            "The namespace of CloudWatch's metrics Requests, Errors, Latency (ms) and Saturation (%), with the dimensions \
             Environment, Service and Digest.",
        ),
    ],
};

pub(crate) static NOTIFY: Spec = Spec {
    title: "[notify]",
    about: "Who is told of rollouts that failed, and of dead letters.",
    keys: &[
        key(
            "webhook",
            Kind::Text,
            Need::Optional,
            "The name of the secret with the address of a webhook, which gets JSON: key, title, text.",
        ),
        key(
            "slack",
            Kind::Text,
            Need::Optional,
            "The name of the secret with the address of an incoming webhook of Slack, or of what takes the same.",
        ),
    ],
};

pub(crate) static SOURCE: Spec = Spec {
    title: "[[source]]",
    about: "Where webhooks come from.",
    keys: &[
        key("name", Kind::Text, Need::Required, "Its name: webhooks go to /hooks/NAME."),
        key("provider", Kind::Provider, Need::Required, "What it speaks."),
        key(
            "secret",
            Kind::Text,
            Need::Optional,
            "The name of the secret that its webhooks are verified with, never the secret itself. Without it: the \
             source's name.",
        ),
    ],
};

pub(crate) static REPOSITORY: Spec = Spec {
    title: "[[repository]]",
    about: "A Git repository.",
    keys: &[
        key("name", Kind::Text, Need::Required, "Its name, as webhooks say it, such as `acme/shop`."),
        key(
            "url",
            Kind::Text,
            Need::Optional,
            "Where to clone it from, without credentials. Without it: the host keeps the repository, and takes pushes.",
        ),
        key("branch", Kind::Text, Need::Text("main"), "The branch whose tip runs."),
        key(
            "forge",
            Kind::Forge,
            Need::Optional,
            "Where it lies: its API is asked for refs and comparisons. Without it: the git command is.",
        ),
        key(
            "api",
            Kind::Text,
            Need::Optional,
            "The address of the forge's API. Without it: that of the public github.com or gitlab.com.",
        ),
        key(
            "token",
            Kind::Text,
            Need::Optional,
            "The name of the secret with the token for the API, never the token itself. Without it: no token is sent.",
        ),
    ],
};

pub(crate) static SERVICE: Spec = Spec {
    title: "[[service]]",
    about: "A deployable thing: where its source lives, how its image is built, how it runs.",
    keys: &[
        key("name", Kind::Text, Need::Required, "Its name: a DNS label, part of its host name."),
        key(
            "repository",
            Kind::Text,
            Need::Optional,
            "The repository its source lives in. Without it: its image comes from outside.",
        ),
        key(
            "path",
            Kind::Text,
            Need::Text(""),
            "The folder that is built, relative to the repository's root.",
        ),
        key(
            "watch",
            Kind::Texts,
            Need::Texts(&[]),
            "Only pushes that touch one of these globs build it; relative to the repository's root. Empty: every push.",
        ),
        key(
            "prepare",
            Kind::Command,
            Need::Optional,
            "Run in `path` of a clean checkout, before the image is packed.",
        ),
        key("test", Kind::Command, Need::Optional, "Run after `prepare`; when it fails, so does the build."),
        key("dockerfile", Kind::Text, Need::Text("Dockerfile"), "The Dockerfile, relative to `path`."),
        key("args", Kind::Map, Need::Optional, "Build arguments, for the Dockerfile's ARG."),
        key(
            "secrets",
            Kind::Texts,
            Need::Texts(&[]),
            "Secrets that the Dockerfile mounts with RUN --mount=type=secret,id=NAME; no layer holds them.",
        ),
        key(
            "manifests",
            Kind::Table(&MANIFESTS),
            Need::Optional,
            "The Kubernetes manifests that are rendered with each build, and kept with its image. Without it: none.",
        ),
        key("timeout", Kind::Duration(1_000), Need::Text("10m"), "How long the whole build may take."),
        key(
            "image",
            Kind::Text,
            Need::Optional,
            "Where its image lies, without tag. Without it: the service's name.",
        ),
        key("tag", Kind::Text, Need::Text("latest"), "The tag that is followed, for an image from outside."),
        key("run", Kind::Table(&RUN), Need::Optional, "How it runs."),
    ],
};

pub(crate) static MANIFESTS: Spec = Spec {
    title: "[service.manifests]",
    about: "The Kubernetes manifests of a service: one of `helm`, `kustomize` and `files`. Paths are relative to the \
            repository's root.",
    keys: &[
        key("helm", Kind::Text, Need::Optional, "The folder of a chart, rendered by `helm template`."),
        key(
            "values",
            Kind::Texts,
            Need::Texts(&[]),
            "Files of values for the chart; the last one counts most.",
        ),
        key(
            "kustomize",
            Kind::Text,
            Need::Optional,
            "The folder of a kustomization, rendered by `kustomize build`.",
        ),
        key(
            "files",
            Kind::Texts,
            Need::Optional,
            "Files, and folders with .yaml, .yml and .json files, that are taken as they are.",
        ),
    ],
};

pub(crate) static RUN: Spec = Spec {
    title: "[service.run]",
    about: "How a service runs.",
    keys: &[
        key(
            "env",
            Kind::Map,
            Need::Optional,
            "Environment variables, over those of the image. PORT is always given.",
        ),
        key("args", Kind::Texts, Need::Optional, "Arguments in place of the image's CMD."),
        key(
            "ready",
            Kind::Probe(&READY),
            Need::Optional,
            "When it may get traffic. Without it: when it takes connections.",
        ),
        key(
            "health",
            Kind::Probe(&HEALTH),
            Need::Optional,
            "When it must be restarted. Without it: when it exits.",
        ),
        key(
            "drain",
            Kind::Duration(0),
            Need::Text("10s"),
            "How long open requests may go on once it gets no new ones.",
        ),
        key("stop", Kind::Duration(0), Need::Text("10s"), "From SIGTERM to SIGKILL."),
    ],
};

const PROBE_PATH: &str = "A path that answers 200 to 399. Without it: a connection is enough.";
const PROBE_TIMEOUT: &str = "How long an answer may take.";
const PROBE_FAILURES: &str = "How many must fail in a row.";

pub(crate) static READY: Spec = Spec {
    title: "[service.run.ready]",
    about: "When a service may get traffic.",
    keys: &[
        key("path", Kind::Text, Need::Optional, PROBE_PATH),
        key("interval", Kind::Duration(10), Need::Text("100ms"), "Between two probes."),
        key("timeout", Kind::Duration(1), Need::Text("1s"), PROBE_TIMEOUT),
        key("failures", Kind::Count, Need::Count(3), PROBE_FAILURES),
    ],
};

pub(crate) static HEALTH: Spec = Spec {
    title: "[service.run.health]",
    about: "When a service must be restarted.",
    keys: &[
        key("path", Kind::Text, Need::Optional, PROBE_PATH),
        key("interval", Kind::Duration(10), Need::Text("10s"), "Between two probes."),
        key("timeout", Kind::Duration(1), Need::Text("1s"), PROBE_TIMEOUT),
        key("failures", Kind::Count, Need::Count(3), PROBE_FAILURES),
    ],
};

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

/// Every table, the file itself first.
pub(crate) const ALL: [&Spec; 19] = [
    &ROOT,
    &HOST,
    &SCAN,
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
    &STRATEGY,
    &STEP,
    &CHECK,
];
