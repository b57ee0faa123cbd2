//! `longshore eks`: clusters of EKS, reached with the keys of the environment or of the profile.
//!
//! Sources: "client-go credential plugins" and "Organizing Cluster Access Using kubeconfig Files", Kubernetes documentation.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::aws::{account, coded, variable};
use super::print;
use crate::host::MachineClock;

/// Of what kubectl and a program that makes tokens say to each other.
const VERSION: &str = "client.authentication.k8s.io/v1";
/// What a cluster refuses has this code, unless AWS gives its own.
const CODE: &str = "LS0507";

/// Prints a token.
pub(super) fn token(cluster: &str) -> Result<()> {
    let made = account()?.cluster_token(cluster, Arc::new(MachineClock));
    let made = made.map_err(|error| coded(&error, CODE))?;
    print::json(&json!({
        "apiVersion": VERSION,
        "kind": "ExecCredential",
        "spec": {},
        "status": {
            // Whole seconds: that is all that Kubernetes reads.
            "expirationTimestamp": made.expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "token": String::from_utf8_lossy(made.token.expose()),
        },
    }))
}

/// Prints a kubeconfig.
pub(super) async fn kubeconfig(name: &str) -> Result<()> {
    let aws = account()?;
    let cluster = aws.cluster(name, Arc::new(MachineClock)).await.map_err(|error| coded(&error, CODE))?;
    let program = std::env::current_exe().context("cannot tell which program this is")?;
    let region = aws.config().region().map(ToString::to_string);
    // The keys stay where they are: whoever uses it brings them, or the profile.
    let said = [("AWS_REGION", region), ("AWS_PROFILE", variable("AWS_PROFILE"))];
    let said = said.into_iter().filter_map(|(name, value)| Some(json!({ "name": name, "value": value? })));
    print::json(&json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": name,
            "cluster": { "server": cluster.endpoint, "certificate-authority-data": cluster.authority },
        }],
        "users": [{
            "name": name,
            "user": { "exec": {
                "apiVersion": VERSION,
                "command": program,
                "args": ["eks", "token", name],
                "env": said.collect::<Vec<_>>(),
                "interactiveMode": "Never",
            } },
        }],
        "contexts": [{ "name": name, "context": { "cluster": name, "user": name } }],
        "current-context": name,
    }))
}
