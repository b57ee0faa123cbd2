//! The manifests of one release, as its own: Longshore's labels, the image with its digest, nothing else.

use std::collections::BTreeMap;

use longshore_ports::{DesiredRelease, Workload};
use serde_json::Value;

use crate::mark;
use crate::object::Object;
use crate::traffic::beside;

/// What has pods, the one that carries the wish first.
const GOVERNED: &[&str] = &["Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job"];

/// A release that shall run, with its manifests.
pub(crate) struct Wanted<'a> {
    pub(crate) release: &'a DesiredRelease,
    /// The image as the nodes pull it: `repository@digest`.
    pub(crate) image: String,
    /// The Secret that lets nodes pull it, where they need one.
    pub(crate) pull_secret: Option<String>,
    pub(crate) objects: Vec<Object>,
}

/// The objects of a release, dressed as its own; the one that carries the wish, and its place among them.
pub(crate) fn dress(workload: &Workload, wanted: &Wanted<'_>) -> Result<(Vec<Object>, usize), String> {
    let mut objects = wanted.objects.clone();
    let mut ours = Vec::new();
    let mut seen = Vec::new();
    for (at, object) in objects.iter_mut().enumerate() {
        mark_owner(object, workload);
        if object.template_path().is_none() {
            continue;
        }
        if set_image(object, workload, wanted, &mut seen) {
            ours.push(at);
        }
        run_as(object, workload, wanted);
    }
    let rank = |at: &usize| GOVERNED.iter().position(|kind| *kind == objects[*at].kind());
    match ours.into_iter().min_by_key(rank) {
        Some(main) => {
            leave_replicas(&mut objects);
            Ok((objects, main))
        }
        None if seen.is_empty() => Err("nothing in them has pods: a Deployment, say".into()),
        None => Err(format!(
            "no container has the image {}, but {}: write that name there, Longshore sets the digest",
            wanted.release.image.name,
            seen.join(", ")
        )),
    }
}

/// Says whose object it is.
pub(crate) fn mark_owner(object: &mut Object, workload: &Workload) {
    object.set_label(mark::ENVIRONMENT, workload.environment.as_str());
    object.set_label(mark::SERVICE, workload.service.as_str());
}

/// The release's name on the object and on its pods. A job is one of its release: its template never changes.
fn run_as(object: &mut Object, workload: &Workload, wanted: &Wanted<'_>) {
    let release = wanted.release.release.to_string();
    object.set_label(mark::RELEASE, &release);
    object.set_annotation(mark::DIGEST, wanted.release.image.digest.as_ref());
    let path = object.template_path().unwrap_or_default();
    let labels = [path, &["metadata", "labels"]].concat();
    object.set(&labels, mark::ENVIRONMENT, workload.environment.as_str().into());
    object.set(&labels, mark::SERVICE, workload.service.as_str().into());
    object.set(&labels, mark::RELEASE, release.into());
    if object.kind() == "Job" {
        let name = beside(object.name(), wanted.release.release);
        object.set_name(&name);
    }
}

/// Sets the image of the containers that run the service; notes the images of all.
fn set_image(object: &mut Object, workload: &Workload, wanted: &Wanted<'_>, seen: &mut Vec<String>) -> bool {
    let path = object.template_path().unwrap_or_default();
    let mut found = false;
    for list in ["initContainers", "containers"] {
        let spec = object.at(&[path, &["spec"]].concat());
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
            let is_ours = means(image, workload, wanted);
            if !is_ours {
                seen.push(image.to_owned());
                continue;
            }
            container["image"] = wanted.image.clone().into();
            found = true;
        }
    }
    if let Some(secret) = wanted.pull_secret.as_ref().filter(|_| found) {
        let spec = object.at(&[path, &["spec"]].concat());
        let mut secrets = spec.get("imagePullSecrets").and_then(Value::as_array).cloned().unwrap_or_default();
        secrets.push(serde_json::json!({"name": secret}));
        spec["imagePullSecrets"] = secrets.into();
    }
    found
}

/// Whether an image in the manifests is that of the service: by its repository, or by the bare name of the service.
fn means(image: &str, workload: &Workload, wanted: &Wanted<'_>) -> bool {
    let repository = repository(image);
    let own = wanted.release.image.name.as_str();
    let last = own.rsplit('/').next().unwrap_or(own);
    repository == own
        || repository == self::repository(&wanted.image)
        || (!repository.contains('/') && (repository == last || repository == workload.service.as_str()))
}

/// An image without its tag and digest.
fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    match image.rsplit_once(':') {
        // A port of the registry is no tag.
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

/// Where an autoscaler governs the number of instances, the manifests do not.
fn leave_replicas(objects: &mut [Object]) {
    let governed: Vec<(String, String)> = objects
        .iter()
        .filter(|object| object.kind() == "HorizontalPodAutoscaler")
        .map(|object| {
            let of = |key: &str| object.text(&format!("/spec/scaleTargetRef/{key}")).to_owned();
            (of("kind"), of("name"))
        })
        .collect();
    for object in objects {
        let is_governed = governed.iter().any(|(kind, name)| kind == object.kind() && name == object.name());
        if is_governed {
            object.leave_replicas();
        }
    }
}

/// What a candidate brings beside the running release: its Deployments, and what they are configured by, under names of
/// its own where it differs.
pub(crate) fn beside_of(
    workload: &Workload,
    wanted: &Wanted<'_>,
    running: &[Object],
) -> Result<Vec<Object>, String> {
    let (objects, main) = dress(workload, wanted)?;
    let release = wanted.release.release;
    let twin = |object: &Object| running.iter().find(|other| other.reference() == object.reference());
    let is_configuration = |object: &Object| matches!(object.kind(), "ConfigMap" | "Secret");
    let differs =
        |object: &&Object| is_configuration(object) && twin(object).is_some_and(|other| !same(other, object));
    let renames: BTreeMap<(String, String), String> = objects
        .iter()
        .filter(differs)
        .map(|object| ((object.kind().to_owned(), object.name().to_owned()), beside(object.name(), release)))
        .collect();
    let image = &wanted.image;
    let has_image = |object: &Object| {
        object.kind() == "Deployment"
            && object.template().is_some_and(|one| one.to_string().contains(image.as_str()))
    };
    let main = objects[main].reference();
    let mut all = Vec::new();
    for mut object in objects {
        if let Some(name) = renames.get(&(object.kind().to_owned(), object.name().to_owned())) {
            object.set_name(name);
            all.push(object);
        } else if object.reference() == main || has_image(&object) {
            all.push(candidate(object, release, &renames));
        } else if is_helper(&object) && twin(&object).is_none() {
            all.push(object);
        }
    }
    Ok(all)
}

/// The same but for what Longshore wrote.
fn same(one: &Object, other: &Object) -> bool {
    let bare = |object: &Object| {
        let mut value = object.0.clone();
        if let Some(map) = value.as_object_mut() {
            map.remove("metadata");
        }
        value
    };
    bare(one) == bare(other)
}

/// What a Deployment may need that nothing else is changed by.
fn is_helper(object: &Object) -> bool {
    matches!(
        object.kind(),
        "ConfigMap" | "Secret" | "ServiceAccount" | "PersistentVolumeClaim" | "Role" | "RoleBinding"
    )
}

/// A Deployment beside that of the manifests: its own name, its own pods.
fn candidate(mut object: Object, release: u64, renames: &BTreeMap<(String, String), String>) -> Object {
    let name = beside(object.name(), release);
    object.set_name(&name);
    object.set_label(mark::TRACK, mark::CANDIDATE);
    object.set(&["spec", "selector", "matchLabels"], mark::RELEASE, release.to_string().into());
    let path = object.template_path().unwrap_or_default();
    rename(object.at(path), renames);
    object
}

/// The names of configuration within a template: in volumes and in the environment of containers.
fn rename(value: &mut Value, renames: &BTreeMap<(String, String), String>) {
    /// The member that names what, and by which key.
    const NAMES: &[(&str, &str, &str)] = &[
        ("configMap", "name", "ConfigMap"),
        ("configMapRef", "name", "ConfigMap"),
        ("configMapKeyRef", "name", "ConfigMap"),
        ("secret", "secretName", "Secret"),
        ("secret", "name", "Secret"),
        ("secretRef", "name", "Secret"),
        ("secretKeyRef", "name", "Secret"),
    ];
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, renames)),
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                for (_, inner, kind) in NAMES.iter().filter(|(member, ..)| member == key) {
                    let Some(name) = value.get(*inner).and_then(Value::as_str) else { continue };
                    if let Some(new) = renames.get(&((*kind).to_owned(), name.to_owned())) {
                        value[*inner] = new.clone().into();
                    }
                }
                rename(value, renames);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
#[path = "dress_tests.rs"]
mod tests;
