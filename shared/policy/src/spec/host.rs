//! The tables of the host, of what it asks, and of who sends it webhooks.

use super::{Kind, Need, Spec, key};

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
            "scanner",
            Kind::Text,
            Need::Text("built-in"),
            "What looks on one machine: `built-in`, the host's own rules, or `trivy`. On AWS it is ECR or Inspector.",
        ),
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
        key(
            "again",
            Kind::Duration(1_000),
            Need::Optional,
            "After how long an image that runs is looked at again, by newer advisories. Without it: 24h where there are \
             advisories or Trivy, else never.",
        ),
        key("trivy", Kind::Table(&TRIVY), Need::Optional, "How Trivy is asked, where it is the scanner."),
    ],
};

pub(crate) static TRIVY: Spec = Spec {
    title: "[scan.trivy]",
    about: "How Trivy is asked, where it is the scanner.",
    keys: &[
        key("program", Kind::Text, Need::Text("trivy"), "Its program: a path, or a name on the host's PATH."),
        key(
            "cache",
            Kind::Text,
            Need::Optional,
            "The folder with a database that is used as it is, relative to this file. Without it: Trivy's own folder, and it \
             fetches a newer database when there is one.",
        ),
        key(
            "server",
            Kind::Text,
            Need::Optional,
            "The address of a Trivy server that has the database. Without it: Trivy looks by itself.",
        ),
        key(
            "token",
            Kind::Text,
            Need::Optional,
            "The name of the secret with the server's token. Without it: none is sent.",
        ),
        key(
            "max_age",
            Kind::Duration(60_000),
            Need::Text("168h"),
            "How old advisories may be: by older ones no image is clean.",
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
