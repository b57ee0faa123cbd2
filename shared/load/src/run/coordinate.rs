//! The run's own thread: it prepares, begins, watches, ends and sums up.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::checks::Checks;
use super::lane::{Run, Stop};
use super::plan::shares;
use super::service::{Failed, Service};
use super::worker::{News, Worker};
use super::{Settings, Status, Verdict};
use crate::fiber::Lag;
use crate::http::Network;
use crate::limits::Limits;
use crate::log::Log;
use crate::metrics::{Builtin, Names, NoTags, Store, Submetric};
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
        let mut watch = Watch::new(&self, &heard, threads.len(), settings);
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

/// What all loops have counted.
struct Total {
    store: Store,
    checks: Checks,
    lag: Lag,
    duration: Duration,
}

/// Hears from the loops until all are done.
struct Watch<'a> {
    run: &'a Arc<Run>,
    heard: &'a Receiver<News>,
    loops: usize,
    so_far: HashMap<usize, (Store, Lag)>,
    done: Vec<(Store, Checks, Lag)>,
    /// What is known of the VUs, each second.
    own: Store,
    empty: Store,
    stop: Arc<AtomicBool>,
    status: Option<&'a mut (dyn FnMut(&Status) + Send)>,
    requests: f64,
}

impl<'a> Watch<'a> {
    fn new(
        prepared: &'a Prepared,
        heard: &'a Receiver<News>,
        loops: usize,
        settings: &'a mut Settings,
    ) -> Self {
        let empty = Store::new(Arc::clone(&prepared.run.names), Arc::clone(&prepared.wanted));
        Self {
            run: &prepared.run,
            heard,
            loops,
            so_far: HashMap::new(),
            done: Vec::new(),
            own: empty.clone(),
            empty,
            stop: Arc::clone(&settings.stop),
            status: settings.watch.as_mut().map(|watch| &mut **watch as &mut (dyn FnMut(&Status) + Send)),
            requests: 0.0,
        }
    }

    /// Waits until all VUs are made, or the run is over before it began.
    fn until_ready(&mut self) {
        let mut ready = 0;
        while ready < self.loops {
            self.look();
            match self.heard.recv_timeout(Duration::from_millis(50)) {
                Ok(News::Ready) => ready += 1,
                Ok(other) => self.take(other),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.done.len() == self.loops {
                return;
            }
        }
    }

    fn until_done(&mut self, begun: Instant) -> Total {
        let mut next = begun + Duration::from_secs(1);
        loop {
            self.look();
            match self.heard.recv_timeout(Duration::from_millis(20)) {
                Ok(news) => self.take(news),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if Instant::now() >= next && self.done.len() < self.loops {
                next += Duration::from_secs(1);
                self.each_second(begun);
            }
        }
        let duration = begun.elapsed();
        let mut total = Total {
            store: std::mem::replace(&mut self.own, self.empty.clone()),
            checks: Checks::default(),
            lag: Lag::default(),
            duration,
        };
        for (store, checks, lag) in self.done.drain(..) {
            total.store.merge(&store);
            total.checks.merge(&checks);
            total.lag.0.merge(&lag.0);
        }
        total
    }

    fn look(&self) {
        if self.stop.load(Ordering::Relaxed) && !self.run.is_stopping() {
            self.run.stop(Stop::Asked);
        }
    }

    fn take(&mut self, news: News) {
        match news {
            News::Ready => {}
            News::SoFar { loop_, store, lag } => drop(self.so_far.insert(loop_, (*store, *lag))),
            News::Done { store, checks, lag } => self.done.push((*store, checks, *lag)),
        }
    }

    fn each_second(&mut self, begun: Instant) {
        let now = self.run.elapsed(Instant::now());
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        for (id, number) in [
            (Builtin::Vus.id(), self.run.total(|progress| &progress.active) as f64),
            (Builtin::VusMax.id(), self.run.total(|progress| &progress.made) as f64),
        ] {
            self.own.add(id, number, now, &NoTags);
        }
        let mut so_far = self.empty.clone();
        self.so_far.values().for_each(|(store, _)| so_far.merge(store));
        self.done.iter().for_each(|(store, ..)| so_far.merge(store));
        self.abort_if_crossed(&so_far, begun.elapsed());
        self.tell(&so_far, begun.elapsed());
    }

    fn abort_if_crossed(&self, so_far: &Store, elapsed: Duration) {
        for of in &self.run.options.thresholds {
            let sink = so_far.find(&of.metric);
            let judged = sink.is_some_and(|sink| !sink.is_empty());
            let crossed = of.all.iter().any(|threshold| {
                threshold.abort && elapsed >= threshold.delay && !threshold.holds(sink, elapsed.as_secs_f64())
            });
            if judged && crossed && !self.run.is_stopping() {
                self.run.stop(Stop::Threshold);
            }
        }
    }

    fn tell(&mut self, so_far: &Store, elapsed: Duration) {
        let Some(status) = &mut self.status else { return };
        let figure = |id: crate::metrics::MetricId, name| {
            so_far.sink(id).and_then(|sink| sink.figure(name, 1.0)).unwrap_or(0.0)
        };
        let mut lag = Lag::default();
        self.so_far.values().for_each(|(_, late)| lag.0.merge(&late.0));
        let requests = figure(Builtin::HttpReqs.id(), "count");
        let progress =
            self.run.options.scenarios.iter().zip(&self.run.progress).map(|(options, progress)| {
                let since = elapsed.saturating_sub(options.start).as_secs_f64();
                let by_time = since / options.executor.duration().as_secs_f64().max(f64::MIN_POSITIVE);
                #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
                let by_work = options
                    .executor
                    .iterations()
                    .map(|all| self.run.options.segment.count(all))
                    .map_or(0.0, |all| progress.complete.load(Ordering::Relaxed) as f64 / all.max(1) as f64);
                (options.name.clone(), by_time.max(by_work).min(1.0))
            });
        status(&Status {
            elapsed,
            active: self.run.total(|progress| &progress.active),
            made: self.run.total(|progress| &progress.made),
            complete: self.run.total(|progress| &progress.complete),
            interrupted: self.run.total(|progress| &progress.interrupted),
            dropped: self.run.total(|progress| &progress.dropped),
            scenarios: progress.collect(),
            requests_per_second: requests - self.requests,
            p95_ms: figure(Builtin::HttpReqDuration.id(), "p(95)"),
            lag_ms: lag.0.quantile(0.99),
            failed: figure(Builtin::HttpReqFailed.id(), "rate"),
        });
        self.requests = requests;
    }
}
