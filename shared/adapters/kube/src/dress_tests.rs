use serde_json::json;

use super::*;
use crate::orders::{WEB, release, wanted, workload};

fn find<'a>(objects: &'a [Object], kind: &str, name: &str) -> &'a Object {
    objects
        .iter()
        .find(|one| one.kind() == kind && one.name() == name)
        .unwrap_or_else(|| panic!("no {kind} {name}"))
}

#[test]
fn the_image_and_the_labels_are_longshore_s_and_nothing_else_is() {
    let release = release(5, 100);
    let wanted = wanted(&release, WEB);
    let (objects, main) = dress(&workload(), &wanted).unwrap();
    let web = &objects[main];
    assert_eq!(web.reference().to_string(), "Deployment web");
    let containers = web.items("/spec/template/spec/containers");
    assert_eq!(containers[0]["image"], json!(wanted.image));
    assert!(wanted.image.ends_with(&"5".repeat(64)), "by its digest: {}", wanted.image);
    assert_eq!(containers[1]["image"], "envoyproxy/envoy:v1.40");
    assert_eq!(web.0["spec"]["selector"], json!({"matchLabels": {"app": "web"}}), "it cannot be changed");
    assert_eq!(web.texts("/spec/template/metadata/labels")[mark::RELEASE], "5");
    assert_eq!(web.number("/spec/replicas"), Some(3));
    let cron = find(&objects, "CronJob", "nightly");
    let image = &cron.0["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(*image, json!(wanted.image), "whatever has the image gets the digest");
    assert_eq!(find(&objects, "ConfigMap", "web").label(mark::SERVICE), Some("web"));
}

#[test]
fn where_an_autoscaler_governs_the_number_of_instances_is_left_out() {
    let scaler = "---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: web}\n\
        spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, minReplicas: 2, maxReplicas: 9}\n";
    let release = release(5, 100);
    let (objects, main) = dress(&workload(), &wanted(&release, &[WEB, scaler].concat())).unwrap();
    assert_eq!(objects[main].number("/spec/replicas"), None);
    assert_eq!(find(&objects, "HorizontalPodAutoscaler", "web").number("/spec/minReplicas"), Some(2));
}

#[test]
fn a_job_is_one_of_its_release() {
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate}\nspec: {template: {spec: {containers: [{name: m, image: web}]}}}\n";
    let release = release(7, 100);
    let (objects, main) = dress(&workload(), &wanted(&release, job)).unwrap();
    assert_eq!(objects[main].name(), "migrate-r7");
}

#[test]
fn manifests_without_the_image_are_refused_with_what_they_have() {
    let release = release(5, 100);
    let yaml = WEB.replace("image: web", "image: other/app:1").replace("shop/web:latest", "busybox");
    let error = dress(&workload(), &wanted(&release, &yaml)).unwrap_err();
    assert!(
        error.contains(
            "no container has the image shop/web, but other/app:1, envoyproxy/envoy:v1.40, busybox"
        ),
        "{error}"
    );
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n";
    let error = dress(&workload(), &wanted(&release, service)).unwrap_err();
    assert!(error.contains("nothing in them has pods"), "{error}");
}

#[test]
fn a_candidate_has_names_of_its_own_for_what_differs() {
    let (old, new) = (release(3, 90), release(5, 10));
    let (running, _) = dress(&workload(), &wanted(&old, WEB)).unwrap();
    let secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {k: v}\n";
    let yaml = [&WEB.replace("hello", "good day"), secret].concat();
    let all = beside_of(&workload(), &wanted(&new, &yaml), &running).unwrap();
    let names: Vec<String> = all.iter().map(|one| one.reference().to_string()).collect();
    assert_eq!(names, ["ConfigMap web-r5", "Deployment web-r5", "Secret key"]);
    let web = find(&all, "Deployment", "web-r5");
    assert_eq!(web.label(mark::TRACK), Some(mark::CANDIDATE));
    assert_eq!(web.0["spec"]["selector"]["matchLabels"], json!({"app": "web", mark::RELEASE: "5"}));
    let pod = &web.0["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["envFrom"][0]["configMapRef"]["name"], "web-r5");
    assert_eq!(pod["volumes"][0]["configMap"]["name"], "web-r5");
    let same = beside_of(&workload(), &wanted(&new, WEB), &running).unwrap();
    assert_eq!(same.len(), 1, "the same configuration is shared: {same:?}");
}

#[test]
fn images_are_told_apart_by_their_repository() {
    for (image, name) in [
        ("web", "web"),
        ("web:1.2", "web"),
        ("localhost:5000/shop/web", "localhost:5000/shop/web"),
        ("localhost:5000/shop/web:1@sha256:0", "localhost:5000/shop/web"),
    ] {
        assert_eq!(repository(image), name);
    }
}
