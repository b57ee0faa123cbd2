//! The manifests of a release: YAML, as Helm, Kustomize or files gave it, to objects that belong to one namespace.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::kinds;
use crate::object::Object;

/// Where Helm writes when an object is for.
const HOOK: &str = "helm.sh/hook";
/// What is for the end of an installation, for going back by Helm, or for `helm test`: no release has it.
const NOT_FOR_RELEASES: &[&str] =
    &["pre-delete", "post-delete", "pre-rollback", "post-rollback", "test", "test-success"];

/// The objects of `yaml`, in their order.
///
/// # Errors
/// Says which document is wrong, and how.
pub(crate) fn parse(yaml: &str, namespace: &str) -> Result<Vec<Object>, String> {
    let mut options = serde_saphyr::Options::default();
    // As Kubernetes' own tools read it: `defaultMode: 0644` is octal.
    options.legacy_octal_numbers = true;
    let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(yaml, options)
        .map_err(|error| format!("this is no YAML: {error}"))?;
    let mut objects = Vec::new();
    for document in documents {
        flatten(document, &mut objects);
    }
    objects.retain(|object| !is_hook_of_another_time(object));
    let mut seen = BTreeSet::new();
    for object in &mut objects {
        check(object, namespace)?;
        if !seen.insert(object.reference()) {
            return Err(format!("{} is there twice", object.reference()));
        }
        object.set_namespace(namespace);
    }
    if objects.is_empty() {
        return Err("they are empty".into());
    }
    Ok(objects)
}

/// A `List` is its items.
fn flatten(document: Value, objects: &mut Vec<Object>) {
    let is_list = document.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    match document {
        Value::Null => {}
        Value::Object(mut list) if is_list && list.get("items").is_some_and(Value::is_array) => {
            if let Some(Value::Array(items)) = list.remove("items") {
                for item in items {
                    flatten(item, objects);
                }
            }
        }
        document => objects.push(Object(document)),
    }
}

fn is_hook_of_another_time(object: &Object) -> bool {
    let hook = object.annotation(HOOK).unwrap_or_default();
    !hook.is_empty() && hook.split(',').all(|one| NOT_FOR_RELEASES.contains(&one.trim()))
}

fn check(object: &Object, namespace: &str) -> Result<(), String> {
    let (version, kind, name) = (object.api_version(), object.kind(), object.name());
    if version.is_empty() || kind.is_empty() {
        let brief: String = object.0.to_string().chars().take(80).collect();
        return Err(format!("a document has no apiVersion or no kind: {brief}"));
    }
    if name.is_empty() {
        return Err(format!("a {kind} has no metadata.name"));
    }
    let place = object.text("/metadata/namespace");
    if !place.is_empty() && place != namespace {
        return Err(format!(
            "{kind} {name} is for the namespace {place}, and the environment's is {namespace}: leave the namespace out"
        ));
    }
    if kinds::known(version, kind).is_some_and(|known| !known.namespaced)
        || kind == "CustomResourceDefinition"
    {
        return Err(format!(
            "{kind} {name} belongs to the whole cluster, and a release to its namespace: apply it apart, once"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(yaml: &str) -> Vec<String> {
        parse(yaml, "shop").unwrap().iter().map(|object| object.reference().to_string()).collect()
    }

    #[test]
    fn documents_lists_and_comments_are_read_in_their_order() {
        let yaml = "# by hand\n---\n---\napiVersion: v1\nkind: List\nitems:\n\
            - {apiVersion: v1, kind: Service, metadata: {name: web}}\n\
            - {apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop}}\n---\n\
            {\"apiVersion\": \"apps/v1\", \"kind\": \"Deployment\", \"metadata\": {\"name\": \"web\"}}\n";
        assert_eq!(names(yaml), ["Service web", "ConfigMap a", "Deployment web"]);
    }

    #[test]
    fn numbers_are_read_as_kubernetes_reads_them() {
        let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nmode: 0644\non: yes\nport: '80'\n";
        let objects = parse(yaml, "shop").unwrap();
        assert_eq!(objects[0].0["mode"], 0o644);
        assert_eq!(objects[0].0["port"], "80");
    }

    #[test]
    fn hooks_of_other_times_are_left_out() {
        let hook = |when: &str| {
            format!(
                "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {when}, annotations: {{helm.sh/hook: '{when}'}}}}\n---\n"
            )
        };
        let yaml = [hook("pre-upgrade"), hook("post-delete"), hook("test")].concat();
        assert_eq!(names(&yaml), ["Job pre-upgrade"]);
    }

    #[test]
    fn what_cannot_be_applied_is_refused_by_name() {
        let cases = [
            ("a: [", "this is no YAML"),
            ("# nothing\n", "they are empty"),
            ("kind: Service\nmetadata: {name: web}\n", "no apiVersion"),
            (
                "apiVersion: v1\nkind: Service\nmetadata: {generateName: web-}\n",
                "a Service has no metadata.name",
            ),
            (
                "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: other}\n",
                "Service web is for the namespace other",
            ),
            (
                "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n",
                "Namespace shop belongs to the whole cluster",
            ),
            (
                "{apiVersion: v1, kind: Service, metadata: {name: a}}\n---\n{apiVersion: v1, kind: Service, metadata: {name: a}}\n",
                "Service a is there twice",
            ),
        ];
        for (yaml, said) in cases {
            let error = parse(yaml, "shop").unwrap_err();
            assert!(error.contains(said), "{yaml:?}: {error}");
        }
    }
}
