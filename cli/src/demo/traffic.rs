//! The demo's client: asks the service all the time, without a retry, and writes down which commit answered when.

use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Between two requests: 100 a second.
const EVERY: Duration = Duration::from_millis(10);
/// So many may wait for their answers at once before the next request is late.
const WORKERS: usize = 8;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The length of an answer: a commit.
const COMMIT_DIGITS: usize = 40;
/// What the broken push answers, with status 500.
const ERRS: &str = "it errs";

/// One request, with the times since the client began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    /// When it was sent.
    pub(super) sent: Duration,
    /// When it was answered, or failed.
    pub(super) ended: Duration,
    /// What came back.
    pub(super) answer: Answer,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// A commit.
    Commit(String),
    /// The error of the broken push: its own answer, which arrived whole.
    Erred,
    /// Nothing, or not the service's answer.
    Failed(String),
}

impl Answer {
    pub(super) fn commit(&self) -> Option<&str> {
        match self {
            Self::Commit(commit) => Some(commit),
            Self::Erred | Self::Failed(_) => None,
        }
    }

    pub(super) fn failure(&self) -> Option<&str> {
        match self {
            Self::Failed(why) => Some(why),
            Self::Erred | Self::Commit(_) => None,
        }
    }
}

/// What the client wrote down.
#[derive(Debug, Clone, Default)]
pub(super) struct Log(Vec<Request>);

impl Log {
    /// The requests, from the first one that was answered: before it nothing ran that could have answered.
    pub(super) fn requests(&self) -> &[Request] {
        &self.0
    }

    /// Those that failed.
    pub(super) fn failed(&self) -> impl Iterator<Item = &Request> {
        self.0.iter().filter(|request| request.answer.failure().is_some())
    }

    /// When those were sent that met the errors of the broken push.
    pub(super) fn erred(&self) -> impl Iterator<Item = Duration> {
        self.0.iter().filter(|request| request.answer == Answer::Erred).map(|request| request.sent)
    }

    /// The commit that the last request was answered by, by the time it was sent.
    pub(super) fn last(&self) -> Option<&str> {
        self.0.iter().max_by_key(|request| request.sent)?.answer.commit()
    }

    /// When `commit` answered for the first time.
    pub(super) fn first_answer(&self, commit: &str) -> Option<Duration> {
        let its = |request: &&Request| request.answer.commit() == Some(commit);
        self.0.iter().filter(its).map(|request| request.ended).min()
    }

    /// Requests a second.
    pub(super) fn rate(&self) -> f64 {
        let sent = || self.0.iter().map(|request| request.sent);
        let (Some(first), Some(last)) = (sent().min(), sent().max()) else { return 0.0 };
        let seconds = last.saturating_sub(first).as_secs_f64().max(0.001);
        f64::from(u32::try_from(self.0.len()).unwrap_or(u32::MAX)) / seconds
    }

    /// How many were sent between two times, and how many of them failed.
    pub(super) fn between(&self, from: Duration, to: Duration) -> (usize, usize) {
        let within = || self.0.iter().filter(|request| (from..to).contains(&request.sent));
        (within().count(), within().filter(|request| request.answer.failure().is_some()).count())
    }

    /// Writes one line for each request.
    pub(super) fn save(&self, path: &Path) -> io::Result<()> {
        let mut text = String::new();
        for request in &self.0 {
            let said = match &request.answer {
                Answer::Commit(said) | Answer::Failed(said) => said,
                Answer::Erred => ERRS,
            };
            let _ = writeln!(text, "{} {} {said}", request.sent.as_millis(), request.ended.as_millis());
        }
        std::fs::write(path, text)
    }

    /// A request that was sent before the first answer was there may have met nothing yet, whichever is noted first.
    fn note(&mut self, request: Request) {
        let counts = self.0.first().is_some_and(|first| request.sent >= first.ended);
        if request.answer.failure().is_none() || counts {
            self.0.push(request);
        }
    }
}

/// A client at work; it ends when this is dropped.
pub(super) struct Traffic {
    log: Arc<Mutex<Log>>,
    ended: Arc<AtomicBool>,
    workers: Vec<JoinHandle<()>>,
    /// When it began.
    pub(super) begun: Instant,
}

impl Traffic {
    /// Starts to ask `proxy` for `host`.
    pub(super) fn start(proxy: SocketAddr, host: &'static str) -> Self {
        let (log, ended, next) = <(Arc<Mutex<Log>>, Arc<AtomicBool>, Arc<AtomicU32>)>::default();
        let begun = Instant::now();
        let work = || {
            let (log, ended, next) = (log.clone(), ended.clone(), next.clone());
            thread::spawn(move || {
                while !ended.load(Ordering::Relaxed) {
                    let due = begun + EVERY * next.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    let sent = begun.elapsed();
                    let answer = ask(proxy, host);
                    lock(&log).note(Request { sent, ended: begun.elapsed(), answer });
                }
            })
        };
        let workers = (0..WORKERS).map(|_| work()).collect();
        Self { log, ended, workers, begun }
    }

    /// What was written down so far.
    pub(super) fn log(&self) -> Log {
        lock(&self.log).clone()
    }

    /// How many requests were sent, and how many failed, so far.
    pub(super) fn counts(&self) -> (usize, usize) {
        let log = lock(&self.log);
        (log.0.len(), log.failed().count())
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One request on a connection of its own.
fn ask(proxy: SocketAddr, host: &str) -> Answer {
    let answer = match exchange(proxy, host) {
        Ok(answer) => answer,
        Err(error) => return Answer::Failed(error.to_string()),
    };
    let answer = String::from_utf8_lossy(&answer);
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        return Answer::Failed("the answer was cut off".into());
    };
    match (head.split(' ').nth(1).unwrap_or("no status"), body) {
        ("200", commit) if commit.len() == COMMIT_DIGITS => Answer::Commit(commit.to_owned()),
        ("200", body) => Answer::Failed(format!("the answer was cut off: {body:?}")),
        ("500", ERRS) => Answer::Erred,
        (status, body) => Answer::Failed(format!("status {status}: {}", body.trim())),
    }
}

fn exchange(proxy: SocketAddr, host: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&proxy, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(sent: u64, ended: u64, answer: Result<&str, &str>) -> Request {
        let answer =
            answer.map_or_else(|why| Answer::Failed(why.into()), |commit| Answer::Commit(commit.into()));
        Request { sent: Duration::from_millis(sent), ended: Duration::from_millis(ended), answer }
    }

    #[test]
    fn failures_count_from_the_first_answer_on() {
        let mut log = Log::default();
        log.note(request(0, 1, Err("nothing runs")));
        assert_eq!(log.requests().len(), 0);
        log.note(request(10, 12, Ok("a")));
        log.note(request(9, 12, Err("nothing runs")));
        log.note(request(20, 21, Err("refused")));
        assert_eq!((log.requests().len(), log.failed().count()), (2, 1));
    }

    #[test]
    fn the_last_answer_is_that_of_the_request_sent_last() {
        let mut log = Log::default();
        log.note(request(0, 1, Ok("a")));
        log.note(request(20, 21, Ok("b")));
        log.note(request(10, 90, Ok("a")));
        assert_eq!(log.last(), Some("b"));
        assert_eq!(log.first_answer("b"), Some(Duration::from_millis(21)));
        assert_eq!(log.between(Duration::from_millis(5), Duration::from_millis(20)), (1, 0));
    }
}
