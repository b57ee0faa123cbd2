//! The bus with a function that says what it is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use longshore_events::Event;
use longshore_frame::Call;
use longshore_ports::{Clock, Hints as _, PortError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::super::functions::Runs;
use super::super::system::MachineClock;
use super::{Bus, run};

/// Says which unit it was asked to look at; panics for one named `bad`, and never ends for one named `stuck`.
struct Telling(UnboundedSender<String>);

#[async_trait]
impl Runs for Telling {
    fn name(&self) -> &'static str {
        "telling"
    }

    fn units(&self, _: &Event) -> Vec<String> {
        Vec::new()
    }

    async fn run(&self, _: &str, call: Call) -> Result<(), PortError> {
        let Call::Wake(unit) = call else { return Ok(()) };
        self.0.send(unit.clone()).unwrap();
        match &*unit {
            "bad" => panic!("on purpose"),
            "stuck" => std::future::pending().await,
            _ => Ok(()),
        }
    }
}

fn start() -> (Bus, UnboundedReceiver<String>, JoinHandle<()>) {
    start_with(Arc::new(MachineClock))
}

fn start_with(clock: Arc<dyn Clock>) -> (Bus, UnboundedReceiver<String>, JoinHandle<()>) {
    let (bus, inbox) = Bus::new();
    let (say, said) = unbounded_channel();
    let task = tokio::spawn(run(inbox, vec![Arc::new(Telling(say))], clock, "life".into()));
    (bus, said, task)
}

/// Goes as the test's time goes, and is set back and forth by so many seconds.
struct Jumping(Instant, AtomicI64);

impl Clock for Jumping {
    fn now(&self) -> jiff::Timestamp {
        let shown = jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(1_000) + self.0.elapsed();
        shown + jiff::SignedDuration::from_secs(self.1.load(Ordering::Relaxed))
    }
}

async fn next(said: &mut UnboundedReceiver<String>) -> String {
    timeout(Duration::from_secs(10), said.recv()).await.expect("nothing in time").expect("the bus ended")
}

#[tokio::test]
async fn a_hint_looks_at_its_unit_and_one_for_nobody_harms_nothing() {
    let (bus, mut said, _task) = start();
    bus.hint("nobody", "a");
    bus.hint("telling", "b");
    assert_eq!(next(&mut said).await, "b");
}

#[tokio::test]
async fn a_timer_wakes_its_unit_when_it_is_due() {
    let (bus, mut said, _task) = start();
    let now = MachineClock.now();
    bus.wake_at("telling", "later", now + jiff::SignedDuration::from_millis(60));
    bus.wake_at("telling", "past", now - jiff::SignedDuration::from_secs(1));
    assert_eq!(next(&mut said).await, "past");
    assert_eq!(next(&mut said).await, "later");
    assert!(MachineClock.now() >= now + jiff::SignedDuration::from_millis(60));
}

#[tokio::test]
async fn a_panic_frees_its_unit_and_ends_nothing_else() {
    let (bus, mut said, _task) = start();
    bus.hint("telling", "bad");
    assert_eq!(next(&mut said).await, "bad");
    bus.hint("telling", "bad");
    assert_eq!(next(&mut said).await, "bad");
}

#[tokio::test(start_paused = true)]
async fn stopping_does_not_wait_for_ever() {
    let (bus, mut said, task) = start();
    bus.hint("telling", "stuck");
    assert_eq!(next(&mut said).await, "stuck");
    bus.stop().await;
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_and_put_right_delays_a_timer_by_a_minute_at_most() {
    let clock = Arc::new(Jumping(Instant::now(), AtomicI64::new(0)));
    let (bus, mut said, _task) = start_with(clock.clone());
    bus.wake_at("telling", "later", clock.now() + jiff::SignedDuration::from_secs(10));
    clock.1.store(-3_600, Ordering::Relaxed);
    bus.hint("telling", "now");
    assert_eq!(next(&mut said).await, "now", "others do not wait");
    assert!(timeout(Duration::from_mins(5), said.recv()).await.is_err(), "by the clock it is not due");
    clock.1.store(0, Ordering::Relaxed);
    let begun = Instant::now();
    assert_eq!(timeout(Duration::from_mins(2), said.recv()).await.unwrap().unwrap(), "later");
    assert!(begun.elapsed() <= Duration::from_secs(61), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_timer_outlives_a_clock_that_stays_set_back() {
    let clock = Arc::new(Jumping(Instant::now(), AtomicI64::new(0)));
    let (bus, mut said, _task) = start_with(clock.clone());
    let due = clock.now() + jiff::SignedDuration::from_secs(10);
    bus.wake_at("telling", "later", due);
    clock.1.store(-3_600, Ordering::Relaxed);
    assert_eq!(timeout(Duration::from_hours(2), said.recv()).await.unwrap().unwrap(), "later");
    assert!(clock.now() >= due && clock.now() <= due + jiff::SignedDuration::from_secs(1));
}

#[tokio::test]
async fn who_is_told_that_more_is_owed_asks_for_it_once_when_little_is_left() {
    let (bus, mut said, _task) = start();
    bus.hint("telling", "a");
    bus.more_is_owed();
    timeout(Duration::from_secs(10), bus.load.hungry()).await.expect("it has nothing left to do");
    assert_eq!(next(&mut said).await, "a");
    bus.hint("telling", "b");
    assert_eq!(next(&mut said).await, "b");
    assert!(timeout(Duration::from_millis(50), bus.load.hungry()).await.is_err(), "it was told once");
}
