//! `build` on CodeBuild, from a push to its image.

use longshore_events::types::BuildOutcome;
use longshore_events::{Data, ImageName};
use serde_json::{Value, json};

use crate::stage::Stage;

const IMAGE: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop";

/// What CodeBuild tells EventBridge when the build that was asked for has ended.
fn notice(asked: &Value) -> Value {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let sample = std::fs::read_to_string(root.join("events/providers/aws/codebuild_succeeded.body")).unwrap();
    let mut notice: Value = serde_json::from_str(&sample).unwrap();
    let variables = asked["environmentVariablesOverride"].clone();
    notice["detail"]["additional-information"]["environment"]["environment-variables"] = variables;
    notice
}

#[test]
fn a_push_is_built_by_codebuild_and_its_image_is_said() {
    let stage = Stage::with_image(IMAGE);
    let push = stage.keep(&stage.push());
    stage.proxy.build("shop", json!({ "buildStatus": "IN_PROGRESS" }));
    let mut build = stage.start("build");
    build.invoke(&serde_json::from_str(&push.to_json()).unwrap()).unwrap();
    let started = stage.proxy.builds();
    let [asked] = started.as_slice() else { panic!("{started:?}") };
    assert_eq!(
        (&asked["projectName"], &asked["sourceTypeOverride"]),
        (&json!("longshore"), &json!("NO_SOURCE"))
    );
    assert!(asked["buildspecOverride"].as_str().unwrap().contains(&stage.tip));
    assert_eq!((stage.events("build.started").len(), stage.events("build.finished").len()), (1, 0));

    let digest = stage.push_image("shop");
    stage.proxy.build("shop", json!({}));
    stage.bus();
    let mut intake = stage.start("intake");
    assert_eq!(intake.invoke(&notice(asked)).unwrap(), Value::Null);
    let messages = stage.bus();
    let [wake] = messages.as_slice() else { panic!("{messages:?}") };
    build.invoke(wake).unwrap();
    let ends = stage.events("build.finished");
    let [Data::BuildFinished(end)] = ends.iter().map(|event| &event.data).collect::<Vec<_>>()[..] else {
        panic!("{ends:?}")
    };
    let image = Some(ImageName::new(IMAGE).unwrap());
    assert_eq!((end.outcome, end.builder.as_str()), (BuildOutcome::Succeeded, "codebuild"));
    assert_eq!((&end.image, &end.digest), (&image, &Some(digest.clone())));
    let pushed = stage.events("image.pushed");
    let [Data::ImagePushed(image)] = pushed.iter().map(|event| &event.data).collect::<Vec<_>>()[..] else {
        panic!("{pushed:?}")
    };
    assert_eq!((&image.digest, image.tag.as_deref()), (&digest, Some(stage.tip.as_str())));
    build.invoke(wake).unwrap();
    assert_eq!((stage.proxy.builds().len(), stage.events("image.pushed").len()), (1, 1), "once");
}
