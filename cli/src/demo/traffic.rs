//! The demo's client: asks the service all the time, without a retry, and writes down which commit answered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::task::JoinHandle;

/// Between two requests: 66 a second.
const EVERY: Duration = Duration::from_millis(15);

/// What the client saw.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Requests sent.
    pub(super) sent: usize,
    /// Those that failed: when, and how.
    pub(super) failed: Vec<String>,
    /// The commits that answered, in order, without repeats in a row.
    pub(super) answered: Vec<(String, Timestamp)>,
}

/// A client at work.
pub(super) struct Traffic {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
    begun: Instant,
}

impl Traffic {
    /// Starts asking `url`, as the host `name`.
    pub(super) fn start(url: String, name: String) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(EVERY);
            loop {
                ticks.tick().await;
                // Each in its own task: a slow answer must not slow the next request.
                let (request, shared) = (http.get(&url).header("host", &name), Arc::clone(&shared));
                tokio::spawn(async move {
                    lock(&shared).sent += 1;
                    let answer = match request.send().await {
                        Ok(answer) if answer.status().is_success() => {
                            answer.text().await.map_err(|error| error.to_string())
                        }
                        Ok(answer) => Err(format!("status {}", answer.status())),
                        Err(error) => Err(format!("{error:?}")),
                    };
                    note(&mut lock(&shared), answer);
                });
            }
        });
        Ok(Self { seen, task, begun: Instant::now() })
    }

    /// What was seen so far.
    pub(super) fn seen(&self) -> Seen {
        lock(&self.seen).clone()
    }

    /// Requests a second.
    pub(super) fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let sent = lock(&self.seen).sent as f64;
        sent / self.begun.elapsed().as_secs_f64()
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn note(seen: &mut Seen, answer: Result<String, String>) {
    let now = longshore_ports::Clock::now(&crate::host::MachineClock);
    match answer {
        Ok(commit) => {
            if seen.answered.last().is_none_or(|(last, _)| *last != commit) {
                seen.answered.push((commit, now));
            }
        }
        Err(error) => seen.failed.push(format!("{}: {error}", now.strftime("%H:%M:%S%.3f"))),
    }
}
