//! EventBridge, SQS and the schedule: what the stack's rules put into a queue comes to its function, within a moment, in
//! any order, some of it twice and some of it never.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use longshore_aws::{Aws, testing};
use serde_json::{Value, json};

use crate::platform::{Invoker, Shared};
use crate::stack::ask;

/// Of a hundred messages so many never come, and so many come twice.
const LOST: usize = 5;
const TWICE: usize = 10;
/// A message takes up to so many milliseconds.
const LATE_MS: usize = 250;
/// Between two looks into the queues.
const POLL: Duration = Duration::from_millis(100);
/// Between two sweeps: a minute on AWS.
const SWEEP: Duration = Duration::from_secs(2);
/// What AWS says is in no journal before intake has it: the platform tries it again.
const INTAKE_RETRIES: u32 = 2;

/// What carries the messages.
pub(crate) struct Carrier {
    pub(crate) aws: Aws,
    pub(crate) shared: Arc<Shared>,
    pub(crate) invoker: Invoker,
    /// Counts the sweeps of the schedule.
    pub(crate) ticks: Arc<AtomicUsize>,
    /// The queue of wake-ups.
    pub(crate) wakes: String,
    /// By function, the queues in the place of its rules.
    pub(crate) queues: BTreeMap<String, BTreeSet<String>>,
}

impl Carrier {
    /// Carries until the platform ends.
    pub(crate) fn start(self) -> Vec<thread::JoinHandle<()>> {
        let carrier = Arc::new(self);
        let run = |work: fn(&Arc<Self>), every: Duration| {
            let carrier = carrier.clone();
            thread::spawn(move || {
                while !carrier.shared.ended() {
                    work(&carrier);
                    thread::sleep(every);
                }
            })
        };
        vec![run(Self::events, POLL), run(Self::wakes, POLL), run(Self::sweep, SWEEP)]
    }

    fn events(self: &Arc<Self>) {
        let queues = self
            .queues
            .iter()
            .flat_map(|(function, queues)| queues.iter().map(move |queue| (function, queue)));
        for (function, queue) in queues {
            for mut message in ask(testing::receive(&self.aws, queue)) {
                // moto leaves it out.
                message["account"] = json!("123456789012");
                for _ in 0..self.copies() {
                    let (carrier, function, message) = (self.clone(), function.clone(), message.clone());
                    let late = if self.shared.faults { self.shared.ms(LATE_MS) } else { Duration::ZERO };
                    thread::spawn(move || {
                        thread::sleep(late);
                        let retries = if function == "intake" { INTAKE_RETRIES } else { 0 };
                        carrier.invoker.send(&function, message, retries);
                    });
                }
            }
        }
    }

    fn copies(&self) -> usize {
        match self.shared.below(100) {
            _ if !self.shared.faults => 1,
            n if n < LOST => 0,
            n if n < LOST + TWICE => 2,
            _ => 1,
        }
    }

    /// The event source mapping of `sweep`: a batch is taken off the queue when it was handled. What was not comes again.
    fn wakes(self: &Arc<Self>) {
        let messages = ask(testing::receive(&self.aws, &self.wakes));
        for batch in messages.chunks(10) {
            let record = |(n, message): (usize, &Value)| json!({ "messageId": n.to_string(), "eventSource": "aws:sqs", "body": message.to_string() });
            let records: Vec<_> = batch.iter().enumerate().map(record).collect();
            let (carrier, payload) = (self.clone(), json!({ "Records": records }));
            thread::spawn(move || {
                while !carrier.shared.ended() {
                    let said = carrier.invoker.ask("sweep", payload.clone());
                    if matches!(&said, Some(Ok(answer)) if answer["batchItemFailures"] == json!([])) {
                        break;
                    }
                    thread::sleep(Duration::from_millis(500));
                }
            });
        }
    }

    fn sweep(self: &Arc<Self>) {
        let tick = json!({
            "version": "0", "id": "89d1a02d-5ec7-412e-82f5-13505f849b41", "detail-type": "Scheduled Event",
            "source": "aws.events", "account": "123456789012", "time": "2026-11-24T08:00:00Z", "region": "eu-west-1",
            "resources": ["arn:aws:events:eu-west-1:123456789012:rule/longshore-SweepMinute-1"], "detail": {},
        });
        self.ticks.fetch_add(1, Ordering::SeqCst);
        self.invoker.ask("sweep", tick);
    }
}
