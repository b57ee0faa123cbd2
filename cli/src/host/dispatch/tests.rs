//! The bus with a function that says what it is asked.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use longshore_events::Event;
use longshore_frame::Call;
use longshore_ports::{Clock as _, Hints as _, PortError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

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
    let (bus, inbox) = Bus::new();
    let (say, said) = unbounded_channel();
    let task = tokio::spawn(run(inbox, vec![Arc::new(Telling(say))], Arc::new(MachineClock), "life".into()));
    (bus, said, task)
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
