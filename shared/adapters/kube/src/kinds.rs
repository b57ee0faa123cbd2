//! Where the API server keeps the objects of a kind.

/// Where objects of one kind are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resource {
    /// The name in the path, and in rights: `deployments`.
    pub(crate) plural: String,
    /// Whether they live in a namespace.
    pub(crate) namespaced: bool,
}

/// The kinds that manifests of services are full of: (API version, kind, name in the path, whether in a namespace). All
/// others are asked of the API server.
const KNOWN: &[(&str, &str, &str, bool)] = &[
    ("apps/v1", "DaemonSet", "daemonsets", true),
    ("apps/v1", "Deployment", "deployments", true),
    ("apps/v1", "StatefulSet", "statefulsets", true),
    ("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", true),
    ("batch/v1", "CronJob", "cronjobs", true),
    ("batch/v1", "Job", "jobs", true),
    ("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes", true),
    ("networking.k8s.io/v1", "Ingress", "ingresses", true),
    ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", true),
    ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", true),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", false),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", false),
    ("rbac.authorization.k8s.io/v1", "Role", "roles", true),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", true),
    ("v1", "ConfigMap", "configmaps", true),
    ("v1", "Event", "events", true),
    ("v1", "Namespace", "namespaces", false),
    ("v1", "PersistentVolumeClaim", "persistentvolumeclaims", true),
    ("v1", "Pod", "pods", true),
    ("v1", "Secret", "secrets", true),
    ("v1", "Service", "services", true),
    ("v1", "ServiceAccount", "serviceaccounts", true),
];

/// Where a kind is that every cluster has, or that is common enough.
pub(crate) fn known(api_version: &str, kind: &str) -> Option<Resource> {
    let row = KNOWN.iter().find(|(version, name, ..)| (*version, *name) == (api_version, kind))?;
    Some(Resource { plural: row.2.into(), namespaced: row.3 })
}

/// The API's root for a version: `/api/v1`, `/apis/apps/v1`.
pub(crate) fn root(api_version: &str) -> String {
    if api_version.contains('/') { format!("/apis/{api_version}") } else { format!("/api/{api_version}") }
}

/// The group of a version; empty for the core.
pub(crate) fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}
