//! Clusters of EKS: moto describes them, and its STS says whose token it is. The token is compared with the one that AWS's own
//! command makes.

use std::process::Command;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use longshore_aws::testing::{self, Fault};
use longshore_aws::{Account, code};
use longshore_ports::{Clock, ErrorKind};
use serde_json::Value;

use crate::stack::{Cloud, StandingClock};

struct At(Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// The address in a token.
fn address(token: &str) -> String {
    let encoded = token.strip_prefix("k8s-aws-v1.").unwrap();
    String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap()
}

/// The address without its query, and the query's parts in order.
fn parts(address: &str) -> (&str, Vec<&str>) {
    let (base, query) = address.split_once('?').unwrap();
    let mut parts: Vec<_> = query.split('&').collect();
    parts.sort_unstable();
    (base, parts)
}

#[tokio::test]
async fn a_cluster_says_where_its_api_is() {
    let cloud = Cloud::start().await;
    testing::cluster(&cloud.aws, "eks-shop").await;
    let cluster = cloud.aws.cluster("eks-shop", Arc::new(StandingClock)).await.unwrap();
    assert!(cluster.endpoint.starts_with("https://"), "{cluster:?}");
    assert!(!cluster.authority.is_empty());
    let error = cloud.aws.cluster("nowhere", Arc::new(StandingClock)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    cloud.proxy.next("GET", Fault::Refused(403, "AccessDeniedException", ""));
    let error = cloud.aws.cluster("eks-shop", Arc::new(StandingClock)).await.unwrap_err();
    assert_eq!((error.kind, code(&error)), (ErrorKind::Denied, Some("LS0601")), "{error}");
    cloud.proxy.next("GET", Fault::CutAfter);
    assert!(cloud.aws.cluster("eks-shop", Arc::new(StandingClock)).await.unwrap_err().is_temporary());
}

#[tokio::test]
async fn a_token_is_the_one_that_the_command_of_aws_makes() {
    let cloud = Cloud::start().await;
    for session in [None, Some("a/session+token=")] {
        let mut theirs = Command::new("aws");
        theirs.args([
            "eks",
            "get-token",
            "--cluster-name",
            "shop",
            "--region",
            "eu-west-1",
            "--output",
            "json",
        ]);
        theirs.env_remove("AWS_PROFILE").env_remove("AWS_SESSION_TOKEN").env_remove("AWS_ENDPOINT_URL");
        theirs.env("HOME", "/nonexistent").env("AWS_STS_REGIONAL_ENDPOINTS", "regional");
        theirs.env("AWS_ACCESS_KEY_ID", "AKIATEST").env("AWS_SECRET_ACCESS_KEY", "secret");
        theirs.envs(session.map(|session| ("AWS_SESSION_TOKEN", session)));
        let output = theirs.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let credential: Value = serde_json::from_slice(&output.stdout).unwrap();
        let theirs = address(credential["status"]["token"].as_str().unwrap());
        let made = theirs.split_once("X-Amz-Date=").unwrap().1.split('&').next().unwrap();
        let made = DateTime::strptime("%Y%m%dT%H%M%SZ", made).unwrap().to_zoned(TimeZone::UTC).unwrap();

        let mut account = Account { endpoint: None, ..cloud.account.clone() };
        account.keys.session = session.map(str::to_owned);
        let ours = account.connect().unwrap().cluster_token("shop", Arc::new(At(made.timestamp()))).unwrap();
        assert_eq!(ours.expires, made.timestamp() + SignedDuration::from_mins(14));
        let ours = address(&String::from_utf8_lossy(ours.token.expose()));
        assert_eq!(parts(&ours), parts(&theirs));
        assert!(
            ours.contains("X-Amz-Expires=60") && ours.contains("X-Amz-SignedHeaders=host%3Bx-k8s-aws-id")
        );
    }
}
