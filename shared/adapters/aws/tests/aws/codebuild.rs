//! The builder on CodeBuild.
//!
//! What moto cannot do, and the proxy says as the API's reference does: moto's builds have succeeded when they are asked for,
//! so that those that run, fail, stop or time out are answers of the proxy; moto knows no tokens, no variables of a build,
//! no order and no pages of the list. Its ECR takes no push: the image is put there by PutImage.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use longshore_aws::testing::{self, Fault};
use longshore_aws::{BuildProject, CodeBuilder, S3Blobs};
use longshore_events::{CommitId, Digest, RepositoryName, ServiceName};
use longshore_ports::{
    BlobRef, Blobs as _, BuildFailure, BuildOrder, BuildStatus, Builder, Built, EffectKind, ErrorKind, Key,
    suite::builder::Bench,
};
use serde_json::{Value, json};

use crate::stack::{Cloud, StandingClock, at};

static PROJECTS: AtomicU32 = AtomicU32::new(0);

const TEXT: &str = r#"
[[repository]]
name = "acme/shop"
url = "https://github.com/acme/shop.git"
[[service]]
name = "shop"
repository = "acme/shop"
image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/built/shop"
[[service]]
name = "other"
repository = "acme/shop"
image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/built/other"
[[service]]
name = "failing"
repository = "acme/shop"
image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/built/failing"
"#;

fn order(service: &str) -> BuildOrder {
    BuildOrder {
        service: ServiceName::new(service).unwrap(),
        repo: RepositoryName::new("acme/shop").unwrap(),
        commit: CommitId::new("1".repeat(40)).unwrap(),
    }
}

fn key(name: &str) -> Key {
    Key {
        function: "build".into(),
        unit: "shop@1".into(),
        generation: None,
        name: name.into(),
        kind: EffectKind::Named,
        restoring: false,
    }
}

/// A project of its own, and the digest of the image that its good order ends in.
struct Yard {
    cloud: Cloud,
    project: String,
    builder: CodeBuilder,
    blobs: Arc<S3Blobs>,
    digest: Digest,
}

async fn yard() -> Yard {
    let cloud = Cloud::start().await;
    let project = format!("builds-{}", PROJECTS.fetch_add(1, Ordering::Relaxed));
    testing::project(&cloud.aws, &project).await;
    testing::bucket(&cloud.aws, "logs").await;
    let digest = testing::image(&cloud.aws, "built/shop", &"1".repeat(40)).await;
    let blobs = Arc::new(S3Blobs::new(&cloud.aws, "logs", Arc::new(StandingClock)));
    let builder = builder(&cloud, &project, blobs.clone(), TEXT);
    cloud.proxy.calls();
    Yard { cloud, project, builder, blobs, digest }
}

fn builder(cloud: &Cloud, project: &str, blobs: Arc<S3Blobs>, text: &str) -> CodeBuilder {
    let policy = Arc::new(longshore_policy::check(text, "test").unwrap());
    let project = BuildProject { name: project.into(), secret: None, bucket: "logs".into() };
    CodeBuilder::new(&cloud.aws, project, policy, blobs, Arc::new(StandingClock))
}

impl Yard {
    /// What is found of a build that stands so.
    async fn stands(&self, state: Value) -> BuildStatus {
        let order = order("failing");
        self.cloud.proxy.build("failing", state);
        let key = key(&PROJECTS.fetch_add(1, Ordering::Relaxed).to_string());
        self.builder.start(&key, &order).await.unwrap();
        self.builder.find(&key).await.unwrap().unwrap()
    }

    async fn fails(&self, state: Value) -> BuildFailure {
        match self.stands(state).await {
            BuildStatus::Failed(failure) => failure,
            other => panic!("it was to fail, not {other:?}"),
        }
    }

    fn started(&self) -> usize {
        self.cloud.proxy.calls().iter().filter(|call| *call == "StartBuild").count()
    }
}

fn failed() -> Value {
    json!({
        "buildStatus": "FAILED",
        "phases": [
            { "phaseType": "SUBMITTED", "phaseStatus": "SUCCEEDED", "durationInSeconds": 0 },
            { "phaseType": "INSTALL", "phaseStatus": "SUCCEEDED", "durationInSeconds": 4, "contexts": [
                { "statusCode": "", "message": "" } ] },
            { "phaseType": "PRE_BUILD", "phaseStatus": "FAILED", "durationInSeconds": 2, "contexts": [
                { "statusCode": "COMMAND_EXECUTION_ERROR",
                  "message": "Error while executing command: make\nrelease. Reason: exit status 2" } ] },
            { "phaseType": "COMPLETED" },
        ],
        "logs": {
            "groupName": "/aws/codebuild/longshore", "streamName": "f0e1",
            "deepLink": "https://console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logEvent:f0e1",
        },
    })
}

#[tokio::test]
async fn the_builder_passes_the_suite() {
    longshore_ports::suite::builder::run(
        async || {
            let yard = yard().await;
            yard.cloud.proxy.build("failing", failed());
            // moto is another process, and the proxy has tasks of its own.
            std::mem::forget(yard.cloud);
            Bench {
                builder: yard.builder,
                good: order("shop"),
                other: order("other"),
                failing: order("failing"),
                why: "exit status 2",
            }
        },
        async |_| {},
    )
    .await;
}

#[tokio::test]
async fn a_build_that_succeeded_is_what_its_tag_names() {
    let yard = yard().await;
    yard.builder.start(&key("start"), &order("shop")).await.unwrap();
    let Some(BuildStatus::Succeeded(built)) = yard.builder.find(&key("start")).await.unwrap() else {
        panic!("it was to succeed")
    };
    let Built { image, tag, digest, media_type, .. } = &built;
    assert_eq!(image.as_str(), "123456789012.dkr.ecr.eu-west-1.amazonaws.com/built/shop");
    assert_eq!((tag.as_str(), digest), ("1".repeat(40).as_str(), &yard.digest));
    assert_eq!(media_type, "application/vnd.oci.image.manifest.v1+json");
    assert!(built.times.pack_ms >= 1000, "{built:?}");
}

#[tokio::test]
async fn the_manifests_that_a_build_handed_over_are_kept_by_their_content() {
    let yard = yard().await;
    let text = TEXT.replacen("[[service]]", "[[service]]\nmanifests = { files = [\"deploy\"] }", 1);
    let builder = builder(&yard.cloud, &yard.project, yard.blobs.clone(), &text);
    let key = key("rendered");
    builder.start(&key, &order("shop")).await.unwrap();
    let asked = yard.cloud.proxy.builds().pop().unwrap();
    let variables = asked["environmentVariablesOverride"].as_array().unwrap();
    let name = variables.iter().find(|one| one["name"] == "LONGSHORE_MANIFESTS").unwrap()["value"].as_str();
    let name = name.unwrap();
    let error = builder.find(&key).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");

    let manifests = "---\nkind: Service\n";
    testing::object(&yard.cloud.aws, "logs", name, manifests.into()).await;
    let Some(BuildStatus::Succeeded(built)) = builder.find(&key).await.unwrap() else {
        panic!("it was to succeed")
    };
    let kept = BlobRef(Digest::new(built.manifests_ref.unwrap()).unwrap());
    assert_eq!(yard.blobs.get(&kept).await.unwrap(), manifests.as_bytes());

    testing::object(&yard.cloud.aws, "logs", name, "x".repeat((4 << 20) + 1)).await;
    let error = builder.find(&key).await.unwrap_err();
    assert!(error.kind == ErrorKind::Invalid && error.to_string().contains("more than 4194304"), "{error}");
}

#[tokio::test]
async fn a_build_says_where_it_stands() {
    let yard = yard().await;
    let running = json!({ "buildStatus": "IN_PROGRESS", "currentPhase": "BUILD" });
    assert_eq!(yard.stands(running).await, BuildStatus::Running);

    let failure = yard.fails(failed()).await;
    let expected = "prepare failed: COMMAND_EXECUTION_ERROR: \
                    Error while executing command: make release. Reason: exit status 2";
    assert_eq!(failure.reason, expected);
    assert_eq!((failure.times.git_ms, failure.times.prepare_ms, failure.times.test_ms), (4000, 2000, 0));
    let log = BlobRef(Digest::new(failure.logs_ref.unwrap()).unwrap());
    let log = String::from_utf8(yard.blobs.get(&log).await.unwrap()).unwrap();
    for part in ["the group /aws/codebuild/longshore, in the stream f0e1", "#logEvent:f0e1"] {
        assert!(log.contains(part), "{log}");
    }

    let phase = |kind: &str, status: &str| {
        json!([{ "phaseType": kind, "phaseStatus": status, "contexts": [
        { "statusCode": "INTERNAL_ERROR", "message": "x ".repeat(2000) } ] }])
    };
    let cases = [
        ("TIMED_OUT", "BUILD", "test was ended: the build took longer than its time limit of 45 min"),
        ("STOPPED", "POST_BUILD", "the build was stopped in CodeBuild"),
        ("FAULT", "PROVISIONING", "PROVISIONING failed by a fault of CodeBuild: INTERNAL_ERROR: x x"),
    ];
    for (status, kind, text) in cases {
        let failure = yard.fails(json!({ "buildStatus": status, "phases": phase(kind, status) })).await;
        assert!(failure.reason.starts_with(text) && failure.reason.len() < 700, "{}", failure.reason);
    }
}

#[tokio::test]
async fn an_image_that_is_not_there_is_waited_for_and_then_missed() {
    let yard = yard().await;
    let ended = |seconds: i64| json!({ "endTime": at(seconds).to_string() });
    yard.cloud.proxy.build("other", ended(-10));
    testing::image(&yard.cloud.aws, "built/other", "another").await;
    yard.builder.start(&key("early"), &order("other")).await.unwrap();
    let error = yard.builder.find(&key("early")).await.unwrap_err();
    assert!(error.is_temporary() && error.to_string().contains("has no tag 1111"), "{error}");
    yard.cloud.proxy.build("other", ended(-120));
    yard.builder.start(&key("late"), &order("other")).await.unwrap();
    let status = yard.builder.find(&key("late")).await.unwrap();
    assert!(
        matches!(status, Some(BuildStatus::Failed(failure)) if failure.reason.contains("has no tag 1111"))
    );
}

#[tokio::test]
async fn a_start_whose_reply_was_lost_is_one_build() {
    let yard = yard().await;
    yard.cloud.proxy.next("StartBuild", Fault::CutAfter);
    assert!(yard.builder.start(&key("start"), &order("shop")).await.unwrap_err().is_temporary());
    yard.builder.start(&key("start"), &order("shop")).await.unwrap();
    assert_eq!(yard.started(), 1, "it is found");
}

#[tokio::test]
async fn where_the_list_is_stale_the_token_stands_for_one_build() {
    let yard = yard().await;
    yard.builder.start(&key("start"), &order("shop")).await.unwrap();
    let stale = || yard.cloud.proxy.next("ListBuildsForProject", Fault::Said("{\"ids\":[]}"));
    stale();
    yard.builder.start(&key("start"), &order("shop")).await.unwrap();
    stale();
    let error = yard.builder.start(&key("start"), &order("other")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict, "{error}");
    let text = TEXT.replace("[[service]]", "[[service]]\ntimeout = \"1h\"");
    let changed = builder(&yard.cloud, &yard.project, yard.blobs.clone(), &text);
    stale();
    changed.start(&key("start"), &order("shop")).await.unwrap();
    let client = aws_sdk_codebuild::Client::new(yard.cloud.aws.config());
    let all = client.list_builds_for_project().project_name(&yard.project).send().await.unwrap();
    assert_eq!(all.ids().len(), 1);
}

#[tokio::test]
async fn a_build_is_found_among_the_three_hundred_newest() {
    let yard = yard().await;
    yard.builder.start(&key("old"), &order("shop")).await.unwrap();
    let client = aws_sdk_codebuild::Client::new(yard.cloud.aws.config());
    for (more, found) in [(220, true), (100, false)] {
        for _ in 0..more {
            client.start_build().project_name(&yard.project).send().await.unwrap();
        }
        assert_eq!(yard.builder.find(&key("old")).await.unwrap().is_some(), found);
    }
}

#[tokio::test]
async fn what_cannot_be_built_says_why() {
    let yard = yard().await;
    let nowhere = builder(&yard.cloud, "nowhere", yard.blobs.clone(), TEXT);
    let error = nowhere.start(&key("start"), &order("shop")).await.unwrap_err();
    assert!(error.to_string().contains("the project nowhere of CodeBuild is not in eu-west-1"), "{error}");
    let unknown = yard.builder.start(&key("start"), &order("unknown")).await.unwrap_err();
    assert_eq!(unknown.kind, ErrorKind::Invalid);
    let cases = [
        ("AccountLimitExceededException", true, "is asked for too much"),
        ("ThrottlingException", true, "is asked for too much"),
        ("AccessDeniedException", false, "may not codebuild:StartBuild on the project"),
        ("InvalidInputException", false, "codebuild:StartBuild on the project"),
    ];
    for (code, temporary, text) in cases {
        yard.cloud.proxy.next("StartBuild", Fault::Refused(400, code, "refused"));
        let error = yard.builder.start(&key("start"), &order("shop")).await.unwrap_err();
        assert!(error.to_string().contains(text), "{code}: {error}");
        assert_eq!(error.is_temporary(), temporary, "{code}");
    }
    yard.cloud.proxy.next("BatchGetBuilds", Fault::BrokenAfter);
    yard.builder.start(&key("start"), &order("shop")).await.unwrap();
    assert!(yard.builder.find(&key("start")).await.unwrap_err().is_temporary());
}
