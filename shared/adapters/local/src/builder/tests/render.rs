//! Manifests that are rendered with a build, by real helm and kustomize.

use std::fs;
use std::os::unix::fs::symlink;

use longshore_policy::{MAX_MANIFESTS, Manifests};

use super::super::*;
use super::yard::{PATH, Yard};

/// Paths, each with its content.
type Files<'a> = &'a [(&'a str, &'a str)];

/// A chart with two objects, in two documents.
const CHART: Files<'_> = &[
    ("chart/Chart.yaml", "apiVersion: v2\nname: api\nversion: 0.1.0\n"),
    ("chart/values.yaml", "replicas: 1\n"),
    ("values/prod.yaml", "replicas: 3\n"),
    (
        "chart/templates/deployment.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {{ .Release.Name }}\nspec:\n  replicas: {{ .Values.replicas }}\n",
    ),
    (
        "chart/templates/service.yaml",
        "{{ required \"say `port`\" .Values.port }}\napiVersion: v1\nkind: Service\nmetadata:\n  name: {{ .Release.Name }}\n",
    ),
    ("values/port.yaml", "port: \"# 80\"\n"),
];

const KUSTOMIZATION: Files<'_> = &[
    ("deploy/base/kustomization.yaml", "resources: [deployment.yaml]\n"),
    ("deploy/base/deployment.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: api }\n"),
    ("deploy/prod/kustomization.yaml", "namePrefix: prod-\nresources: [../base, config.yaml]\n"),
    ("deploy/prod/config.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: api }\ndata: { a: b }\n"),
];

fn yard(manifests: Manifests, files: Files<'_>) -> (Yard, BuildOrder) {
    let mut yard = Yard::new();
    // The peers lie where the tests were told to look.
    #[expect(clippy::disallowed_methods, reason = "a test is an entry point")]
    let path = std::env::var("PATH").unwrap();
    yard.path = format!("{path}:{PATH}");
    yard.manifests = Some(manifests);
    for (path, content) in files {
        let path = yard.sources.repository.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let order = yard.commit("echo made > image");
    (yard, order)
}

fn helm(values: &[&str]) -> Manifests {
    Manifests::Helm { chart: "chart".into(), values: values.iter().map(ToString::to_string).collect() }
}

fn files(paths: &[&str]) -> Manifests {
    Manifests::Files { paths: paths.iter().map(ToString::to_string).collect() }
}

/// What was rendered with a build, and under which name it is kept.
async fn rendered(yard: &Yard, order: &BuildOrder) -> (String, String) {
    let builder = yard.builder("a");
    let status = yard.build(&builder, order).await;
    let BuildStatus::Succeeded(built) = status else { panic!("it was to succeed: {status:?}") };
    let kept = built.manifests_ref.unwrap();
    let blob = longshore_ports::BlobRef(Digest::new(&kept).unwrap());
    (String::from_utf8(builder.0.blobs.get(&blob).await.unwrap()).unwrap(), kept)
}

#[tokio::test]
async fn a_chart_is_rendered_with_its_values_and_the_same_each_time() {
    let (yard, order) = yard(helm(&["values/prod.yaml", "values/port.yaml"]), CHART);
    let (text, kept) = rendered(&yard, &order).await;
    assert!(text.contains("kind: Deployment") && text.contains("replicas: 3"), "{text}");
    assert!(text.contains("kind: Service") && text.contains("name: api"), "{text}");
    assert_eq!(text.lines().filter(|line| *line == "---").count(), 2, "{text}");
    let again = yard.commit_all();
    assert_eq!(rendered(&yard, &again).await, (text, kept), "by its content");
}

#[tokio::test]
async fn a_kustomization_is_rendered_with_its_base() {
    let (yard, order) = yard(Manifests::Kustomize { folder: "deploy/prod".into() }, KUSTOMIZATION);
    let (text, _) = rendered(&yard, &order).await;
    assert!(text.contains("kind: Deployment") && text.contains("name: prod-api"), "{text}");
    assert!(text.contains("kind: ConfigMap"), "{text}");
}

#[tokio::test]
async fn plain_files_are_taken_in_the_order_of_their_names() {
    let b = ("deploy/b.json", "{ \"kind\": \"Service\" }");
    let (yard, order) = yard(
        files(&["deploy", "extra.yml"]),
        &[b, ("deploy/a/x.yaml", "kind: A"), ("extra.yml", "kind: B\n"), ("deploy/no.txt", "no")],
    );
    let (text, _) = rendered(&yard, &order).await;
    assert_eq!(text, "---\nkind: A\n---\n{ \"kind\": \"Service\" }\n---\nkind: B\n\n");
}

#[tokio::test]
async fn what_cannot_be_rendered_fails_the_build_in_the_renderers_own_words() {
    let big = "kind: Big\n".repeat(MAX_MANIFESTS / 10 + 1);
    let cases: [(Manifests, Files<'_>, &str); 7] = [
        (
            helm(&["values/prod.yaml"]),
            CHART,
            "helm failed with status 1: Error: execution error at (api/templates/service.yaml",
        ),
        (
            helm(&["values/none.yaml"]),
            CHART,
            "the commit has no \"values/none.yaml\", which `manifests` names",
        ),
        (
            Manifests::Kustomize { folder: "deploy/prod".into() },
            &KUSTOMIZATION[..3],
            "kustomize failed with status 1: Error: accumulating",
        ),
        (files(&["deploy"]), &[("deploy/readme.txt", "kind: no")], "sh rendered no manifest"),
        (files(&["nowhere"]), &[], "the commit has no \"nowhere\""),
        (files(&["deploy"]), &[("deploy/a.yaml", "kind: \u{fffd}")], ""),
        (files(&["deploy"]), &[("deploy/a.yaml", &big)], "have more than 4194304 bytes"),
    ];
    for (manifests, tree, why) in cases {
        let (yard, order) = yard(manifests, tree);
        if why.is_empty() {
            fs::write(yard.sources.repository.join("deploy/b.yaml"), b"kind: \xff\n").unwrap();
            let (reason, _) = yard.failure(&yard.builder("a"), &yard.commit_all()).await;
            assert!(reason.contains("is not UTF-8"), "{reason}");
            continue;
        }
        let (reason, log) = yard.failure(&yard.builder("a"), &order).await;
        assert!(reason.contains(why), "{reason}");
        assert!(log.contains("longshore: render") || why.starts_with("the commit"), "{log}");
    }
}

#[tokio::test]
async fn a_renderer_that_is_not_there_is_named() {
    let (mut yard, order) = yard(helm(&[]), CHART);
    yard.path = PATH.into();
    let (reason, _) = yard.failure(&yard.builder("a"), &order).await;
    assert!(reason.contains("helm is not installed here, and renders the manifests of api"), "{reason}");
}

#[tokio::test]
async fn nothing_from_elsewhere_on_the_machine_becomes_part_of_a_manifest() {
    let (yard, _) = yard(helm(&["values/port.yaml"]), CHART);
    symlink("/etc/passwd", yard.sources.repository.join("chart/passwd")).unwrap();
    let (reason, _) = yard.failure(&yard.builder("a"), &yard.commit_all()).await;
    assert!(
        reason.contains("chart/passwd, of the manifests, is a link that leads out of the commit"),
        "{reason}"
    );
}
