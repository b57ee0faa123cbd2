//! The clusters where environments are, beside this machine.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use longshore_kube::{KubeWorkloads, OwnRegistry, Place, connect};
use longshore_policy::{Cluster, ClusterAccess, Environment, Policy};
use longshore_ports::{Blobs, Clock, Secret, Workloads};

use super::auth::pull_password;
use crate::api::TOKEN_USER;

/// What the clusters are told of the host.
pub(super) struct Own<'a> {
    /// Where it listens.
    pub(super) listen: SocketAddr,
    /// Its token.
    pub(super) token: &'a Secret,
    pub(super) blobs: Arc<dyn Blobs>,
    pub(super) clock: Arc<dyn Clock>,
}

/// Workloads on the clusters of the configuration, and all others on `machine`.
pub(super) async fn workloads(
    policy: &Policy,
    machine: Arc<dyn Workloads>,
    own: Own<'_>,
) -> Result<Arc<dyn Workloads>> {
    let mut places = BTreeMap::new();
    for environment in &policy.environments {
        if let Some(cluster) = &environment.cluster {
            let place = place(policy, environment, cluster, &own).await;
            let place =
                place.with_context(|| format!("the cluster of the environment {}", environment.name))?;
            places.insert(environment.name.clone(), place);
        }
    }
    if places.is_empty() {
        return Ok(machine);
    }
    let Own { blobs, clock, .. } = own;
    Ok(Arc::new(KubeWorkloads { places, elsewhere: Some(machine), blobs, clock }))
}

async fn place(
    policy: &Policy,
    environment: &Environment,
    cluster: &Cluster,
    own: &Own<'_>,
) -> Result<Place> {
    let connection = match &cluster.access {
        ClusterAccess::Kubeconfig { file, context } => {
            connect(file.as_deref().map(Path::new), context.as_deref()).await?
        }
        ClusterAccess::Eks(name) => bail!(
            "`eks` is for functions on Lambda; here, `aws eks update-kubeconfig --name {name}`, then name the context"
        ),
    };
    let services = environment.services.iter().filter_map(|name| policy.service(name));
    let ours: Vec<&str> = services
        .filter(|service| !service.image.has_registry())
        .map(|service| service.image.as_str())
        .collect();
    let reachable = !own.listen.ip().is_loopback() && !own.listen.ip().is_unspecified();
    let host = match (&cluster.registry, reachable) {
        (Some(registry), _) => Some(registry.clone()),
        (None, true) => Some(own.listen.to_string()),
        (None, false) if ours.is_empty() => None,
        (None, false) => bail!(
            "its nodes cannot pull {} from {}: listen where they reach this host ([host] listen), and name that address \
             as `registry` under [environment.cluster]; or give the services images at a registry",
            ours.join(", "),
            own.listen
        ),
    };
    let login = Some((TOKEN_USER.to_owned(), pull_password(own.token)));
    let own = host.map(|host| OwnRegistry { host, login });
    tracing::info!(
        environment = %environment.name,
        kube.namespace = cluster.namespace,
        kube.cluster = %connection.server,
        "runs on a cluster"
    );
    Ok(Place::new(connection.client, cluster.namespace.clone(), own))
}

/// Puts every environment that is on no cluster onto this one: `kube:CONTEXT`, or `kube:CONTEXT/NAMESPACE`.
///
/// # Errors
/// When it is written otherwise, or services have no manifests.
pub(super) fn all_on(policy: &mut Policy, cluster: &str) -> Result<()> {
    let Some(named) = cluster.strip_prefix("kube:") else {
        bail!("--cluster {cluster:?} names no cluster: write kube:CONTEXT, a context of the kubeconfig")
    };
    // A context's name may have slashes of its own, as those of EKS do; a namespace has none.
    let (context, namespace) = match named.rsplit_once('/') {
        Some((context, namespace)) if !named.starts_with("arn:") => (context, Some(namespace)),
        _ => (named, None),
    };
    let bare: Vec<&str> = policy
        .services
        .iter()
        .filter(|service| service.manifests().is_none())
        .map(|service| service.name.as_str())
        .collect();
    if !bare.is_empty() {
        bail!(
            "nothing can be applied for {}: say under [service.manifests] where the manifests come from",
            bare.join(", ")
        );
    }
    for environment in policy.environments.iter_mut().filter(|one| one.cluster.is_none()) {
        let context = (!context.is_empty()).then(|| context.to_owned());
        environment.cluster = Some(Cluster {
            access: ClusterAccess::Kubeconfig { file: None, context },
            namespace: namespace.map_or_else(|| environment.name.to_string(), str::to_owned),
            registry: None,
        });
    }
    Ok(())
}
