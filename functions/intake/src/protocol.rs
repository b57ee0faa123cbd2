//! The table of providers: how each proves who it is, how much it has reason to send, and who translates it.

use longshore_policy::Provider;

use crate::hear::{Heard, Hearing};
use crate::verify::{Mac, Proof};
use crate::{
    Refusal, alerts, aws, bitbucket, cloudevents, cloudwatch, falco, gitea, github, gitlab, hubs, oci,
};

/// What a provider speaks.
pub(crate) struct Protocol {
    pub(crate) proof: Proof,
    /// The largest body that is looked at, in bytes, if the configuration allows as much. A body of what is not a
    /// push costs several times its size in memory.
    pub(crate) max_body: usize,
    pub(crate) translate: Translate,
}

type Translate = fn(&Hearing<'_>, &[u8]) -> Result<Heard, Refusal>;

const GITHUB: Mac = Mac { headers: &["X-Hub-Signature-256"], prefix: "sha256=" };
const BITBUCKET: Mac = Mac { headers: &["X-Hub-Signature"], prefix: "sha256=" };
const GITEA: Mac = Mac { headers: &["X-Gitea-Signature"], prefix: "" };
const FORGEJO: Mac = Mac { headers: &["X-Forgejo-Signature", "X-Gitea-Signature"], prefix: "" };
const GRAFANA: Mac = Mac { headers: &["X-Grafana-Alerting-Signature"], prefix: "" };

/// As much as the configuration allows.
const ALL: usize = usize::MAX;
/// Thousands of alerts, or of a registry's events.
const LISTS: usize = 4 << 20;
/// A notice of EventBridge, which may have 1 MiB, or as much in a list.
const NOTICES: usize = 1 << 20;
/// One message.
const MESSAGE: usize = 256 << 10;

/// What `provider` speaks.
pub(crate) fn of(provider: Provider) -> Protocol {
    let (proof, max_body, translate): (Proof, usize, Translate) = match provider {
        Provider::Github => (Proof::Mac(GITHUB), ALL, github::translate),
        Provider::Gitlab => (Proof::Gitlab, ALL, gitlab::translate),
        Provider::Bitbucket => (Proof::Mac(BITBUCKET), ALL, bitbucket::translate),
        Provider::Gitea => (Proof::Mac(GITEA), ALL, gitea::translate),
        Provider::Forgejo => (Proof::Mac(FORGEJO), ALL, gitea::translate),
        Provider::Oci => (Proof::Token(None), LISTS, oci::translate),
        Provider::DockerHub => (Proof::Token(None), MESSAGE, hubs::docker_hub),
        Provider::Quay => (Proof::Token(None), MESSAGE, hubs::quay),
        Provider::Alertmanager => (Proof::Token(None), LISTS, alerts::translate),
        Provider::Grafana => (Proof::Token(Some(GRAFANA)), LISTS, alerts::translate),
        Provider::Falco => (Proof::Token(None), MESSAGE, falco::translate),
        Provider::CloudWatch => (Proof::Token(None), MESSAGE, cloudwatch::translate),
        Provider::Aws => (Proof::Token(None), NOTICES, aws::translate),
        Provider::CloudEvents => (Proof::Standard, ALL, cloudevents::translate),
    };
    Protocol { proof, max_body, translate }
}
