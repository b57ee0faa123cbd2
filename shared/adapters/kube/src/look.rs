//! Reads what stands of a workload, and, where it stands badly, why.

use std::collections::BTreeMap;

use jiff::Timestamp;
use longshore_ports::Workload;

use crate::api::Api;
use crate::error::KubeError;
use crate::mark;
use crate::object::Object;
use crate::running::Running;
use crate::shape::record_of;
use crate::trouble::{self, Look, Pods, Trouble};

/// Kinds with pods besides Deployments, in the order in which they are looked for.
const OTHERS: &[(&str, &str)] =
    &[("apps/v1", "StatefulSet"), ("apps/v1", "DaemonSet"), ("batch/v1", "CronJob"), ("batch/v1", "Job")];

/// Everything of a workload that has pods; or what is remembered of it.
pub(crate) async fn find(api: &Api, workload: &Workload) -> Result<Running, KubeError> {
    let query = format!("labelSelector={}", mark::selector(workload));
    let mut objects = api.list("apps/v1", "Deployment", &query).await?;
    let mut running = Running::sort(objects.clone());
    for (version, kind) in OTHERS {
        if running.main.is_some() {
            break;
        }
        objects.extend(api.list(version, kind, &query).await?);
        running = Running::sort(objects.clone());
    }
    if running.main.is_none() {
        running.record = api.get(&record_of(workload)).await?;
        return Ok(running);
    }
    for (of, wanted) in running.inventory() {
        let has_pods = OTHERS.contains(&(of.api_version.as_str(), of.kind.as_str()));
        if wanted && has_pods && running.found(&of).is_none() {
            running.siblings.extend(api.get(&of).await?);
        }
    }
    Ok(running)
}

/// What is told of the pods of each release.
pub(crate) async fn pods(
    api: &Api,
    workload: &Workload,
    now: Timestamp,
) -> Result<BTreeMap<u64, Pods>, KubeError> {
    let query = format!("labelSelector={}", mark::selector(workload));
    let all = api.list("v1", "Pod", &query).await?;
    let mut releases: BTreeMap<u64, Vec<&Object>> = BTreeMap::new();
    for pod in &all {
        if let Some(release) = pod.release() {
            releases.entry(release).or_default().push(pod);
        }
    }
    let mut told = BTreeMap::new();
    for (release, pods) in releases {
        let mut of = trouble::look_at(pods.into_iter(), now);
        if let Some(trouble) = &mut of.trouble {
            more(api, trouble).await;
        }
        told.insert(release, of);
    }
    Ok(told)
}

/// Adds what is said elsewhere. Nobody is refused an answer because that may not be read.
async fn more(api: &Api, trouble: &mut Trouble) {
    let said = match trouble.look.take() {
        None => return,
        Some(Look::Log { pod, container }) => {
            let ended = trouble.said.starts_with("CrashLoopBackOff");
            api.log(&pod, &container, ended).await.map(|log| log.trim().replace('\n', " | "))
        }
        Some(Look::Events { pod }) => events(api, &pod).await,
    };
    match said {
        Ok(said) if !said.is_empty() => {
            trouble.said.push_str(": ");
            trouble.said.push_str(&said);
            trouble.phase = trouble::with_words(trouble.phase, &said);
        }
        Ok(_) => {}
        Err(error) => tracing::debug!(%error, "nothing more is known of it"),
    }
}

/// What was warned of last about a pod.
async fn events(api: &Api, pod: &str) -> Result<String, KubeError> {
    let query = format!("fieldSelector=involvedObject.kind=Pod,involvedObject.name={pod},type=Warning");
    let all = api.list("v1", "Event", &query).await?;
    // The back-off repeats no cause.
    let told = all.iter().filter(|event| event.text("/reason") != "BackOff");
    let last = told.max_by_key(|event| event.text("/lastTimestamp").to_owned());
    Ok(last.map(|event| event.text("/message").trim().to_owned()).unwrap_or_default())
}
