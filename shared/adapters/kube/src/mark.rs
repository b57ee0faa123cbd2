//! What Longshore writes on the objects that it owns: labels to find them by, annotations to know what was wished.

/// Who applies, in the fields' ownership.
pub(crate) const MANAGER: &str = "longshore";

/// The environment that it belongs to; on pods too.
pub(crate) const ENVIRONMENT: &str = "longshore.dev/environment";
/// The service that it belongs to; on pods too.
pub(crate) const SERVICE: &str = "longshore.dev/service";
/// The release that runs: on what has pods, and on the pods.
pub(crate) const RELEASE: &str = "longshore.dev/release";
/// `candidate`, on what runs beside the workload of the manifests, and goes again.
pub(crate) const TRACK: &str = "longshore.dev/track";
/// The value of [`TRACK`].
pub(crate) const CANDIDATE: &str = "candidate";

/// The digest of the image that runs, on what has pods.
pub(crate) const DIGEST: &str = "longshore.dev/digest";

/// The pods' template that was applied, by its SHA-256.
pub(crate) const TEMPLATE: &str = "longshore.dev/template";
/// The object's `metadata.generation` with which that template came. Each wish changes annotations, and with them a
/// Deployment's generation; what its controller said before of the same template stays true.
pub(crate) const TEMPLATE_SINCE: &str = "longshore.dev/template-since";

/// The generation that wrote it last: an older one must not.
pub(crate) const GENERATION: &str = "longshore.dev/generation";
/// The step within that generation.
pub(crate) const STEP: &str = "longshore.dev/step";
/// The whole wish, by its SHA-256: the same generation and step never mean two things.
pub(crate) const WISH: &str = "longshore.dev/wish";
/// The shares of the traffic that are wished, in percent by release.
pub(crate) const WISHED: &str = "longshore.dev/wished-weights";
/// The shares of the traffic that were applied.
pub(crate) const WEIGHTS: &str = "longshore.dev/weights";
/// How the traffic is shared; see `traffic::Mode`.
pub(crate) const MODE: &str = "longshore.dev/traffic";
/// All objects of the workload, a JSON list of references; those that no release wants any more begin with `-`.
pub(crate) const INVENTORY: &str = "longshore.dev/inventory";
/// How many instances the share of the traffic that a candidate has, or waits for, needs.
pub(crate) const NEEDS: &str = "longshore.dev/needs";
/// When a candidate that has no traffic any more may go: it ends what it was asked before.
pub(crate) const DRAINS_UNTIL: &str = "longshore.dev/drains-until";

/// Chooses the objects of one workload.
pub(crate) fn selector(workload: &longshore_ports::Workload) -> String {
    format!("{ENVIRONMENT}={},{SERVICE}={}", workload.environment, workload.service)
}
