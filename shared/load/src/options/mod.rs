//! The options of a run: what the script exports, and what flags say instead.

pub(crate) mod duration;
mod fields;
mod http;
mod scenario;
mod segment;
mod threshold;

use std::time::Duration;

use serde_json::Value;

use self::fields::Fields;
use crate::metrics::{TagList, percentile};
pub(crate) use http::{HttpOptions, network};
pub(crate) use scenario::{Executor, Scenario, Stage};
pub(crate) use segment::Segment;
pub(crate) use threshold::{Threshold, Thresholds, parts};

/// Checked options.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) thresholds: Vec<Thresholds>,
    pub(crate) tags: TagList,
    pub(crate) setup_timeout: Duration,
    pub(crate) teardown_timeout: Duration,
    pub(crate) no_setup: bool,
    pub(crate) no_teardown: bool,
    pub(crate) min_iteration: Duration,
    /// Requests a second of all VUs together.
    pub(crate) rps: Option<u64>,
    pub(crate) trend_stats: Vec<String>,
    pub(crate) time_unit: Option<String>,
    pub(crate) system_tags: Vec<String>,
    pub(crate) http: HttpOptions,
    /// The part of the run that is executed here.
    pub(crate) segment: Segment,
    /// The options as the script sees them.
    pub(crate) raw: Value,
}

/// What flags say; each stands above the script's own.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--vus`
    pub vus: Option<u64>,
    /// `--iterations`
    pub iterations: Option<u64>,
    /// `--duration`, as k6 writes durations.
    pub duration: Option<String>,
    /// `--stage`, as in `30s:10`; may be given several times.
    pub stages: Vec<String>,
    /// `--tag name=value`
    pub tags: Vec<(String, String)>,
    /// `--summary-trend-stats`
    pub summary_trend_stats: Option<Vec<String>>,
    /// `--summary-time-unit`: s, ms or us.
    pub summary_time_unit: Option<String>,
    /// `--insecure-skip-tls-verify`
    pub insecure: bool,
    /// `--user-agent`
    pub user_agent: Option<String>,
    /// `--rps`
    pub rps: Option<u64>,
    /// `--max-redirects`
    pub max_redirects: Option<u32>,
    /// `--discard-response-bodies`
    pub discard_bodies: bool,
    /// `--no-connection-reuse`
    pub no_reuse: bool,
    /// `--no-vu-connection-reuse`
    pub no_vu_reuse: bool,
    /// `--no-setup`
    pub no_setup: bool,
    /// `--no-teardown`
    pub no_teardown: bool,
    /// `--no-thresholds`
    pub no_thresholds: bool,
    /// `--throw`
    pub throw: bool,
    /// `--execution-segment`, as in `0:1/2`.
    pub segment: Option<String>,
}

/// What k6 knows and we do not, and what to do instead.
const REFUSED: [(&str, &str); 8] = [
    ("executionSegmentSequence", "leave it out: the segment alone says what is executed"),
    ("tlsCipherSuites", "leave it out: the ciphers are rustls's safe ones"),
    ("tlsAuth", "client certificates are not supported"),
    ("tlsVersion", "leave it out: TLS 1.2 and 1.3 are spoken"),
    ("dns", "leave it out: names are looked up once a run by the system"),
    ("localIPs", "leave it out: the system chooses the address"),
    ("blockHostnames", "use blacklistIPs, or the allow-list of targets"),
    ("httpDebug", "use the flag --http-debug of k6 itself"),
];

/// What has no meaning here, and does no harm.
const IGNORED: [&str; 12] = [
    "ext",
    "cloud",
    "paused",
    "linger",
    "noUsageReport",
    "metricSamplesBufferSize",
    "noSummary",
    "summaryExport",
    "consoleOutput",
    "duration",
    "iterations",
    "vus",
];

const SYSTEM_TAGS: [&str; 14] = [
    "proto",
    "subproto",
    "status",
    "method",
    "url",
    "name",
    "group",
    "check",
    "error",
    "error_code",
    "tls_version",
    "scenario",
    "service",
    "expected_response",
];

impl Options {
    /// Reads what the script exports (`null` when it exports none), and sets what flags say.
    ///
    /// # Errors
    /// A message that names the option, and says what to do.
    pub(crate) fn read(exported: &Value, flags: &Overrides) -> Result<Self, String> {
        let empty = serde_json::Map::new();
        let all = match exported {
            Value::Null => &empty,
            Value::Object(all) => all,
            _ => return Err("options: must be an object".to_owned()),
        };
        for (name, instead) in REFUSED {
            if all.get(name).is_some_and(|value| !value.is_null()) {
                return Err(format!("options: {name} is not supported: {instead}"));
            }
        }
        let mut fields = Fields::new(all);
        let read = Self::read_fields(&mut fields, flags).and_then(|read| {
            REFUSED.iter().map(|(name, _)| *name).chain(IGNORED).for_each(|name| fields.ignore(name));
            fields.done().map(|()| read)
        });
        let mut read = read.map_err(|error| format!("options: {error}"))?;
        read.raw = exported.clone();
        Ok(read)
    }

    fn read_fields(fields: &mut Fields<'_>, flags: &Overrides) -> Result<Self, String> {
        let scenarios = scenarios(fields, flags)?;
        let seconds = |n| Duration::from_secs(n);
        let thresholds = fields.take("thresholds").map(threshold::read).transpose()?.unwrap_or_default();
        let mut tags = TagList::default();
        for (name, value) in fields.texts("tags")?.iter().chain(&flags.tags) {
            tags.set(name, value);
        }
        let no_thresholds = fields.flag("noThresholds")?.unwrap_or(false) || flags.no_thresholds;
        let segment = fields.text("executionSegment")?;
        let segment = flags.segment.clone().or(segment);
        let listed = fields.list("summaryTrendStats")?;
        let time_unit = fields.text("summaryTimeUnit")?.filter(|unit| !unit.is_empty());
        let time_unit = flags.summary_time_unit.clone().or(time_unit);
        Ok(Self {
            scenarios,
            thresholds: if no_thresholds { Vec::new() } else { thresholds },
            tags,
            setup_timeout: fields.duration("setupTimeout")?.unwrap_or(seconds(60)),
            teardown_timeout: fields.duration("teardownTimeout")?.unwrap_or(seconds(60)),
            no_setup: fields.flag("noSetup")?.unwrap_or(false) || flags.no_setup,
            no_teardown: fields.flag("noTeardown")?.unwrap_or(false) || flags.no_teardown,
            min_iteration: fields.duration("minIterationDuration")?.unwrap_or_default(),
            rps: flags.rps.or(fields.whole("rps")?).filter(|rps| *rps > 0),
            trend_stats: trend_stats(flags.summary_trend_stats.clone().or(listed))?,
            time_unit: checked_unit(time_unit)?,
            system_tags: system_tags(fields.list("systemTags")?)?,
            http: HttpOptions::read(fields, flags)?,
            segment: segment.as_deref().map(Segment::parse).transpose()?.unwrap_or_default(),
            raw: Value::Null,
        })
    }
}

impl Options {
    /// VUs of this part of the run, at most.
    pub(crate) fn max_vus(&self) -> u64 {
        self.scenarios.iter().map(|scenario| self.segment.count(scenario.executor.max_vus())).sum()
    }
}

fn trend_stats(listed: Option<Vec<String>>) -> Result<Vec<String>, String> {
    let Some(listed) = listed else {
        return Ok(["avg", "min", "med", "max", "p(90)", "p(95)"].map(str::to_owned).into());
    };
    let known = |name: &&String| {
        ["avg", "min", "med", "max", "count"].contains(&name.as_str()) || percentile(name).is_some()
    };
    match listed.iter().find(|name| !known(name)) {
        Some(other) => Err(format!("summaryTrendStats: {other:?} must be avg, min, med, max, count or p(N)")),
        None => Ok(listed),
    }
}

fn checked_unit(unit: Option<String>) -> Result<Option<String>, String> {
    match unit.as_deref() {
        Some("s" | "ms" | "us") | None => Ok(unit),
        Some(other) => Err(format!("summaryTimeUnit: {other:?} must be s, ms or us")),
    }
}

fn system_tags(listed: Option<Vec<String>>) -> Result<Vec<String>, String> {
    let Some(listed) = listed else { return Ok(SYSTEM_TAGS.map(str::to_owned).into()) };
    let known =
        |name: &str| SYSTEM_TAGS.contains(&name) || ["vu", "iter", "ip", "ocsp_status"].contains(&name);
    match listed.iter().find(|name| !known(name)) {
        Some(other) => Err(format!("systemTags: there is no tag {other:?}")),
        None => Ok(listed),
    }
}

/// What is executed: scenarios, or one that stands for the short forms.
fn scenarios(fields: &mut Fields<'_>, flags: &Overrides) -> Result<Vec<Scenario>, String> {
    let given = flags.iterations.is_some() || flags.duration.is_some() || !flags.stages.is_empty();
    let listed = fields.take("scenarios");
    let stages = fields.take("stages").map(scenario::read_stages).transpose()?;
    let (vus, iterations, duration) =
        (fields.whole("vus")?, fields.whole("iterations")?, fields.duration("duration")?);
    if let Some(listed) = listed
        && !given
        && flags.vus.is_none()
    {
        let listed = listed.as_object().ok_or("scenarios: must be an object")?;
        if listed.is_empty() {
            return Err("scenarios: must not be empty".to_owned());
        }
        if stages.is_some() || iterations.is_some() || duration.is_some() {
            return Err("scenarios: cannot stand beside stages, iterations or duration".to_owned());
        }
        return scenario::read(listed);
    }
    let vus = flags.vus.or(vus);
    // A flag for how long or how often stands above all that the script says of it.
    let (iterations, duration, stages) = if given {
        let stages =
            flags.stages.iter().map(|text| scenario::parse_stages(text)).collect::<Result<Vec<_>, _>>()?;
        let stages = stages.concat();
        let duration = flags.duration.as_deref().map(duration::parse).transpose()?;
        (flags.iterations, duration, (!stages.is_empty()).then_some(stages))
    } else {
        (iterations, duration, stages)
    };
    Ok(vec![Scenario::with(short_form(vus, iterations, duration, stages)?)])
}

fn short_form(
    vus: Option<u64>,
    iterations: Option<u64>,
    duration: Option<Duration>,
    stages: Option<Vec<Stage>>,
) -> Result<Executor, String> {
    let count = vus.unwrap_or(1).max(1);
    match (iterations, duration, stages) {
        (Some(_), _, Some(_)) => Err("iterations and stages cannot be used together".to_owned()),
        (_, Some(_), Some(_)) => Err("duration and stages cannot be used together".to_owned()),
        (Some(iterations), _, _) if iterations < count => {
            Err(format!("iterations {iterations} must not be less than vus {count}"))
        }
        (Some(iterations), duration, None) => Ok(Executor::SharedIterations {
            vus: count,
            iterations,
            max_duration: duration.unwrap_or(Duration::from_mins(10)),
        }),
        (None, Some(duration), None) => Ok(Executor::ConstantVus { vus: count, duration }),
        (None, None, Some(stages)) => Ok(Executor::RampingVus {
            start_vus: vus.unwrap_or(1),
            stages,
            graceful_ramp_down: Duration::from_secs(30),
        }),
        (None, None, None) => {
            Ok(Executor::PerVuIterations { vus: count, iterations: 1, max_duration: Duration::from_mins(10) })
        }
    }
}

#[cfg(test)]
mod tests;
