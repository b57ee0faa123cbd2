//! `scan` on ECR: an image comes, ECR scans it, and says later that it found something else.

use longshore_events::types::{ImageScanned, ScanStatus};
use longshore_events::{Data, Fact as _};
use serde_json::{Value, json};

use crate::stage::Stage;

const IMAGE: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop";

fn said(stage: &Stage) -> Vec<ImageScanned> {
    let facts = stage.events("image.scanned").into_iter().filter_map(|event| match event.data {
        Data::ImageScanned(fact) => Some(fact),
        _ => None,
    });
    facts.collect()
}

/// What ECR tells EventBridge when the scan of a digest has ended.
fn notice(digest: &str) -> Value {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let sample = std::fs::read_to_string(root.join("events/providers/aws/ecr_scan.body")).unwrap();
    let mut notice: Value = serde_json::from_str(&sample).unwrap();
    notice["region"] = "eu-west-1".into();
    notice["detail"]["repository-name"] = "shop".into();
    notice["detail"]["image-digest"] = digest.into();
    notice
}

#[test]
fn an_image_is_scanned_by_ecr_and_a_notice_of_ecr_has_it_looked_at_again() {
    let stage = Stage::with_image(IMAGE);
    let digest = stage.push_image("shop").to_string();
    let stands = |status: &str| json!({ "imageScanStatus": { "status": status } });
    stage.proxy.scan(&digest, stands("IN_PROGRESS"));
    let mut image = stage.image();
    image["subject"] = IMAGE.into();
    image["data"]["image"] = IMAGE.into();
    image["data"]["digest"] = digest.as_str().into();
    let image = stage.keep(&image);
    let mut scan = stage.start("scan");
    scan.invoke(&serde_json::from_str(&image.to_json()).unwrap()).unwrap();
    assert_eq!(said(&stage), [], "it goes on");

    stage.proxy.scan(&digest, stands("SCAN_ELIGIBILITY_EXPIRED"));
    stage.bus();
    let mut intake = stage.start("intake");
    let mut tell = || {
        intake.invoke(&notice(&digest)).unwrap();
        let mut messages = stage.bus();
        messages.retain(|message| message["detail-type"] == "dev.longshore.wake");
        let [wake] = messages.as_slice() else { panic!("{messages:?}") };
        scan.invoke(wake).unwrap();
    };
    tell();
    assert_eq!(said(&stage).last().unwrap().status, ScanStatus::Expired, "what has expired is not clean");
    let findings = json!({ "findings": [{ "name": "CVE-2026-1", "severity": "CRITICAL" }],
                           "findingSeverityCounts": { "CRITICAL": 1 } });
    stage
        .proxy
        .scan(&digest, json!({ "imageScanFindings": findings, "imageScanStatus": { "status": "COMPLETE" } }));
    tell();
    tell();
    let said = said(&stage);
    assert_eq!(said.len(), 2, "the same once more is no news: {said:?}");
    assert_eq!((said[1].status, said[1].counts.critical), (ScanStatus::Complete, 1));
    let head = stage.events("image.scanned").pop().unwrap();
    assert_eq!((head.kind(), head.subject), (ImageScanned::KIND, format!("{IMAGE}@{digest}")));
    assert!(said[1].findings_ref.is_some());
}
