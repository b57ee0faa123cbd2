//! Telling people through SNS: moto brings what is published to a queue that is subscribed.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use longshore_aws::testing::{self, Fault};
use longshore_aws::{SnsTopic, code};
use longshore_ports::{EffectKind, ErrorKind, Key, Notice, Notify as _, suite};

use crate::stack::{Cloud, StandingClock};

fn topic(cloud: &Cloud, arn: &str) -> SnsTopic {
    SnsTopic::new(&cloud.aws, arn, Arc::new(StandingClock))
}

#[tokio::test]
async fn a_topic_keeps_the_contract() {
    let cloud = Cloud::start().await;
    let number = AtomicU32::new(0);
    let queue = Mutex::new(String::new());
    let make = async || {
        let name = format!("told-{}", number.fetch_add(1, Ordering::Relaxed));
        let (arn, subscribed) = testing::topic(&cloud.aws, &name).await;
        *queue.lock().unwrap() = subscribed;
        topic(&cloud, &arn)
    };
    let heard = async |_: &SnsTopic| {
        let queue = queue.lock().unwrap().clone();
        let messages = testing::receive(&cloud.aws, &queue).await;
        assert!(messages.iter().all(|message| message["Subject"] == "shop was rolled back in live"));
        messages.into_iter().map(|message| message["Message"].as_str().unwrap().to_owned()).collect()
    };
    suite::notify::run(make, heard).await;
}

#[tokio::test]
async fn a_topic_that_is_not_there_or_may_not_be_used_is_named() {
    let cloud = Cloud::start().await;
    let key = Key {
        function: "report".into(),
        unit: "u".into(),
        generation: None,
        name: "notice".into(),
        kind: EffectKind::Told,
        restoring: true,
    };
    let notice = Notice { title: "ü".into(), text: "x".into() };
    let arn = "arn:aws:sns:eu-west-1:123456789012:nowhere";
    let error = topic(&cloud, arn).tell(&key, &notice).await.unwrap_err();
    assert!(error.to_string().contains(arn) && !error.is_temporary(), "{error}");
    cloud.proxy.next("POST", Fault::Refused(403, "AuthorizationError", ""));
    let error = topic(&cloud, arn).tell(&key, &notice).await.unwrap_err();
    assert_eq!((error.kind, code(&error)), (ErrorKind::Denied, Some("LS0601")), "{error}");
    cloud.proxy.next("POST", Fault::CutAfter);
    assert!(topic(&cloud, arn).tell(&key, &notice).await.unwrap_err().is_temporary());
}
