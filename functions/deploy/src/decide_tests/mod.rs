//! Rollouts step by step, decided without any outside; and what every decision must keep, whatever it is given.

use jiff::{SignedDuration, Timestamp};
use longshore_events::types::{DeploymentOutcome, GateEvaluated, RequestKind, RequestMade, Verdict as Gates};
use longshore_events::{
    ChainId, CommitId, Data, Digest, EnvironmentName, EventId, ImageName, Link, ServiceName,
};
use longshore_frame::{At, Cause, Decision, Lease, Told};
use longshore_policy::Policy;
use longshore_ports::journal::Relied;
use longshore_ports::{Observed, ObservedRelease, Phase, Workload};

mod clusters;
mod past;
mod promotion;
mod returning;
mod rollouts;
mod rules;
mod steps;
mod stored;
mod windows;

use super::{Context, decide};
use crate::{Apply, Gated, Input, Seen, State, Verdict};

const CONFIG: &str = r#"
[[repository]]
name = "shop"
[[service]]
name = "shop"
repository = "shop"
manifests = { files = ["k8s"] }
[[environment]]
name = "live"
deadline = "10s"
settle = "1s"
"#;

/// A unit whose wishes come true, as far as the test lets them.
struct Unit {
    policy: Policy,
    workload: Workload,
    state: State,
    now: Timestamp,
    lease: Lease,
    minted: u64,
    stopped: bool,
    seen: Seen,
    said: Vec<Data>,
    wishes: Vec<Apply>,
    last: Decision<State, Apply>,
}

fn commit(n: u8) -> CommitId {
    CommitId::new(format!("{n:040x}")).unwrap()
}

fn digest(n: u8) -> Digest {
    Digest::new(format!("sha256:{n:064x}")).unwrap()
}

fn link(name: &str) -> Link {
    Link { chain: ChainId::new(name).unwrap(), cause: Some(EventId::new(name).unwrap()) }
}

/// An image whose gate is open.
fn image(n: u8) -> GateEvaluated {
    GateEvaluated {
        environment: EnvironmentName::new("live").unwrap(),
        service: ServiceName::new("shop").unwrap(),
        image: ImageName::new("shop").unwrap(),
        digest: digest(n),
        tag: Some(commit(n).to_string()),
        commit: Some(commit(n)),
        forced: false,
        verdict: Gates::Pass,
        reasons: Vec::new(),
        inputs: Vec::new(),
        proof: None,
        manifests_ref: None,
        expires_at: None,
        override_window: None,
    }
}

impl Unit {
    fn new() -> Self {
        Self::with("")
    }

    /// With more configuration of its environment.
    fn with(more: &str) -> Self {
        let workload = Workload {
            environment: EnvironmentName::new("live").unwrap(),
            service: ServiceName::new("shop").unwrap(),
        };
        Self {
            policy: longshore_policy::check(&format!("{CONFIG}{more}"), "test.toml").unwrap(),
            workload,
            state: State::default(),
            now: Timestamp::from_second(1_790_000_000).unwrap(),
            lease: Lease::Free(1),
            minted: 0,
            stopped: false,
            seen: Seen {
                tip: None,
                behind: false,
                tag: None,
                running: Observed::default(),
                verdicts: Vec::new(),
                past: Vec::new(),
                measured: Vec::new(),
            },
            said: Vec::new(),
            wishes: Vec::new(),
            last: Decision::rest(State::default()),
        }
    }

    fn decided(&self, cause: Cause<Input>) -> Decision<State, Apply> {
        let context = Context {
            workload: &self.workload,
            environment: self.policy.environments.last().unwrap(),
            service: &self.policy.services[0],
            at: At { now: self.now, lease: self.lease, stopped: self.stopped },
            seen: &self.seen,
            poll_ms: 1_000,
            watch_ms: 150_000,
        };
        decide(&context, self.state.clone(), cause)
    }

    /// Decides until nothing follows at once; every wish is applied.
    fn step(&mut self, cause: Cause<Input>) {
        let mut cause = cause;
        loop {
            let decision = self.decided(cause);
            self.state = decision.state.clone();
            for said in &decision.facts {
                self.hear_back(&said.data);
            }
            self.lease = match (decision.hold_lease, self.lease) {
                (true, Lease::Free(generation)) => {
                    self.minted = generation;
                    Lease::Mine(generation)
                }
                (false, Lease::Mine(_)) => Lease::Free(self.minted + 1),
                (_, lease) => lease,
            };
            for wish in &decision.effects {
                self.apply(wish);
            }
            self.wishes.extend(decision.effects.iter().cloned());
            self.last = decision;
            cause = match (self.last.again, self.last.effects.is_empty()) {
                (_, false) => Cause::Done,
                (true, true) => Cause::Woken,
                (false, true) => return,
            };
        }
    }

    /// What was said can be read from then on.
    fn hear_back(&mut self, data: &Data) {
        if let Data::DigestQuarantined(fact) = data {
            let head = Relied { kind: "quarantined".into(), subject: fact.digest.to_string(), event: None };
            let (digest, bad) = (fact.digest.clone(), Some(fact.reason.clone()));
            self.seen.verdicts.push(Verdict { digest, bad, before: None, heads: vec![head], gate: None });
        }
        self.said.push(data.clone());
    }

    fn apply(&mut self, wish: &Apply) {
        let before = std::mem::take(&mut self.seen.running.releases);
        let release = |wanted: &longshore_ports::DesiredRelease| ObservedRelease {
            release: wanted.release,
            digest: wanted.image.digest.clone(),
            weight: wanted.weight,
            phase: before
                .iter()
                .find(|known| known.release == wanted.release)
                .map_or(Phase::Starting, |known| known.phase),
            reason: None,
            restarts: 0,
            boot_ms: None,
        };
        self.seen.running.releases = wish.desired.releases.iter().map(release).collect();
        (self.seen.running.generation, self.seen.running.step) = (wish.desired.generation, wish.desired.step);
    }

    /// The gate says something else of an image, and `deploy` is told.
    fn gate_says(&mut self, n: u8, verdict: Gates) {
        let head =
            Relied { kind: "gate".into(), subject: digest(n).to_string(), event: EventId::new("g").ok() };
        let gate = Some(Gated {
            verdict: Some(verdict),
            reasons: vec!["1 critical".into()],
            head,
            override_window: None,
        });
        let quarantine = Relied { kind: "quarantined".into(), subject: digest(n).to_string(), event: None };
        self.seen.verdicts.retain(|known| known.digest != digest(n));
        self.seen.verdicts.push(Verdict {
            digest: digest(n),
            bad: None,
            before: None,
            heads: vec![quarantine],
            gate,
        });
        self.tell(Input::GateEvaluated(GateEvaluated { verdict, ..image(n) }));
    }

    fn hears(&mut self, image: GateEvaluated) {
        self.seen.tip.clone_from(&image.commit);
        self.tell(Input::GateEvaluated(image));
    }

    fn tell(&mut self, input: Input) {
        let told = Told { input, id: EventId::new("e").unwrap(), time: self.now, link: link("e") };
        self.step(Cause::Told(told));
    }

    fn asked_to_roll_back(&mut self) {
        self.asked_to_go_to(None);
    }

    fn asked_to_go_to(&mut self, to: Option<u8>) {
        self.tell(Input::RequestMade(RequestMade {
            what: RequestKind::RollBack,
            who: "mona".into(),
            target: "live/shop".into(),
            to: to.map(digest),
            why: None,
        }));
    }

    fn turns(&mut self, phase: Phase) {
        if let Some(newest) = self.seen.running.releases.iter_mut().max_by_key(|known| known.release) {
            newest.phase = phase;
        }
        self.step(Cause::Woken);
    }

    fn passes(&mut self, ms: i64) {
        self.now += SignedDuration::from_millis(ms);
        self.step(Cause::Woken);
    }

    /// Rolls an image out to its end.
    fn runs(&mut self, n: u8) {
        self.hears(image(n));
        self.turns(Phase::Ready);
        self.passes(1_000);
        assert_eq!(self.weights(), [(digest(n), 100)]);
        assert_eq!(self.state.rollout, None);
    }

    fn weights(&self) -> Vec<(Digest, u8)> {
        let known = |known: &ObservedRelease| (known.digest.clone(), known.weight);
        self.seen.running.releases.iter().map(known).collect()
    }

    fn outcomes(&self) -> Vec<DeploymentOutcome> {
        let outcome = |data: &Data| match data {
            Data::DeploymentFinished(fact) => Some(fact.outcome),
            _ => None,
        };
        self.said.iter().filter_map(outcome).collect()
    }
}
