//! Load over kept connections, a thread each, on a core of its own.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::http::{Answer, Client};
use crate::process::stay_on;
use crate::stats::float;

/// Where to, over how many connections, from which core.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) connections: u32,
    pub(crate) core: usize,
}

/// When it ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// After that time.
    Time(Duration),
    /// After so many requests.
    Count(u64),
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Answers of 2xx.
    pub(crate) answered: u64,
    /// Everything else.
    pub(crate) failed: u64,
    pub(crate) seconds: f64,
    /// From when each was to be sent until its answer, in milliseconds.
    pub(crate) latencies: Vec<f64>,
    pub(crate) error: Option<String>,
}

impl Outcome {
    /// An error when anything failed.
    pub(crate) fn whole(self) -> Result<Self> {
        match &self.error {
            Some(error) => {
                anyhow::bail!("{} of {} requests failed: {error}", self.failed, self.failed + self.answered)
            }
            None => Ok(self),
        }
    }

    fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.failed += other.failed;
        self.latencies.extend(other.latencies);
        self.error = self.error.take().or(other.error);
    }
}

impl Load {
    /// As fast as it is answered. `make` makes request number n; numbers go on from `next`.
    pub(crate) fn closed(
        &self,
        until: Until,
        next: &AtomicU64,
        make: &(dyn Fn(u64) -> Vec<u8> + Sync),
    ) -> Result<Outcome> {
        let begun = Instant::now();
        let (first, limit) = (next.load(Ordering::Relaxed), until);
        self.run(begun, &|| {
            let now = Instant::now();
            if let Until::Time(time) = limit
                && now.duration_since(begun) >= time
            {
                return None;
            }
            let number = next.fetch_add(1, Ordering::Relaxed);
            let more = !matches!(limit, Until::Count(count) if number >= first + count);
            more.then(|| (make(number), Instant::now()))
        })
    }

    /// So many a second, whether the last ones were answered or not: an answer that is late is late from when its
    /// request was to be sent.
    pub(crate) fn open(
        &self,
        rate: f64,
        time: Duration,
        next: &AtomicU64,
        make: &(dyn Fn(u64) -> Vec<u8> + Sync),
    ) -> Result<Outcome> {
        let begun = Instant::now() + Duration::from_millis(50);
        let turn = AtomicU64::new(0);
        self.run(begun, &|| {
            let due = Duration::from_secs_f64(float(turn.fetch_add(1, Ordering::Relaxed)) / rate);
            let at = begun + due;
            let request = (due < time).then(|| make(next.fetch_add(1, Ordering::Relaxed)))?;
            sleep(at.saturating_duration_since(Instant::now()));
            Some((request, at))
        })
    }

    fn run(&self, begun: Instant, step: &(dyn Fn() -> Option<(Vec<u8>, Instant)> + Sync)) -> Result<Outcome> {
        let mut all = Outcome::default();
        thread::scope(|scope| {
            let workers: Vec<_> =
                (0..self.connections).map(|_| scope.spawn(move || self.work(step))).collect();
            for worker in workers {
                match worker.join() {
                    Ok(outcome) => all.add(outcome?),
                    Err(_) => anyhow::bail!("a thread of the load ended early"),
                }
            }
            anyhow::Ok(())
        })?;
        all.seconds = begun.elapsed().as_secs_f64();
        Ok(all)
    }

    fn work(&self, step: &(dyn Fn() -> Option<(Vec<u8>, Instant)> + Sync)) -> Result<Outcome> {
        stay_on(self.core)?;
        let mut outcome = Outcome::default();
        let mut client = None;
        while let Some((request, at)) = step() {
            match ask(&mut client, self.address, &request) {
                Ok(_) => {
                    outcome.answered += 1;
                    outcome.latencies.push(at.elapsed().as_secs_f64() * 1_000.0);
                }
                Err(error) => {
                    outcome.failed += 1;
                    outcome.error.get_or_insert_with(|| error.to_string());
                }
            }
        }
        Ok(outcome)
    }
}

/// One request, without a retry, on the kept connection if there is one.
fn ask(client: &mut Option<Client>, address: SocketAddr, request: &[u8]) -> io::Result<Answer> {
    let mut open = client.take().map_or_else(|| Client::connect(address), Ok)?;
    let answer = open.exchange(request)?;
    if answer.header("connection").is_none_or(|value| !value.eq_ignore_ascii_case("close")) {
        *client = Some(open);
    }
    answer.ok()
}
