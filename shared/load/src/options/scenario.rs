//! Scenarios: who does what, when, and how often. Executors and their fields are k6's.

use std::time::Duration;

use serde_json::{Map, Value};

use super::duration;
use super::fields::Fields;
use crate::metrics::TagList;

/// A part of a run with an executor of its own.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) executor: Executor,
    /// The exported function that is an iteration.
    pub(crate) exec: String,
    pub(crate) start: Duration,
    pub(crate) graceful_stop: Duration,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) tags: TagList,
}

/// A target that is reached in proportion, over a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stage {
    pub(crate) duration: Duration,
    pub(crate) target: u64,
}

/// When iterations begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Executor {
    /// So many VUs, one iteration after the other.
    ConstantVus { vus: u64, duration: Duration },
    /// VUs by stages, one iteration after the other.
    RampingVus { start_vus: u64, stages: Vec<Stage>, graceful_ramp_down: Duration },
    /// So many iterations by each of the VUs.
    PerVuIterations { vus: u64, iterations: u64, max_duration: Duration },
    /// So many iterations by all VUs together.
    SharedIterations { vus: u64, iterations: u64, max_duration: Duration },
    /// So many iterations begin in each time unit.
    ConstantArrivalRate { rate: u64, time_unit: Duration, duration: Duration, vus: u64, max_vus: u64 },
    /// Iterations begin at a rate by stages.
    RampingArrivalRate { start_rate: u64, time_unit: Duration, stages: Vec<Stage>, vus: u64, max_vus: u64 },
}

const GRACE: Duration = Duration::from_secs(30);
const TEN_MINUTES: Duration = Duration::from_mins(10);

impl Executor {
    /// k6's name for it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::ConstantVus { .. } => "constant-vus",
            Self::RampingVus { .. } => "ramping-vus",
            Self::PerVuIterations { .. } => "per-vu-iterations",
            Self::SharedIterations { .. } => "shared-iterations",
            Self::ConstantArrivalRate { .. } => "constant-arrival-rate",
            Self::RampingArrivalRate { .. } => "ramping-arrival-rate",
        }
    }

    /// The most VUs that it needs.
    pub(crate) fn max_vus(&self) -> u64 {
        match self {
            Self::ConstantVus { vus, .. }
            | Self::PerVuIterations { vus, .. }
            | Self::SharedIterations { vus, .. } => *vus,
            Self::RampingVus { start_vus, stages, .. } => {
                stages.iter().map(|stage| stage.target).max().unwrap_or(0).max(*start_vus)
            }
            Self::ConstantArrivalRate { max_vus, .. } | Self::RampingArrivalRate { max_vus, .. } => *max_vus,
        }
    }

    /// The VUs that are made before it begins.
    pub(crate) fn first_vus(&self) -> u64 {
        match self {
            Self::ConstantArrivalRate { vus, .. } | Self::RampingArrivalRate { vus, .. } => *vus,
            other => other.max_vus(),
        }
    }

    /// How long iterations may begin.
    pub(crate) fn duration(&self) -> Duration {
        match self {
            Self::ConstantVus { duration, .. } | Self::ConstantArrivalRate { duration, .. } => *duration,
            Self::PerVuIterations { max_duration, .. } | Self::SharedIterations { max_duration, .. } => {
                *max_duration
            }
            Self::RampingVus { stages, .. } | Self::RampingArrivalRate { stages, .. } => {
                stages.iter().map(|stage| stage.duration).sum()
            }
        }
    }

    /// How many iterations it has to do, where that is known.
    pub(crate) fn iterations(&self) -> Option<u64> {
        match self {
            Self::PerVuIterations { vus, iterations, .. } => Some(vus * iterations),
            Self::SharedIterations { iterations, .. } => Some(*iterations),
            _ => None,
        }
    }

    /// As k6's banner says it.
    pub(crate) fn describe(&self) -> String {
        #[expect(clippy::cast_precision_loss, reason = "rates are small")]
        let per_second = |rate: u64, unit: &Duration| rate as f64 / unit.as_secs_f64();
        let time = duration::show(self.duration());
        match self {
            Self::ConstantVus { vus, .. } => format!("{vus} looping VUs for {time}"),
            Self::RampingVus { stages, .. } => {
                format!("Up to {} looping VUs for {time} over {} stages", self.max_vus(), stages.len())
            }
            Self::PerVuIterations { vus, iterations, .. } => {
                format!("{iterations} iterations for each of {vus} VUs (maxDuration: {time})")
            }
            Self::SharedIterations { vus, iterations, .. } => {
                format!("{iterations} iterations shared among {vus} VUs (maxDuration: {time})")
            }
            Self::ConstantArrivalRate { rate, time_unit, .. } => {
                format!("{:.2} iterations/s for {time}", per_second(*rate, time_unit))
            }
            Self::RampingArrivalRate { start_rate, time_unit, stages, .. } => {
                let most = stages.iter().map(|stage| stage.target).max().unwrap_or(0).max(*start_rate);
                let rate = per_second(most, time_unit);
                format!("Up to {rate:.2} iterations/s for {time} over {} stages", stages.len())
            }
        }
    }
}

impl Scenario {
    /// One with this executor and all else by default.
    pub(crate) fn with(executor: Executor) -> Self {
        Self {
            name: "default".to_owned(),
            executor,
            exec: "default".to_owned(),
            start: Duration::ZERO,
            graceful_stop: GRACE,
            env: Vec::new(),
            tags: TagList::default(),
        }
    }

    /// When the last iteration is interrupted, from the run's begin.
    pub(crate) fn end(&self) -> Duration {
        self.start + self.executor.duration() + self.graceful_stop
    }

    fn read(name: &str, value: &Value) -> Result<Self, String> {
        let letters = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        if name.is_empty() || !letters {
            return Err(format!("{name:?} is not a scenario's name: use letters, digits, - and _"));
        }
        let Value::Object(fields) = value else { return Err("must be an object".to_owned()) };
        let mut fields = Fields::new(fields);
        let executor = fields.text("executor")?.ok_or("needs an \"executor\"")?;
        let mut made = Self::with(read_executor(&executor, &mut fields)?);
        name.clone_into(&mut made.name);
        if let Some(exec) = fields.text("exec")? {
            made.exec = exec;
        }
        made.start = fields.duration("startTime")?.unwrap_or_default();
        made.graceful_stop = fields.duration("gracefulStop")?.unwrap_or(GRACE);
        made.env = fields.texts("env")?;
        for (name, value) in fields.texts("tags")? {
            made.tags.set(&name, &value);
        }
        fields.ignore("options");
        fields.done()?;
        Ok(made)
    }
}

fn read_executor(name: &str, fields: &mut Fields<'_>) -> Result<Executor, String> {
    let needed = |field: &str| format!("executor {name} needs {field:?}");
    let vus = |fields: &mut Fields<'_>| Ok::<_, String>(fields.whole("vus")?.unwrap_or(1).max(1));
    Ok(match name {
        "constant-vus" => Executor::ConstantVus {
            vus: vus(fields)?,
            duration: fields.duration("duration")?.ok_or_else(|| needed("duration"))?,
        },
        "ramping-vus" => Executor::RampingVus {
            start_vus: fields.whole("startVUs")?.unwrap_or(1),
            stages: read_stages(fields.take("stages").ok_or_else(|| needed("stages"))?)?,
            graceful_ramp_down: fields.duration("gracefulRampDown")?.unwrap_or(GRACE),
        },
        "per-vu-iterations" => Executor::PerVuIterations {
            vus: vus(fields)?,
            iterations: fields.whole("iterations")?.unwrap_or(1),
            max_duration: fields.duration("maxDuration")?.unwrap_or(TEN_MINUTES),
        },
        "shared-iterations" => Executor::SharedIterations {
            vus: vus(fields)?,
            iterations: fields.whole("iterations")?.unwrap_or(1),
            max_duration: fields.duration("maxDuration")?.unwrap_or(TEN_MINUTES),
        },
        "constant-arrival-rate" => {
            let (vus, max_vus) = read_pool(fields).ok_or_else(|| needed("preAllocatedVUs"))??;
            Executor::ConstantArrivalRate {
                rate: fields.whole("rate")?.filter(|rate| *rate > 0).ok_or_else(|| needed("rate"))?,
                time_unit: read_unit(fields)?,
                duration: fields.duration("duration")?.ok_or_else(|| needed("duration"))?,
                vus,
                max_vus,
            }
        }
        "ramping-arrival-rate" => {
            let (vus, max_vus) = read_pool(fields).ok_or_else(|| needed("preAllocatedVUs"))??;
            Executor::RampingArrivalRate {
                start_rate: fields.whole("startRate")?.unwrap_or(0),
                time_unit: read_unit(fields)?,
                stages: read_stages(fields.take("stages").ok_or_else(|| needed("stages"))?)?,
                vus,
                max_vus,
            }
        }
        "externally-controlled" => {
            return Err("the executor externally-controlled is not supported: use ramping-vus".to_owned());
        }
        other => return Err(format!("there is no executor {other:?}")),
    })
}

fn read_unit(fields: &mut Fields<'_>) -> Result<Duration, String> {
    let unit = fields.duration("timeUnit")?.unwrap_or(Duration::from_secs(1));
    if unit.is_zero() { Err("timeUnit must be more than 0".to_owned()) } else { Ok(unit) }
}

/// How many VUs are there at first, and at most.
fn read_pool(fields: &mut Fields<'_>) -> Option<Result<(u64, u64), String>> {
    let both = |fields: &mut Fields<'_>| {
        let first = fields.whole("preAllocatedVUs")?;
        let most = fields.whole("maxVUs")?;
        Ok(first.map(|first| (first, most.unwrap_or(first))))
    };
    match both(fields) {
        Ok(Some((first, most))) if most < first => {
            Some(Err(format!("maxVUs {most} must not be less than preAllocatedVUs {first}")))
        }
        Ok(found) => found.map(Ok),
        Err(error) => Some(Err(error)),
    }
}

/// Stages as the options have them.
pub(crate) fn read_stages(value: &Value) -> Result<Vec<Stage>, String> {
    let Value::Array(list) = value else { return Err("stages: must be a list".to_owned()) };
    let read = |value: &Value| {
        let Value::Object(fields) = value else { return Err("stages: each must be an object".to_owned()) };
        let mut fields = Fields::new(fields);
        let duration = fields.duration("duration")?.ok_or("stages: each needs a \"duration\"")?;
        let target = fields.whole("target")?.ok_or("stages: each needs a \"target\"")?;
        fields.done()?;
        Ok(Stage { duration, target })
    };
    list.iter().map(read).collect()
}

/// Stages as the flag has them: `10s:5,1m:100`.
pub(crate) fn parse_stages(text: &str) -> Result<Vec<Stage>, String> {
    let one = |part: &str| {
        let wrong = || format!("{part:?} is not a stage: write a duration and a target, as in 30s:10");
        let (time, target) = part.split_once(':').ok_or_else(wrong)?;
        Ok(Stage { duration: duration::parse(time)?, target: target.trim().parse().map_err(|_| wrong())? })
    };
    text.split(',').map(one).collect()
}

/// The scenarios of the options, by name.
pub(crate) fn read(value: &Map<String, Value>) -> Result<Vec<Scenario>, String> {
    let one = |(name, value): (&String, &Value)| {
        Scenario::read(name, value).map_err(|error| format!("scenario {name}: {error}"))
    };
    value.iter().map(one).collect()
}
