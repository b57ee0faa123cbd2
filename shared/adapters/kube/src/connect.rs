//! The way to a cluster: a kubeconfig, as kubectl reads it.

use std::path::Path;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::api::{PATIENCE, chain};
use crate::error::KubeError;

/// A cluster of a kubeconfig.
pub struct Connection {
    /// Talks to its API server.
    pub client: Client,
    /// Its address.
    pub server: String,
}

/// Reads a kubeconfig and makes a client for one of its contexts. Nothing is asked of the cluster yet.
///
/// `kubeconfig` is the file; without it `KUBECONFIG`, or `~/.kube/config`. `context` is the name; without it the current one.
///
/// # Errors
/// When the file cannot be read, or has no such context.
pub async fn connect(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Connection, KubeError> {
    let bad = |error: &dyn std::error::Error| KubeError::Config { why: chain(error) };
    let file = match kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let file = file.map_err(|error| bad(&error))?;
    if let Some(context) = context
        && !file.contexts.iter().any(|known| known.name == context)
    {
        let known: Vec<&str> = file.contexts.iter().map(|known| known.name.as_str()).collect();
        return Err(KubeError::Config {
            why: format!("it has no context {context:?}; it has {}", known.join(", ")),
        });
    }
    let options = KubeConfigOptions { context: context.map(str::to_owned), cluster: None, user: None };
    let config = Config::from_custom_kubeconfig(file, &options).await.map_err(|error| bad(&error))?;
    client(config)
}

/// A client for a configuration, with bounds on how long anything may take.
pub(crate) fn client(mut config: Config) -> Result<Connection, KubeError> {
    config.connect_timeout = Some(PATIENCE);
    config.read_timeout = Some(PATIENCE);
    config.write_timeout = Some(PATIENCE);
    // Whoever asked tries again, in one place.
    config.default_retry = false;
    let server = config.cluster_url.to_string();
    let client = Client::try_from(config).map_err(|error| KubeError::Config { why: chain(&error) })?;
    Ok(Connection { client, server })
}
