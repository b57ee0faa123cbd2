//! Blobs in S3 and secrets in Secrets Manager: their contracts, and what they say when something is wrong.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use longshore_aws::testing;
use longshore_aws::{AwsSecrets, S3Blobs, code};
use longshore_ports::{BlobRef, Blobs, ErrorKind, Secret, Secrets};

use crate::stack::{Cloud, StandingClock};
use longshore_aws::testing::Fault;

fn blobs(cloud: &Cloud, bucket: &str) -> S3Blobs {
    S3Blobs::new(&cloud.aws, bucket, Arc::new(StandingClock))
}

#[tokio::test]
async fn the_blobs_pass_the_suite() {
    let cloud = Cloud::start().await;
    let number = AtomicU32::new(0);
    longshore_ports::suite::blobs::run(async || {
        let name = format!("blobs-{}", number.fetch_add(1, Ordering::Relaxed));
        testing::bucket(&cloud.aws, &name).await;
        blobs(&cloud, &name)
    })
    .await;
}

#[tokio::test]
async fn a_bucket_that_fails_says_why() {
    let cloud = Cloud::start().await;
    testing::bucket(&cloud.aws, "failing").await;
    let error = blobs(&cloud, "nowhere").put(b"x".to_vec()).await.unwrap_err();
    assert!(error.to_string().contains("the bucket nowhere is not in eu-west-1"), "{error}");
    assert_eq!((error.kind, error.is_temporary()), (ErrorKind::NotFound, false));
    assert_eq!(code(&error), Some("LS0603"));

    let stored = blobs(&cloud, "failing");
    cloud.proxy.next("PUT", Fault::CutAfter);
    assert!(stored.put(b"cut".to_vec()).await.unwrap_err().is_temporary());
    assert_eq!(stored.get(&BlobRef::of(b"cut")).await.unwrap(), b"cut", "it was stored all the same");
    cloud.proxy.next("GET", Fault::Refused(503, "SlowDown", ""));
    assert!(stored.get(&BlobRef::of(b"cut")).await.unwrap_err().is_temporary());
    cloud.proxy.next("GET", Fault::Refused(403, "AccessDenied", ""));
    let error = stored.get(&BlobRef::of(b"cut")).await.unwrap_err();
    assert!(error.to_string().contains("may not s3:GetObject on the bucket failing"), "{error}");
    let large = stored.put(vec![0; (64 << 20) + 1]).await.unwrap_err();
    assert_eq!(large.kind, ErrorKind::Invalid);

    let hasty = S3Blobs::new(&cloud.within(Duration::from_millis(500)), "failing", Arc::new(StandingClock));
    cloud.proxy.next("GET", Fault::SilentAfter);
    assert!(hasty.get(&BlobRef::of(b"cut")).await.unwrap_err().is_temporary());
}

/// A secret whose newest version has each name's newest value, and the one before the value before.
async fn secrets(cloud: &Cloud, id: &str, values: &[(&str, &[&str])]) -> AwsSecrets {
    let client = aws_sdk_secretsmanager::Client::new(cloud.aws.config());
    let version = |back: usize| {
        let of = |(name, values): &(&str, &[&str])| Some((name.to_string(), values.get(back)?.to_string()));
        serde_json::to_string(&values.iter().filter_map(of).collect::<BTreeMap<_, _>>()).unwrap()
    };
    client.create_secret().name(id).secret_string(version(1)).send().await.unwrap();
    client.put_secret_value().secret_id(id).secret_string(version(0)).send().await.unwrap();
    AwsSecrets::new(&cloud.aws, id)
}

#[tokio::test]
async fn the_secrets_pass_the_suite() {
    let cloud = Cloud::start().await;
    let number = AtomicU32::new(0);
    longshore_ports::suite::secrets::run(async |values| {
        secrets(&cloud, &format!("suite-{}", number.fetch_add(1, Ordering::Relaxed)), values).await
    })
    .await;
}

#[tokio::test]
async fn a_value_that_did_not_change_is_one_and_a_new_secret_has_no_value_before() {
    let cloud = Cloud::start().await;
    let same = secrets(&cloud, "same", &[("hook", &["v", "v"])]).await;
    assert_eq!(same.get("hook").await.unwrap(), [Secret::new("v")]);
    let client = aws_sdk_secretsmanager::Client::new(cloud.aws.config());
    client.create_secret().name("new").secret_string("{\"hook\":\"v\"}").send().await.unwrap();
    let new = AwsSecrets::new(&cloud.aws, "new");
    assert_eq!(new.get("hook").await.unwrap(), [Secret::new("v")]);
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_named_and_not_shown() {
    let cloud = Cloud::start().await;
    let error = AwsSecrets::new(&cloud.aws, "nowhere").get("hook").await.unwrap_err();
    assert!(error.to_string().contains("the secret nowhere is not in eu-west-1"), "{error}");
    assert_eq!(code(&error), Some("LS0604"));
    let there = "arn:aws:secretsmanager:us-east-2:123456789012:secret:longshore-AbCdEf";
    let error = AwsSecrets::new(&cloud.aws, there).get("hook").await.unwrap_err();
    assert!(error.to_string().contains("lies in us-east-2, and eu-west-1 is asked"), "{error}");
    assert_eq!(code(&error), Some("LS0607"));
    let client = aws_sdk_secretsmanager::Client::new(cloud.aws.config());
    client.create_secret().name("plain").secret_string("hidden-value").send().await.unwrap();
    client.create_secret().name("number").secret_string("{\"hook\": 4711}").send().await.unwrap();
    for id in ["plain", "number"] {
        let error = AwsSecrets::new(&cloud.aws, id).get("hook").await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains("is not a JSON object of texts"), "{text}");
        assert!(!text.contains("hidden") && !text.contains("4711"), "{text}");
    }
    cloud.proxy.next("GetSecretValue", Fault::Refused(400, "AccessDeniedException", ""));
    let error = AwsSecrets::new(&cloud.aws, "plain").get("hook").await.unwrap_err();
    assert!(
        error.to_string().contains("may not secretsmanager:GetSecretValue on the secret plain"),
        "{error}"
    );
    assert_eq!(code(&error), Some("LS0601"));
    client.delete_secret().secret_id("plain").send().await.unwrap();
    let error = AwsSecrets::new(&cloud.aws, "plain").get("hook").await.unwrap_err();
    assert_eq!(code(&error), Some("LS0604"), "{error}");
}
