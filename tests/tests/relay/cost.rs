//! What a release costs on AWS, and a month in which nothing happens: the calls, bytes and milliseconds of the functions,
//! counted, times the list prices. `cargo xtask cost` writes `docs/cost.md`; the test compares.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use longshore_aws::testing::Asked;

use crate::people::release;
use crate::platform::Weather;
use crate::stack::root;
use crate::stage::{FUNCTIONS, Stage, key};

/// Set by `cargo xtask cost`.
const WRITE: &str = "LONGSHORE_WRITE_COST";
/// What is counted may differ from what the page says by so much of it: how often something is looked at varies.
const SPREAD: f64 = 0.5;
/// The goals, in US dollars: a thousand releases, and a month at rest.
const GOALS: (f64, f64) = (1.0, 2.0);
const MONTH_MINUTES: f64 = 43_200.0;
/// How long nothing happens while the idle month is counted.
const IDLE: Duration = Duration::from_secs(45);

/// List prices in us-east-1, in US dollars, without free tiers; as the price pages of AWS had them on the date in the page.
const DATE: &str = "24 November 2026";
mod price {
    pub(super) const LAMBDA_REQUEST: f64 = 0.20e-6;
    /// A second of a gigabyte, on x86_64.
    pub(super) const LAMBDA_GB_SECOND: f64 = 16.6667e-6;
    pub(super) const DYNAMODB_WRITE: f64 = 0.625e-6;
    pub(super) const DYNAMODB_READ: f64 = 0.125e-6;
    pub(super) const EVENT: f64 = 1.0e-6;
    pub(super) const SQS_REQUEST: f64 = 0.40e-6;
    pub(super) const S3_PUT: f64 = 5.0e-6;
    pub(super) const S3_GET: f64 = 0.4e-6;
    pub(super) const SECRET_REQUEST: f64 = 5.0e-6;
    pub(super) const LOG_GB: f64 = 0.50;
    /// By the month.
    pub(super) const SECRET: f64 = 0.40;
    pub(super) const ALARM: f64 = 0.10;
    pub(super) const METRIC: f64 = 0.30;
}
/// What a function has, in gigabytes.
const MEMORY: f64 = 0.25;
/// What an invocation writes into its log, with the platform's own lines, in bytes.
const LOG: f64 = 800.0;
/// Lambda's pollers of a queue ask about so often a month: five of them, each 20 s.
const POLLS: f64 = 5.0 * 3.0 * MONTH_MINUTES;

/// Amounts by what is charged, in the order of the page.
type Bill = BTreeMap<&'static str, (f64, f64)>;

fn charge(bill: &mut Bill, what: &'static str, amount: f64, price: f64) {
    let line = bill.entry(what).or_default();
    line.0 += amount;
    line.1 += amount * price;
}

fn total(bill: &Bill) -> f64 {
    bill.values().map(|(_, usd)| usd).sum()
}

/// What calls and invocations cost. Sizes are those of the JSON, a little more than AWS counts.
fn bill<'a>(asked: impl Iterator<Item = &'a Asked>, invocations: &[Duration]) -> Bill {
    let mut bill = Bill::new();
    let blocks = |bytes: usize, of: usize| bytes.div_ceil(of).max(1) as f64;
    for call in asked {
        match call.call.as_str() {
            // Twice, as all of it is a transaction.
            "dynamodb:TransactWriteItems" => {
                let units: f64 = call
                    .parts
                    .iter()
                    .map(|bytes| if *bytes == 0 { 1.0 } else { 2.0 * blocks(*bytes, 1024) })
                    .sum();
                charge(&mut bill, "DynamoDB: write units", units, price::DYNAMODB_WRITE);
            }
            // Consistent: a unit for each row, and for each 4 KB.
            "dynamodb:BatchGetItem" | "dynamodb:GetItem" => {
                let units = (call.parts.len() as f64).max(blocks(call.answered, 4096));
                charge(&mut bill, "DynamoDB: read units", units, price::DYNAMODB_READ);
            }
            "dynamodb:UpdateItem" => {
                charge(&mut bill, "DynamoDB: write units", 1.0, price::DYNAMODB_WRITE);
            }
            "dynamodb:Query" => {
                charge(
                    &mut bill,
                    "DynamoDB: read units",
                    blocks(call.answered, 4096) / 2.0,
                    price::DYNAMODB_READ,
                );
            }
            "events:PutEvents" => {
                let events = call.parts.iter().map(|bytes| blocks(*bytes, 64 * 1024)).sum();
                charge(&mut bill, "EventBridge: events", events, price::EVENT);
            }
            "s3:PutObject" => charge(&mut bill, "S3: PUT", 1.0, price::S3_PUT),
            "s3:GetObject" => charge(&mut bill, "S3: GET", 1.0, price::S3_GET),
            "secretsmanager:GetSecretValue" => {
                charge(&mut bill, "Secrets Manager: requests", 1.0, price::SECRET_REQUEST);
            }
            sqs if sqs.starts_with("sqs:") => charge(&mut bill, "SQS: requests", 1.0, price::SQS_REQUEST),
            // CodeBuild's and ECR's calls cost nothing.
            free if free.starts_with("codebuild:") || free.starts_with("ecr:") => {}
            other => panic!("what does {other} cost? Say so in {}", file!()),
        }
    }
    let seconds: f64 = invocations.iter().map(Duration::as_secs_f64).sum();
    let times = invocations.len() as f64;
    charge(&mut bill, "Lambda: requests", times, price::LAMBDA_REQUEST);
    charge(&mut bill, "Lambda: GB-seconds", seconds * MEMORY, price::LAMBDA_GB_SECOND);
    charge(&mut bill, "CloudWatch: GB of logs", times * LOG / 1e9, price::LOG_GB);
    bill
}

/// What happened in a while.
struct Counted {
    asked: Vec<Asked>,
    billed: BTreeMap<String, Vec<Duration>>,
    ticks: usize,
}

impl Counted {
    /// Since the last time.
    fn take(stage: &Stage) -> Self {
        let shared = &stage.platform.shared;
        Self {
            asked: stage.proxy.asked(),
            billed: std::mem::take(&mut *shared.billed.lock().unwrap()),
            ticks: stage.ticks.swap(0, std::sync::atomic::Ordering::SeqCst),
        }
    }

    fn by<'a>(&'a self, function: &str) -> impl Iterator<Item = &'a Asked> {
        let key = key(function);
        self.asked.iter().filter(move |asked| asked.who == key)
    }

    fn invocations(&self, function: &str) -> &[Duration] {
        self.billed.get(function).map_or(&[], Vec::as_slice)
    }
}

/// A release, without the sweeps that also come when nothing happens.
fn of_release(counted: &Counted) -> Bill {
    let functions = FUNCTIONS.iter().filter(|function| **function != "sweep");
    let asked = functions.clone().flat_map(|function| counted.by(function));
    let wakes = counted
        .by("sweep")
        .filter(|asked| asked.call != "dynamodb:Query" && asked.call != "dynamodb:BatchGetItem");
    let mut invocations: Vec<Duration> =
        functions.flat_map(|function| counted.invocations(function)).copied().collect();
    let sweeps = counted.invocations("sweep");
    invocations.extend(sweeps.iter().take(sweeps.len().saturating_sub(counted.ticks)));
    bill(asked.chain(wakes), &invocations)
}

/// A month at rest: what a sweep costs each minute, and what lies there. And the check of one repository each minute.
fn of_month(counted: &Counted) -> (Bill, Bill) {
    let queries: Vec<&Asked> = counted.by("sweep").filter(|asked| asked.call == "dynamodb:Query").collect();
    let ticks = counted.ticks.max(1);
    let sweep = bill(
        queries.into_iter(),
        &counted.invocations("sweep")[..ticks.min(counted.invocations("sweep").len())],
    );
    let mut month = times(&sweep, MONTH_MINUTES / ticks as f64);
    charge(&mut month, "Secrets Manager: secrets", 1.0, price::SECRET);
    charge(&mut month, "CloudWatch: alarms", 4.0, price::ALARM);
    charge(&mut month, "CloudWatch: metrics", 1.0, price::METRIC);
    charge(&mut month, "SQS: requests", POLLS, price::SQS_REQUEST);
    let rounds =
        counted.by("refcheck").filter(|asked| asked.call == "dynamodb:TransactWriteItems").count().max(1);
    let wakes = counted.by("sweep").filter(|asked| asked.call == "events:PutEvents");
    let mut invocations = counted.invocations("refcheck").to_vec();
    invocations.extend(counted.invocations("sweep").iter().skip(ticks));
    let round = bill(counted.by("refcheck").chain(wakes), &invocations);
    (month, times(&round, MONTH_MINUTES / rounds as f64))
}

fn times(bill: &Bill, factor: f64) -> Bill {
    bill.iter().map(|(what, (amount, usd))| (*what, (amount * factor, usd * factor))).collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "whether to write or to compare is said by the task")]
fn a_release_and_a_month_at_rest_cost_what_the_page_says() {
    let stage = Stage::set(1, "20s", Weather { kills: 0, faults: false, seed: 1 });
    // The first release finds nothing that runs before it; people make the others.
    release(&stage, 0, 0);
    Counted::take(&stage);
    release(&stage, 0, 1);
    let counted = Counted::take(&stage);
    let release = of_release(&counted);
    std::thread::sleep(IDLE);
    let (month, repository) = of_month(&Counted::take(&stage));
    let page = page(&counted, &release, &month, &repository);
    let path = root().join("docs/cost.md");
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    for (what, usd, goal) in [
        ("A thousand releases", total(&release) * 1_000.0, GOALS.0),
        ("A month at rest", total(&month) + total(&repository), GOALS.1),
    ] {
        let said: f64 = said(&written, what);
        assert!(
            (usd - said).abs() < SPREAD * said,
            "{what}: {usd} by count, {said} in docs/cost.md; `cargo xtask cost`"
        );
        assert!(said < goal, "{what}: {said}, and the goal is {goal}");
    }
}

/// The dollars that a page says for something.
fn said(page: &str, what: &str) -> f64 {
    let line = page.lines().find(|line| line.starts_with(&format!("| {what}"))).unwrap();
    line.split('|').nth(2).unwrap().trim().parse().unwrap()
}

fn page(counted: &Counted, release: &Bill, month: &Bill, repository: &Bill) -> String {
    let mut page = String::new();
    let _ = write!(
        page,
        "# Cost on AWS\n\n\
         Written by `cargo xtask cost`, which counts the calls, bytes and milliseconds of the functions on the stack that the\n\
         template makes, on moto, and multiplies them by the list prices of us-east-1 of {DATE}, without free tiers. Builds\n\
         (CodeBuild) and storage are not in it. Milliseconds are those of unoptimized functions on the machine that counted,\n\
         with the time that moto took to answer: AWS needs less. Logs are taken as {LOG} bytes an invocation.\n\n\
         | | US dollars | goal |\n| --- | --- | --- |\n\
         | A thousand releases, from a push to the last step | {:.3} | {} |\n\
         | A month at rest, with one repository | {:.2} | {} |\n\
         | Each repository more, a month | {:.2} | |\n\n",
        total(release) * 1_000.0,
        GOALS.0,
        total(month) + total(repository),
        GOALS.1,
        total(repository),
    );
    for (title, bill, factor) in [
        ("A thousand releases", release, 1_000.0),
        ("A month at rest, without repositories", month, 1.0),
        ("The check of one repository each minute, for a month", repository, 1.0),
    ] {
        let _ = write!(page, "## {title}\n\n| | amount | US dollars |\n| --- | --- | --- |\n");
        for (what, (amount, usd)) in bill {
            let _ = writeln!(page, "| {what} | {} | {:.4} |", amount_of(amount * factor), usd * factor);
        }
        page.push('\n');
    }
    let _ = write!(
        page,
        "## The calls of one release\n\n| function | invocations | calls |\n| --- | --- | --- |\n"
    );
    for function in FUNCTIONS.iter().filter(|function| **function != "sweep") {
        let mut calls: BTreeMap<&str, usize> = BTreeMap::new();
        for asked in counted.by(function) {
            *calls.entry(&asked.call).or_default() += 1;
        }
        let calls: Vec<String> = calls.iter().map(|(call, n)| format!("{n} {call}")).collect();
        if !calls.is_empty() {
            let _ = writeln!(
                page,
                "| {function} | {} | {} |",
                counted.invocations(function).len(),
                calls.join(", ")
            );
        }
    }
    page
}

fn amount_of(amount: f64) -> String {
    if amount < 1.0 { format!("{amount:.6}") } else { format!("{amount:.0}") }
}
