//! The parts of a script that run once: init code for its options, setup, teardown, `handleSummary`.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::checks::Checks;
use super::lane::{Lane, Run};
use crate::fiber::Reactor;
use crate::metrics::{Store, Submetric};
use crate::output::{Samples, Sink};
use crate::script::{Phase, Script, Thrown, Vu, with_script};

/// A loop for one fiber at a time, with what is counted in it.
pub(crate) struct Service {
    lane: Rc<Lane>,
}

/// Why a part of the script has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failed {
    /// It threw.
    Threw(Thrown),
    /// It took longer than it may.
    TimedOut,
    /// The engine has no loop for it.
    Engine(String),
}

impl Service {
    pub(crate) fn new(
        run: &Arc<Run>,
        wanted: &Arc<Vec<Submetric>>,
        sinks: &[Arc<Sink>],
    ) -> std::io::Result<Self> {
        let store = Store::new(Arc::clone(&run.names), Arc::clone(wanted));
        let lane = Rc::new(Lane {
            run: Arc::clone(run),
            reactor: Reactor::new()?,
            store: RefCell::new(store),
            checks: RefCell::default(),
            samples: Samples::new(sinks).map(RefCell::new),
        });
        Ok(Self { lane })
    }

    /// Loads the script into a VU of its own, and does something with it; init code and that together may take so long.
    ///
    /// # Errors
    /// The script throws, or takes too long.
    pub(crate) fn with<R: 'static>(
        &self,
        phase: Phase,
        limit: Duration,
        act: impl FnOnce(&Script<'_>) -> Result<R, Thrown> + 'static,
    ) -> Result<R, Failed> {
        let vu = Vu::new(0, &self.lane);
        let result = Rc::new(RefCell::new(None));
        let (own, out) = (Rc::clone(&vu), Rc::clone(&result));
        let until = Instant::now() + limit;
        let fiber = self.lane.reactor.spawn(move || {
            own.kill_at(Some(until));
            let made = with_script(&own, |script| {
                own.phase.set(phase);
                match phase {
                    Phase::Setup => own.set_group("::setup"),
                    Phase::Teardown => own.set_group("::teardown"),
                    _ => {}
                }
                let made = act(script);
                if matches!(phase, Phase::Setup | Phase::Teardown) {
                    own.emit_end(None);
                }
                made
            });
            own.fiber.set(None);
            *out.borrow_mut() = Some(made.and_then(|made| made));
        });
        let engine = |error: std::io::Error| Failed::Engine(error.to_string());
        vu.fiber.set(Some(fiber.map_err(engine)?));
        self.lane.reactor.run().map_err(engine)?;
        let made = result.borrow_mut().take();
        match made {
            Some(Ok(made)) => Ok(made),
            Some(Err(thrown)) if thrown.interrupted && Instant::now() >= until => Err(Failed::TimedOut),
            Some(Err(thrown)) => Err(Failed::Threw(thrown)),
            None => Err(Failed::Engine("the script's fiber ended early".to_owned())),
        }
    }

    /// What was counted.
    pub(crate) fn counted(&self) -> (Store, Checks) {
        if let Some(samples) = &self.lane.samples {
            samples.borrow_mut().flush();
        }
        (self.lane.store.borrow().clone(), self.lane.checks.borrow().clone())
    }

    pub(crate) fn lane(&self) -> &Lane {
        &self.lane
    }
}
