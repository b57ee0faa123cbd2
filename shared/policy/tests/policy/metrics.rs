//! `[metrics]`: who is asked, and what does not fit together.

use longshore_events::Measure;
use longshore_policy::{Fault, MetricsSource, check};

fn file(metrics: &str, check: &str) -> String {
    let strategy = "[environment.strategy]\nkind = \"canary\"\n[[environment.strategy.step]]\nweight = 5\n";
    format!(
        "[metrics]\n{metrics}\n[[service]]\nname = \"shop\"\n[[environment]]\nname = \"live\"\n{strategy}\
         [[environment.strategy.check]]\nname = \"a\"\nlimit = \"5\"\n{check}"
    )
}

const REQUESTS: &str = "measure = \"requests\"\n";

fn source(metrics: &str) -> MetricsSource {
    check(&file(metrics, REQUESTS), "f").unwrap_or_else(|faults| panic!("{faults:?}")).metrics
}

#[track_caller]
fn assert_one(metrics: &str, of_check: &str, code: &str, at: &str) -> Fault {
    let text = file(metrics, of_check);
    let mut faults = check(&text, "f").err().unwrap_or_default();
    let marked: Vec<_> =
        faults.iter().map(|fault| (fault.code.to_string(), &text[fault.span.clone()])).collect();
    assert_eq!(marked, [(code.to_owned(), at)], "{faults:?}\n{text}");
    faults.remove(0)
}

#[test]
fn the_host_measures_unless_it_is_said_otherwise() {
    assert_eq!(source(""), MetricsSource::Host);
    assert_eq!(source("source = \"host\""), MetricsSource::Host);
    let MetricsSource::Prometheus(source) = source(
        "source = \"prometheus\"\nurl = \"http://127.0.0.1:9090/prom/\"\ntoken = \"prom\"\nerrors = \"e[$window]\"",
    ) else {
        panic!("it was named")
    };
    assert_eq!((source.url.as_str(), source.token.as_deref()), ("http://127.0.0.1:9090/prom", Some("prom")));
    assert_eq!((source.errors.as_str(), source.saturation), ("e[$window]", None));
    assert!(source.requests.contains("http_requests_total") && source.latency.contains("$quantile"));
}

#[test]
fn cloudwatch_is_asked_for_a_namespace() {
    for (line, namespace) in [("", "Longshore"), ("\nnamespace = \"Shop/Live\"", "Shop/Live")] {
        match source(&format!("source = \"cloudwatch\"{line}")) {
            MetricsSource::CloudWatch(source) => assert_eq!(source.namespace, namespace),
            other => panic!("{other:?}"),
        }
    }
    assert_one("source = \"cloudwatch\"\nnamespace = \"a:b\"", REQUESTS, "LS0125", "a:b");
}

#[test]
fn what_does_not_fit_together_is_named() {
    assert_one("source = \"prometheus\"", REQUESTS, "LS0125", "prometheus");
    assert_one("url = \"http://127.0.0.1:9090\"", REQUESTS, "LS0125", "http://127.0.0.1:9090");
    assert_one("source = \"prometeus\"", REQUESTS, "LS0107", "prometeus");
    let at = "source = \"prometheus\"\nurl = ";
    assert_one(&format!("{at}\"http://prom.acme.com\""), REQUESTS, "LS0112", "http://prom.acme.com");
    let credentials = "https://me:hunter2@prom.acme.com";
    let fault = assert_one(&format!("{at}\"{credentials}\""), REQUESTS, "LS0113", credentials);
    assert!(fault.confidential && !fault.to_string().contains("hunter2"), "{fault}");
    let fault = assert_one("requests = \"up[$windw]\"", REQUESTS, "LS0125", "up[$windw]");
    assert_eq!(fault.suggestion.as_deref(), Some("window"));
    assert_one("latency = \" \"", REQUESTS, "LS0125", " ");
}

#[test]
fn an_expression_needs_somebody_who_can_read_it() {
    let expression = "measure = \"expression\"\nexpression = \"max(queue{s='$service'})\"\n";
    let text = file("source = \"cloudwatch\"", expression);
    let policy = check(&text, "f").unwrap();
    let plan = policy.environments[0].strategy.plan().unwrap();
    assert_eq!(plan.steps[0].checks[0].measure, Measure::Expression("max(queue{s='$service'})".into()));
    let fault = assert_one("", expression, "LS0125", "max(queue{s='$service'})");
    assert!(fault.message.contains("[metrics]"), "{fault}");
    assert_one("", "measure = \"expression\"\n", "LS0124", "expression");
    assert_one("", "measure = \"requests\"\nexpression = \"up\"\n", "LS0124", "up");
}
