//! The run while it goes on: what the loops tell is put together each second, for thresholds that abort and for people.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::checks::Checks;
use super::lane::{Run, Stop};
use super::worker::News;
use super::{Settings, Status};
use crate::fiber::Lag;
use crate::metrics::{Builtin, NoTags, Store};

/// What all loops have counted.
pub(super) struct Total {
    pub(super) store: Store,
    pub(super) checks: Checks,
    pub(super) lag: Lag,
    pub(super) duration: Duration,
}

/// Hears from the loops until all are done.
pub(super) struct Watch<'a> {
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
    /// Of so many loops; `empty` has the metrics and parts that are wanted.
    pub(super) fn new(
        run: &'a Arc<Run>,
        empty: Store,
        heard: &'a Receiver<News>,
        loops: usize,
        settings: &'a mut Settings,
    ) -> Self {
        Self {
            run,
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
    pub(super) fn until_ready(&mut self) {
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

    /// Waits until all loops are done, and puts together what they have counted.
    pub(super) fn until_done(&mut self, begun: Instant) -> Total {
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
