//! What keeps real pods from being ready, in words.

use longshore_kube::KubeWorkloads;
use longshore_ports::{Desired, DesiredRelease, ObservedRelease, Phase, Workloads as _};

use crate::workloads::{Yard, a_while, manifests, workload};

/// Looks are bounded, so that what is never told fails the test.
const LOOKS: usize = 900;

/// Applies a release to an environment of its own, and looks until it stands so, with these words.
async fn told(
    workloads: &KubeWorkloads,
    environment: &str,
    release: &DesiredRelease,
    phases: &[Phase],
    words: &[&str],
) {
    let workload = workload(environment);
    let releases = vec![release.clone()];
    workloads.apply(&Desired { workload: workload.clone(), generation: 1, step: 1, releases }).await.unwrap();
    let mut last: Option<ObservedRelease> = None;
    for _ in 0..LOOKS {
        let seen = workloads.observe(&workload).await.unwrap();
        last = seen.release(1).cloned();
        let why = last.as_ref().and_then(|one| one.reason.as_deref()).unwrap_or_default();
        let stands = last.as_ref().is_some_and(|one| phases.contains(&one.phase));
        if stands && words.iter().all(|word| why.contains(word)) {
            return;
        }
        a_while().await;
    }
    panic!("{environment}: {words:?} is never told, but {last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_pods_from_being_ready_is_told_by_its_reason() {
    let Some(yard) = Yard::start().await else { return };
    let environments = ["missing", "crash", "unready", "huge", "config"];
    let workloads = yard.workloads(&yard.cluster.kubeconfig(), &environments).await;
    let more =
        |fields: &str| manifests(1).replace("image: shop\n", &format!("image: shop\n        {fields}\n"));
    let missing = yard.release_of(&format!("sha256:{}", "0".repeat(64)), manifests(1)).await;
    let crash = yard.release("crash", &[("FAIL", "crash"), ("VERSION", "bad")], manifests(1)).await;
    let unready = yard.release("unready", &[("FAIL", "unready")], manifests(1)).await;
    let huge = yard.release("huge", &[], more("resources: {requests: {cpu: 1000}}")).await;
    let config = yard.release("config", &[], more("envFrom: [{configMapRef: {name: nowhere}}]")).await;
    tokio::join!(
        told(&workloads, "missing", &missing, &[Phase::Failed], &["not found"]),
        told(
            &workloads,
            "crash",
            &crash,
            &[Phase::Backoff, Phase::Failed],
            &[
                "CrashLoopBackOff: the container shop exited with 1",
                "version bad starts",
                "crashes, as it was told"
            ],
        ),
        told(&workloads, "unready", &unready, &[Phase::Starting], &["Readiness probe failed", "503"]),
        told(&workloads, "huge", &huge, &[Phase::Starting], &["it cannot be scheduled", "Insufficient cpu"]),
        told(
            &workloads,
            "config",
            &config,
            &[Phase::Failed],
            &["CreateContainerConfigError", "nowhere", "not found"]
        ),
    );
}
