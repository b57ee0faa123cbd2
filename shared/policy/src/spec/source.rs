//! The tables of what is built and run: repositories and services.

use super::{Kind, Need, Spec, key};

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
        key(
            "no_rollback_past",
            Kind::TrueOrGlobs,
            Need::Optional,
            "Globs of what cannot be taken back, such as migrations of a schema: nothing goes back past a release that \
             changes any of it. true: past no release. Without it: to any.",
        ),
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
