//! The Kubernetes cluster where an environment's services run.

use longshore_events::EnvironmentName;

use crate::fault::{Code, Wrong};
use crate::policy::Service;
use crate::read::Keys;
use crate::rules;
use crate::suggest::quoted;

/// A namespace of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Which cluster.
    pub access: ClusterAccess,
    /// The namespace.
    pub namespace: String,
    /// Where its nodes pull images from whose name has no registry: `host:port`.
    pub registry: Option<String>,
}

/// The way to a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterAccess {
    /// By a kubeconfig.
    Kubeconfig {
        /// The file; `None` for the one that kubectl reads.
        file: Option<String>,
        /// The context; `None` for the current one.
        context: Option<String>,
    },
    /// A cluster of EKS, by its name, in the region where the function runs.
    Eks(String),
}

/// The table `[environment.cluster]`; `None` when it has a fault, which was noted. `services` are those of the environment.
pub(crate) fn read(
    keys: &Keys<'_>,
    environment: Option<&EnvironmentName>,
    services: &[&Service],
) -> Option<Cluster> {
    let text = |name| keys.has(name).then(|| keys.parsed(name, rules::line));
    let (context, file, eks) = (text("context"), text("kubeconfig"), text("eks"));
    let namespace = if keys.has("namespace") {
        keys.parsed("namespace", namespace)
    } else {
        environment.map(ToString::to_string)
    };
    let registry = keys.has("registry").then(|| keys.parsed("registry", registry));
    let fault = |key: &str, message: String| keys.note(key, Wrong::new(Code::InvalidCluster, message));
    if keys.has("eks") && (keys.has("context") || keys.has("kubeconfig")) {
        fault(
            "eks",
            "the cluster is named in two ways: write either `eks`, or `context` and `kubeconfig`".into(),
        );
        return None;
    }
    let bare = services.iter().filter(|service| service.manifests().is_none());
    let bare: Vec<&str> = bare.map(|service| service.name.as_str()).collect();
    if !bare.is_empty() {
        let names = bare.join(", ");
        fault(
            "namespace",
            format!(
                "nothing can be applied for {names}: say under [service.manifests] where the manifests come from, or \
                 leave it out of this environment's `services`"
            ),
        );
        return None;
    }
    let access = match eks {
        Some(name) => ClusterAccess::Eks(name?),
        None => ClusterAccess::Kubeconfig { file: given(file)?, context: given(context)? },
    };
    Some(Cluster { access, namespace: namespace?, registry: given(registry)? })
}

/// What was written and is right, or was not written; `None` when it is wrong.
#[expect(
    clippy::option_option,
    reason = "what is wrong is none, as everywhere here; and there may be nothing"
)]
fn given<T>(written: Option<Option<T>>) -> Option<Option<T>> {
    match written {
        Some(value) => value.map(Some),
        None => Some(None),
    }
}

/// A DNS label.
fn namespace(text: &str) -> Result<String, Wrong> {
    let is_label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = (1..=63).contains(&text.len()) && text.chars().all(is_label);
    if !fits || text.starts_with('-') || text.ends_with('-') {
        let message = format!("{} is no namespace: up to 63 of a-z, 0-9 and '-'", quoted(text));
        return Err(Wrong::new(Code::InvalidName, message));
    }
    Ok(text.to_owned())
}

/// The host of a registry, with its port, without scheme and path.
fn registry(text: &str) -> Result<String, Wrong> {
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    if text.is_empty() || !text.chars().all(is_host) {
        let message = format!(
            "{} is no registry's host: write it as \"10.0.0.7:5000\", without https://",
            quoted(text)
        );
        return Err(Wrong::new(Code::InvalidAddress, message));
    }
    Ok(text.to_owned())
}
