//! CloudWatch: moto keeps what is put, sums and averages it; of percentiles, math and pages it knows nothing, and answers
//! after the API's reference stand in their place.

use std::sync::Arc;

use longshore_aws::testing::{self, Fault};
use longshore_aws::{CloudWatchMetrics, code};
use longshore_events::{Digest, Measure, Number, Percentile, Timestamp};
use longshore_policy::CloudWatchSource;
use longshore_ports::suite::metrics::{Bench, Known, run};
use longshore_ports::{Clock, ErrorKind, Measured, Metrics as _, Question, Window, Workload};
use serde_json::{Value, json};

use crate::stack::{Cloud, at};

/// Ten minutes after the suite's beginning.
struct Later;

impl Clock for Later {
    fn now(&self) -> Timestamp {
        minute(10)
    }
}

/// So many minutes after the first whole one.
fn minute(number: i64) -> Timestamp {
    let first = at(0).as_second() + (-at(0).as_second()).rem_euclid(60);
    Timestamp::from_second(first + 60 * number).unwrap()
}

fn digest(digit: char) -> Digest {
    Digest::new(format!("sha256:{}", digit.to_string().repeat(64))).unwrap()
}

fn question(digit: char, measure: Measure) -> Question {
    let workload = Workload { environment: "live".parse().unwrap(), service: "shop".parse().unwrap() };
    let window = Window { from: minute(1), until: minute(10) };
    Question { workload, release: 1, digest: digest(digit), measure, window }
}

fn metrics(cloud: &Cloud, namespace: &str) -> CloudWatchMetrics {
    let source = CloudWatchSource { namespace: namespace.to_owned() };
    CloudWatchMetrics::new(&cloud.aws, &source, Arc::new(Later))
}

/// Puts values of a release in minutes 2 to 5, as an agent does.
async fn put(cloud: &Cloud, namespace: &str, digit: char, name: &str, each: f64) {
    let dimension = |name: &str, value: &str| json!({ "Name": name, "Value": value });
    let dimensions = json!([
        dimension("Environment", "live"),
        dimension("Service", "shop"),
        dimension("Digest", digest(digit).as_str())
    ]);
    let datum = |number: i64| json!({ "MetricName": name, "Dimensions": dimensions, "Timestamp": minute(number).as_second(), "Value": each });
    let data: Vec<Value> = (2..6).map(datum).collect();
    testing::metric_data(&cloud.aws, &json!({ "Namespace": namespace, "MetricData": data })).await;
}

fn p50() -> Measure {
    Measure::Latency(Percentile::new(5_000).unwrap())
}

fn p99() -> Measure {
    Measure::Latency(Percentile::new(9_900).unwrap())
}

#[tokio::test]
async fn moto_measures_as_the_contract_says() {
    let cloud = Cloud::start().await;
    let namespace = format!("suite-{}", std::process::id());
    for (digit, errors) in [('a', 0.0), ('b', 5.0)] {
        put(&cloud, &namespace, digit, "Requests", 25.0).await;
        if errors > 0.0 {
            put(&cloud, &namespace, digit, "Errors", errors).await;
        }
    }
    let known = |digit, errors| Known {
        ask: question(digit, Measure::Requests),
        requests: 100,
        errors,
        took_ms: (30.0, 30.0),
    };
    let metrics = metrics(&cloud, &namespace);
    let (good, bad) = (known('a', 0), known('b', 20));
    let bench = Bench {
        metrics,
        good,
        bad,
        idle: question('c', Measure::Requests),
        window: question('a', Measure::Requests).window,
        before: Window { from: at(0), until: minute(1) },
        tolerance: 0.0,
        not_measured: vec![p50(), p99()],
    };
    run(&bench).await;
}

#[tokio::test]
async fn percentiles_math_and_pages_are_asked_for_and_read_as_the_reference_has_them() {
    let cloud = Cloud::start().await;
    let metrics = metrics(&cloud, "Longshore");
    cloud.proxy.next(
        "GetMetricData",
        Fault::Said(
            r#"{"MetricDataResults":[{"Id":"samples","Values":[40,60],"StatusCode":"PartialData"},
                {"Id":"value","Values":[80.5],"StatusCode":"PartialData"}],"NextToken":"more"}"#,
        ),
    );
    cloud.proxy.next(
        "GetMetricData",
        Fault::Said(
            r#"{"MetricDataResults":[{"Id":"samples","Values":[20],"StatusCode":"Complete"},
                {"Id":"value","Values":[120.25],"StatusCode":"Complete"}]}"#,
        ),
    );
    let answer = metrics.measure(&question('a', p99())).await.unwrap();
    let Measured::Value { value, samples } = answer else { panic!("{answer:?}") };
    assert_eq!((value.get(), samples), (120.25, 120), "the worst minute, and all requests of both pages");
    cloud.proxy.next(
        "GetMetricData",
        Fault::Said(r#"{"MetricDataResults":[{"Id":"value","Values":[1,3,2],"StatusCode":"Complete"}]}"#),
    );
    let expression = Measure::Expression("SELECT MAX(Depth) FROM Queue WHERE Digest = '$digest'".into());
    let answer = metrics.measure(&question('a', expression)).await.unwrap();
    assert!(matches!(&answer, Measured::Value { value, .. } if *value == Number::from(3)), "{answer:?}");
    let asked = cloud.proxy.asked();
    let needs: Vec<_> = asked.iter().flat_map(|call| &call.needs).collect();
    assert!(
        needs.iter().all(|need| **need == ("cloudwatch:GetMetricData".to_owned(), "*".to_owned())),
        "{needs:?}"
    );
}

#[tokio::test]
async fn what_cloudwatch_refuses_is_named_with_its_way_out() {
    let cloud = Cloud::start().await;
    let metrics = metrics(&cloud, "Longshore");
    for (status, refusal, kind, stable) in [
        (403, "AccessDeniedException", ErrorKind::Denied, "LS0601"),
        (400, "ThrottlingException", ErrorKind::Unavailable, "LS0611"),
        (500, "InternalServiceFault", ErrorKind::Unavailable, "LS0612"),
    ] {
        cloud.proxy.next("GetMetricData", Fault::Refused(status, refusal, ""));
        let error = metrics.measure(&question('a', Measure::Requests)).await.unwrap_err();
        assert_eq!((error.kind, code(&error)), (kind, Some(stable)), "{error}");
    }
    cloud.proxy.next("GetMetricData", Fault::CutAfter);
    assert!(metrics.measure(&question('a', Measure::Requests)).await.unwrap_err().is_temporary());
    let from = minute(9) + std::time::Duration::from_secs(1);
    let soon = Question { window: Window { from, until: minute(20) }, ..question('a', p99()) };
    let answer = metrics.measure(&soon).await.unwrap();
    assert!(matches!(&answer, Measured::Unknown { why, .. } if why.contains("whole minutes")), "{answer:?}");
}
