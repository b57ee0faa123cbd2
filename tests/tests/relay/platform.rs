//! Lambda: sandboxes for each function, invoked for whatever comes, some of them killed in the middle.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::chance::Chance;
use crate::sandbox::{PATIENCE, Sandbox};

/// So many sandboxes of each function run at once.
const SANDBOXES: usize = 2;
/// So many invocations of a hundred are killed while there are kills left.
const KILLED: usize = 30;
/// A kill comes anywhere in an invocation, and now and then after it: within so many percent of how long the function's
/// last one took.
const KILL_WITHIN: usize = 130;
/// The claim of a killed invocation ends within so many milliseconds: 90 s on AWS, and nothing else would happen then.
const CLAIM_MS: usize = 1_500;

/// What is left to chance.
#[derive(Clone, Copy)]
pub(crate) struct Weather {
    /// So many invocations are killed.
    pub(crate) kills: usize,
    /// Whether messages come twice, late or never.
    pub(crate) faults: bool,
    pub(crate) seed: u64,
}

/// What is to be invoked, and who waits for the answer.
pub(crate) struct Job {
    pub(crate) payload: Value,
    /// How often it is tried again when it fails: as the platform does.
    pub(crate) retries: u32,
    /// Gets the answer; `None` when the sandbox was killed.
    pub(crate) answer: Option<Sender<Option<Result<Value, Value>>>>,
}

/// How much was done.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) invocations: AtomicUsize,
    pub(crate) failures: AtomicUsize,
    pub(crate) kills: AtomicUsize,
}

/// What all threads of the platform share.
pub(crate) struct Shared {
    pub(crate) tally: Tally,
    /// Whether messages come twice, late or never.
    pub(crate) faults: bool,
    /// How many may still be killed.
    kills_left: AtomicUsize,
    chance: Mutex<Chance>,
    ended: AtomicBool,
    /// What each function is told by its environment.
    variables: BTreeMap<String, Vec<(String, String)>>,
    /// Ends the claim of an invocation that is dead.
    bury: Box<dyn Fn(&str) + Send + Sync>,
    /// How long each invocation took, by function.
    pub(crate) billed: Mutex<BTreeMap<String, Vec<Duration>>>,
    /// What was sent and is not done.
    pub(crate) pending: AtomicUsize,
}

/// The platform. Its sandboxes end when it does.
pub(crate) struct Platform {
    pub(crate) shared: Arc<Shared>,
    jobs: Arc<BTreeMap<String, Sender<Job>>>,
    workers: Vec<JoinHandle<()>>,
}

/// Whoever may invoke.
#[derive(Clone)]
pub(crate) struct Invoker {
    jobs: Arc<BTreeMap<String, Sender<Job>>>,
    shared: Arc<Shared>,
}

impl Platform {
    /// The functions with what they are told; `bury` ends the claim of an invocation that was killed.
    pub(crate) fn start(
        variables: BTreeMap<String, Vec<(String, String)>>,
        weather: Weather,
        bury: impl Fn(&str) + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            tally: Tally::default(),
            faults: weather.faults,
            kills_left: AtomicUsize::new(weather.kills),
            chance: Mutex::new(Chance::new(weather.seed)),
            ended: AtomicBool::new(false),
            variables,
            bury: Box::new(bury),
            billed: Mutex::default(),
            pending: AtomicUsize::new(0),
        });
        let (mut jobs, mut workers) = (BTreeMap::new(), Vec::new());
        for function in shared.variables.keys() {
            let (sender, receiver) = channel();
            let receiver = Arc::new(Mutex::new(receiver));
            for _ in 0..SANDBOXES {
                let (shared, function, receiver) = (shared.clone(), function.clone(), receiver.clone());
                workers.push(thread::spawn(move || shared.work(&function, &receiver)));
            }
            jobs.insert(function.clone(), sender);
        }
        Self { shared, jobs: Arc::new(jobs), workers }
    }

    pub(crate) fn invoker(&self) -> Invoker {
        Invoker { jobs: self.jobs.clone(), shared: self.shared.clone() }
    }

    /// Nothing is invoked any more.
    pub(crate) fn end(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

impl Invoker {
    /// Invokes, and does not wait.
    pub(crate) fn send(&self, function: &str, payload: Value, retries: u32) {
        self.give(function, Job { payload, retries, answer: None });
    }

    /// The answer of an invocation; `None` when its sandbox was killed.
    pub(crate) fn ask(&self, function: &str, payload: Value) -> Option<Result<Value, Value>> {
        let (answer, answered) = channel();
        self.give(function, Job { payload, retries: 0, answer: Some(answer) });
        answered.recv().ok()?
    }

    fn give(&self, function: &str, job: Job) {
        self.shared.pending.fetch_add(1, Ordering::SeqCst);
        let _ = self.jobs[function].send(job);
    }
}

impl Shared {
    pub(crate) fn ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// A number below `end`, and a time of less than so many milliseconds.
    pub(crate) fn below(&self, end: usize) -> usize {
        self.chance.lock().unwrap().below(end)
    }

    pub(crate) fn ms(&self, end: usize) -> Duration {
        self.chance.lock().unwrap().ms(end)
    }

    fn work(self: &Arc<Self>, function: &str, jobs: &Mutex<Receiver<Job>>) {
        let mut sandbox = None;
        while !self.ended() {
            let job = jobs.lock().unwrap().recv_timeout(Duration::from_millis(50));
            let Ok(job) = job else { continue };
            for _ in 0..=job.retries {
                let said = self.invoke(function, &mut sandbox, &job.payload);
                let done = matches!(said, Some(Ok(_)));
                if let Some(answer) = &job.answer {
                    let _ = answer.send(said);
                }
                if done {
                    break;
                }
            }
            self.pending.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// One invocation, in the sandbox that is there, or in a new one.
    fn invoke(
        self: &Arc<Self>,
        function: &str,
        sandbox: &mut Option<Sandbox>,
        payload: &Value,
    ) -> Option<Result<Value, Value>> {
        self.tally.invocations.fetch_add(1, Ordering::SeqCst);
        let alive = sandbox.get_or_insert_with(|| Sandbox::start(function, &self.variables[function]));
        let begun = Instant::now();
        let name = alive.begin(payload);
        let life = self.is_killed().then(|| self.life(function));
        let said = alive.wait(life.unwrap_or(PATIENCE));
        let Some(answer) = &said else {
            assert!(life.is_some(), "{function} does not answer to {payload}");
            self.tally.kills.fetch_add(1, Ordering::SeqCst);
            sandbox.take().unwrap().kill();
            let shared = self.clone();
            thread::spawn(move || {
                thread::sleep(shared.ms(CLAIM_MS));
                (shared.bury)(&name);
            });
            return None;
        };
        // It was quicker than the kill.
        self.kills_left.fetch_add(usize::from(life.is_some()), Ordering::SeqCst);
        self.billed.lock().unwrap().entry(function.to_owned()).or_default().push(begun.elapsed());
        if let Err(error) = answer {
            self.tally.failures.fetch_add(1, Ordering::SeqCst);
            eprintln!("{function} failed: {error}: {payload}");
        }
        said
    }

    /// When an invocation is killed, from its beginning.
    fn life(&self, function: &str) -> Duration {
        let last = self.billed.lock().unwrap().get(function).and_then(|billed| billed.last().copied());
        let within = last.unwrap_or(Duration::from_millis(100));
        within * u32::try_from(self.below(KILL_WITHIN)).unwrap() / 100
    }

    /// Takes one of the kills that are left.
    fn is_killed(&self) -> bool {
        let one_less = |left: usize| left.checked_sub(1);
        self.below(100) < KILLED
            && self.kills_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok()
    }
}
