//! A real Prometheus, which scrapes releases that are tasks of the test.
#![allow(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use longshore_events::{Digest, Measure, Number, Timestamp};
use longshore_policy::PrometheusSource;
use longshore_ports::suite::metrics::{Bench, Known, run};
use longshore_ports::{
    Clock, ErrorKind, Measured, Metrics as _, PortError, Question, Secret, Secrets, Window, Workload,
};
use longshore_telemetry::Prometheus;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::sleep;

/// Between two scrapes.
const SCRAPE: Duration = Duration::from_millis(250);

/// The machine's clock, and one secret.
struct Machine;

impl Clock for Machine {
    #[expect(clippy::disallowed_methods, reason = "Prometheus knows the time of the machine alone")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

#[async_trait]
impl Secrets for Machine {
    async fn get(&self, _: &str) -> Result<Vec<Secret>, PortError> {
        Ok(vec![Secret::new("sesame")])
    }
}

/// A process that ends with the test.
struct Peer {
    child: Child,
    at: SocketAddr,
    _folder: TempDir,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Peer {
    /// A Prometheus that scrapes this address.
    async fn scrapes(target: SocketAddr) -> Self {
        let folder = TempDir::new().unwrap();
        let at = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = format!(
            "global: {{ scrape_interval: 250ms, scrape_timeout: 200ms }}\nscrape_configs:\n  - job_name: test\n    \
             static_configs: [{{ targets: [\"{target}\"] }}]\n"
        );
        std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={at}"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("prometheus: {error}; `cargo xtask test` brings it and tells where it is")
        });
        let peer = Self { child, at, _folder: folder };
        for _ in 0..200 {
            if TcpStream::connect(at).is_ok() {
                return peer;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("prometheus does not listen")
    }
}

/// What a release shows of its requests: good ones, failed ones, and how many took 30 ms or less.
#[derive(Clone)]
struct Shown {
    digest: Digest,
    good: u64,
    failed: u64,
}

type Releases = Arc<Mutex<Vec<Shown>>>;

async fn exporter(releases: Releases) -> SocketAddr {
    let page = move || {
        let releases = releases.lock().unwrap().clone();
        async move { releases.iter().map(metrics).collect::<String>() }
    };
    serve(Router::new().route("/metrics", get(page))).await
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    at
}

/// As the client libraries write them: "Exposition formats".
fn metrics(shown: &Shown) -> String {
    let labels = format!("environment=\"live\",service=\"shop\",digest=\"{}\"", shown.digest);
    let (good, all) = (shown.good, shown.good + shown.failed);
    let mut text = format!("http_requests_total{{{labels},code=\"200\"}} {good}\n");
    let _ = writeln!(text, "http_requests_total{{{labels},code=\"503\"}} {}", shown.failed);
    for (le, count) in [("0.02", 0), ("0.04", all), ("+Inf", all)] {
        let _ = writeln!(text, "http_request_duration_seconds_bucket{{{labels},le=\"{le}\"}} {count}");
    }
    text
}

fn digest(digit: char) -> Digest {
    Digest::new(format!("sha256:{}", digit.to_string().repeat(64))).unwrap()
}

/// The source as the configuration makes it by default.
fn source(at: SocketAddr, more: &str) -> PrometheusSource {
    let text = format!(
        "[metrics]\nsource = \"prometheus\"\nurl = \"http://{at}\"\n{more}\n[[service]]\nname = \"shop\"\n"
    );
    let policy = longshore_policy::check(&text, "test.toml").unwrap();
    match policy.metrics {
        longshore_policy::MetricsSource::Prometheus(source) => source,
        other => panic!("{other:?}"),
    }
}

fn prometheus(at: SocketAddr, more: &str) -> Prometheus {
    Prometheus::new(&source(at, more), Arc::new(Machine), Arc::new(Machine)).unwrap()
}

fn question(digit: char, measure: Measure, window: Window) -> Question {
    let workload = Workload { environment: "live".parse().unwrap(), service: "shop".parse().unwrap() };
    Question { workload, release: 1, digest: digest(digit), measure, window }
}

/// Five for each, of which one fails at the second.
fn more_requests(releases: &Releases) {
    let mut releases = releases.lock().unwrap();
    (releases[0].good, releases[1].good) = (releases[0].good + 5, releases[1].good + 4);
    releases[1].failed += 1;
}

/// Prometheus takes up its targets some seconds after it listens.
async fn first_scrape(metrics: &Prometheus) {
    for _ in 0..100 {
        let window =
            Window { from: Machine.now() - jiff::SignedDuration::from_secs(60), until: Machine.now() };
        let asked = question('a', Measure::Expression("min(up == 1)".into()), window);
        if matches!(metrics.measure(&asked).await, Ok(Measured::Value { .. })) {
            return;
        }
        sleep(SCRAPE).await;
    }
    panic!("nothing was ever scraped")
}

#[tokio::test]
async fn a_real_prometheus_measures_as_the_contract_says() {
    let shown = |digit| Shown { digest: digest(digit), good: 0, failed: 0 };
    let releases: Releases = Arc::new(Mutex::new(vec![shown('a'), shown('b')]));
    let peer = Peer::scrapes(exporter(releases.clone()).await).await;
    let metrics = prometheus(peer.at, "");
    first_scrape(&metrics).await;
    let began = Machine.now();
    sleep(SCRAPE * 8).await;
    let quiet = Machine.now();
    for _ in 0..20 {
        more_requests(&releases);
        sleep(SCRAPE).await;
    }
    sleep(SCRAPE * 2).await;
    // From a moment at which nothing had happened yet: the first increase is seen against it.
    let window = Window { from: quiet - jiff::SignedDuration::from_secs(1), until: Machine.now() };
    let known = |digit, errors| Known {
        ask: question(digit, Measure::Requests, window),
        requests: 100,
        errors,
        took_ms: (20.0, 40.0),
    };
    let expression =
        "sum(increase(http_requests_total{service=\"$service\",digest=\"$digest\"}[$window])) * 0 + 7";
    let asked = question('a', Measure::Expression(expression.into()), window);
    let answer = metrics.measure(&asked).await.unwrap();
    assert!(matches!(&answer, Measured::Value { value, .. } if *value == Number::from(7)), "{answer:?}");
    let several = question('a', Measure::Expression("http_requests_total".into()), window);
    let error = metrics.measure(&several).await.unwrap_err();
    assert!(error.kind == ErrorKind::Invalid && error.to_string().contains("aggregate them"), "{error}");
    let saturated = prometheus(peer.at, "saturation = \"80 + 0 * scalar(count(up))\"");
    let answer = saturated.measure(&question('a', Measure::Saturation, window)).await.unwrap();
    assert!(matches!(&answer, Measured::Value { value, .. } if *value == Number::from(80)), "{answer:?}");
    let bench = Bench {
        metrics,
        good: known('a', 0),
        bad: known('b', 20),
        idle: question('c', Measure::Requests, window),
        window,
        before: Window { from: began, until: quiet },
        tolerance: 0.15,
        not_measured: vec![Measure::Saturation],
    };
    run(&bench).await;
}

#[tokio::test]
async fn what_gives_no_answer_is_named_with_its_way_out() {
    let window = Window { from: Machine.now() - jiff::SignedDuration::from_secs(60), until: Machine.now() };
    let asked = question('a', Measure::Requests, window);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = prometheus(nobody, "").measure(&asked).await.unwrap_err();
    assert!(error.is_temporary() && error.to_string().contains("127.0.0.1 does not answer"), "{error}");
    let cases = [
        (StatusCode::UNAUTHORIZED, "", "is the secret \"prom\" its token?", false),
        (StatusCode::SERVICE_UNAVAILABLE, "", "does not answer: HTTP 503", true),
        (StatusCode::OK, "{\"status\":\"success\"}", "its answer has no data", true),
        (StatusCode::OK, "not json", "does not answer", true),
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            "{\"error\":\"many-to-many\"}",
            "many-to-many; correct the query",
            false,
        ),
    ];
    for (status, body, said, temporary) in cases {
        let at = serve(Router::new().fallback(move || async move { (status, body) })).await;
        let error = prometheus(at, "token = \"prom\"").measure(&asked).await.unwrap_err();
        assert!(error.to_string().contains(said) && error.is_temporary() == temporary, "{status}: {error}");
    }
    let long = "x".repeat(2 << 20);
    let at = serve(Router::new().fallback(move || async move { long })).await;
    let error = prometheus(at, "").measure(&asked).await.unwrap_err();
    assert!(error.to_string().contains("too long"), "{error}");
    let only = Window { until: window.from, ..window };
    let answer = prometheus(nobody, "").measure(&Question { window: only, ..asked }).await.unwrap();
    assert!(matches!(answer, Measured::Unknown { .. }), "{answer:?}");
}

#[tokio::test]
async fn the_token_is_sent_and_nowhere_else_but_there() {
    let at = serve(Router::new().fallback(|headers: axum::http::HeaderMap| async move {
        let sent = headers.get("authorization").is_some_and(|value| value == "Bearer sesame");
        let value = if sent { "3" } else { "0" };
        format!(
            "{{\"status\":\"success\",\"data\":{{\"resultType\":\"scalar\",\"result\":[1,\"{value}\"]}}}}"
        )
    }))
    .await;
    let window = Window { from: Machine.now() - jiff::SignedDuration::from_secs(60), until: Machine.now() };
    let asked = question('a', Measure::Requests, window);
    let answer = prometheus(at, "token = \"prom\"").measure(&asked).await.unwrap();
    assert!(matches!(&answer, Measured::Value { samples: 3, .. }), "{answer:?}");
    let without = prometheus(at, "").measure(&asked).await.unwrap();
    assert!(matches!(without, Measured::Unknown { .. }), "{without:?}");
}
