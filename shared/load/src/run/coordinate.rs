//! The run's own thread: it prepares, begins, watches, ends and sums up.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::lane::{Run, Stop};
use super::plan::shares;
use super::service::{Failed, Service};
use super::watch::{Total, Watch};
use super::worker::Worker;
use super::{Settings, Verdict};
use crate::http::Network;
use crate::limits::Limits;
use crate::log::Log;
use crate::metrics::{Names, Store, Submetric};
use crate::options::{Options, Overrides, Thresholds, parts};
use crate::output::Sink;
use crate::script::{Phase, Sources};
use crate::slice::Slice;
use crate::summary::{Report, write as write_summary};

/// How long init code and `handleSummary` may take.
const ONCE: Duration = Duration::from_mins(2);

/// Runs a script, and says what came of it. Blocks until all is written.
pub fn run(mut settings: Settings) -> Verdict {
    let stderr = std::mem::replace(&mut settings.stderr, Box::new(std::io::sink()));
    let log = Arc::new(Log::new(stderr, settings.verbose, settings.started));
    let verdict = Prepared::new(&settings, &log).and_then(|prepared| prepared.execute(&mut settings));
    let verdict = verdict.unwrap_or_else(|verdict| verdict);
    match &verdict {
        Verdict::Passed => {}
        Verdict::Crossed(metrics) => {
            log.say(
                "error",
                &format!("thresholds on metrics '{}' have been crossed", metrics.join(", ")),
                &[],
            );
        }
        Verdict::Invalid(why) | Verdict::Configuration(why) | Verdict::Failed(why) => {
            log.say("error", why, &[]);
        }
        Verdict::Script(why) => log.say("error", why, &[("hint", "script exception")]),
        Verdict::Stopped => log.say("error", "test run was aborted because it was stopped from outside", &[]),
        Verdict::Aborted(why) => log.say("error", why, &[]),
        Verdict::SetupTimeout => log.say("error", "setup() execution timed out: raise setupTimeout", &[]),
        Verdict::TeardownTimeout => {
            log.say("error", "teardown() execution timed out: raise teardownTimeout", &[]);
        }
    }
    verdict
}

/// A run whose script is known to be good.
struct Prepared {
    run: Arc<Run>,
    wanted: Arc<Vec<Submetric>>,
    sinks: Vec<Arc<Sink>>,
    has_setup: bool,
    has_teardown: bool,
    has_summary: bool,
}

impl Prepared {
    fn new(settings: &Settings, log: &Arc<Log>) -> Result<Self, Verdict> {
        let configuration = Verdict::Configuration;
        let path = std::path::absolute(&settings.script).and_then(std::fs::canonicalize);
        let path = path.map_err(|error| configuration(format!("{}: {error}", settings.script.display())))?;
        let (sources, names) = (Arc::new(Sources::new(path)), Arc::new(Names::default()));
        let env = Arc::new(settings.env.clone());
        let with = |options: Options, network: Network| {
            let (sources, names, env) = (Arc::clone(&sources), Arc::clone(&names), Arc::clone(&env));
            Run::new(sources, names, env, Arc::clone(log), options, Arc::new(network), settings.memory)
        };
        let plain = Options::read(&Value::Null, &Overrides::default()).map_err(configuration)?;
        let network = Network::new(plain.http.clone(), Limits::new(settings.ceiling.clone()), None);
        let service = Service::new(&with(plain, network), &Arc::default(), &[]).map_err(engine)?;
        let look = service.with(Phase::Init, ONCE, |script| {
            let exports: Vec<&str> =
                ["setup", "teardown", "handleSummary"].into_iter().filter(|n| script.has(n)).collect();
            Ok((script.exported("options")?, exports, script.functions()))
        });
        let (options, exports, functions) = look.map_err(|failed| init_failed(&failed))?;
        let options: Value =
            serde_json::from_str(&options).map_err(|error| configuration(error.to_string()))?;
        let options = Options::read(&options, &settings.overrides).map_err(configuration)?;
        if let Some(scenario) = options.scenarios.iter().find(|scenario| !functions.contains(&scenario.exec))
        {
            let (name, exec) = (&scenario.name, &scenario.exec);
            return Err(configuration(format!("scenario {name}: the script exports no function {exec:?}")));
        }
        let limits = Limits::new(settings.ceiling.clone());
        limits.check(&options).map_err(configuration)?;
        let wanted = Arc::new(parts(&options.thresholds, &names).map_err(configuration)?);
        let sinks = open_sinks(settings, &names, &wanted, &options.thresholds)?;
        let network = Network::new(options.http.clone(), limits, options.rps);
        let has = |name| exports.contains(&name);
        let (has_setup, has_teardown) =
            (has("setup") && !options.no_setup, has("teardown") && !options.no_teardown);
        let (has_summary, run) = (has("handleSummary"), with(options, network));
        Ok(Self { run, wanted, sinks, has_setup, has_teardown, has_summary })
    }

    fn execute(self, settings: &mut Settings) -> Result<Verdict, Verdict> {
        if !settings.quiet {
            crate::summary::banner(settings, &self.run.options);
        }
        let service = Service::new(&self.run, &self.wanted, &self.sinks).map_err(engine)?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let loops = if settings.loops == 0 { cores } else { settings.loops };
        let (news, heard) = channel();
        let mut threads = Vec::new();
        for (number, shares) in shares(&self.run.options, loops).into_iter().enumerate() {
            let worker = Worker {
                number,
                run: Arc::clone(&self.run),
                wanted: Arc::clone(&self.wanted),
                sinks: self.sinks.clone(),
                shares,
                news: news.clone(),
                watched: true,
            };
            let name = format!("load-{number}");
            threads.push(std::thread::Builder::new().name(name).spawn(move || worker.run()).map_err(engine)?);
        }
        drop(news);
        let empty = Store::new(Arc::clone(&self.run.names), Arc::clone(&self.wanted));
        let mut watch = Watch::new(&self.run, empty, &heard, threads.len(), settings);
        watch.until_ready();
        let setup = if self.has_setup && !self.run.is_stopping() {
            self.setup(&service)
        } else {
            Ok("null".to_owned())
        };
        match &setup {
            // Nobody else sets it.
            Ok(json) => drop(self.run.data.set(json.clone())),
            Err(_) => self.run.stop(Stop::Failed("setup failed".to_owned())),
        }
        let begun = Instant::now() + Duration::from_millis(10);
        // Nobody else sets it.
        let _ = self.run.begun.set(begun);
        let mut total = watch.until_done(begun);
        for thread in threads {
            if thread.join().is_err() {
                self.run.stop(Stop::Failed("an event loop ended early".to_owned()));
            }
        }
        let setup_failed = setup.as_ref().err().cloned();
        let mut teardown_failed = None;
        if self.has_teardown && setup_failed.is_none() && !matches!(self.run.why(), Some(Stop::Failed(_))) {
            teardown_failed = self.teardown(&service).err();
        }
        let (store, checks) = service.counted();
        total.store.merge(&store);
        total.checks.merge(&checks);
        let report = self.report(settings, total);
        // A slice is judged with the others.
        let crossed = if settings.slice.is_some() { Vec::new() } else { report.crossed() };
        self.write(settings, &service, &report)?;
        if let Some(error) = self.sinks.iter().find_map(|sink| sink.error()) {
            return Err(Verdict::Failed(error));
        }
        if let Some(verdict) = setup_failed.or(teardown_failed) {
            return Ok(verdict);
        }
        Ok(match self.run.why() {
            Some(Stop::Failed(why)) => Verdict::Script(why),
            Some(Stop::Script(why)) => Verdict::Aborted(format!("test aborted: {why}")),
            _ if report.late() => Verdict::Invalid(report.lateness()),
            Some(Stop::Threshold) => Verdict::Crossed(crossed),
            _ if !crossed.is_empty() => Verdict::Crossed(crossed),
            Some(Stop::Asked) => Verdict::Stopped,
            None => Verdict::Passed,
        })
    }

    fn setup(&self, service: &Service) -> Result<String, Verdict> {
        let limit = self.run.options.setup_timeout;
        let made = service.with(Phase::Setup, limit, |script| {
            let value = script.call("setup", &[])?;
            Ok(script.stringify(&value)?.unwrap_or_else(|| "null".to_owned()))
        });
        made.map_err(|failed| match failed {
            Failed::TimedOut => Verdict::SetupTimeout,
            Failed::Threw(thrown) => Verdict::Script(thrown.message),
            Failed::Engine(why) => Verdict::Failed(why),
        })
    }

    fn teardown(&self, service: &Service) -> Result<(), Verdict> {
        let data = self.run.data.get().cloned().unwrap_or_else(|| "null".to_owned());
        let made = service.with(Phase::Teardown, self.run.options.teardown_timeout, move |script| {
            let data = script.parse(&data)?;
            script.call("teardown", &[data]).map(drop)
        });
        made.map_err(|failed| match failed {
            Failed::TimedOut => Verdict::TeardownTimeout,
            Failed::Threw(thrown) => Verdict::Script(thrown.message),
            Failed::Engine(why) => Verdict::Failed(why),
        })
    }

    fn report(&self, settings: &Settings, total: Total) -> Report {
        let run = &self.run;
        Report {
            options: run.options.clone(),
            store: total.store,
            checks: total.checks,
            lag: total.lag,
            max_lag: settings.max_lag,
            duration: total.duration,
            complete: run.total(|progress| &progress.complete),
            interrupted: run.total(|progress| &progress.interrupted),
            setup_data: run.data.get().cloned(),
        }
    }

    fn write(&self, settings: &mut Settings, service: &Service, report: &Report) -> Result<(), Verdict> {
        let own = if self.has_summary {
            let data = report.data().to_string();
            let made = service.with(Phase::Summary, ONCE, move |script| {
                let data = script.parse(&data)?;
                let made = script.call("handleSummary", &[data])?;
                Ok(script.stringify(&made)?.unwrap_or_else(|| "null".to_owned()))
            });
            match made {
                Ok(made) => Some(made),
                Err(failed) => {
                    let why = failed.message();
                    service.lane().run.log.say(
                        "error",
                        &format!("handleSummary() failed, the usual summary follows: {why}"),
                        &[],
                    );
                    None
                }
            }
        } else {
            None
        };
        if let Some(path) = &settings.slice {
            let slice =
                Slice::of(report).and_then(|slice| serde_json::to_string(&slice).map_err(|e| e.to_string()));
            let written =
                slice.and_then(|text| std::fs::write(path, text).map_err(|error| error.to_string()));
            written.map_err(|error| Verdict::Failed(format!("{}: {error}", path.display())))?;
        }
        write_summary(settings, report, own.as_deref()).map_err(Verdict::Failed)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to `map_err`")]
fn engine(error: std::io::Error) -> Verdict {
    Verdict::Failed(format!("the engine has no event loop: {error}"))
}

fn init_failed(failed: &Failed) -> Verdict {
    match failed {
        Failed::Engine(why) => Verdict::Failed(why.clone()),
        _ => Verdict::Script(failed.message()),
    }
}

impl Failed {
    fn message(&self) -> String {
        match self {
            Self::TimedOut => "the script did not end in time".to_owned(),
            Self::Threw(thrown) => thrown.message.clone(),
            Self::Engine(why) => why.clone(),
        }
    }
}

fn open_sinks(
    settings: &Settings,
    names: &Arc<Names>,
    wanted: &Arc<Vec<Submetric>>,
    thresholds: &[Thresholds],
) -> Result<Vec<Arc<Sink>>, Verdict> {
    let listed: Vec<(String, Vec<String>)> = thresholds
        .iter()
        .map(|of| (of.metric.clone(), of.all.iter().map(|threshold| threshold.source.clone()).collect()))
        .collect();
    let open = |form| {
        Sink::open(form, Arc::clone(names), Arc::clone(wanted), listed.clone())
            .map_err(|error| Verdict::Configuration(format!("--out: {error}")))
    };
    settings.outputs.iter().map(open).collect()
}
