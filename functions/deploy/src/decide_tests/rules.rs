//! What every decision keeps, whatever happens.

use longshore_frame::{Cause, Failure, Lease};
use longshore_ports::Phase;
use proptest::prelude::*;

use super::returning::BY_DEGREES;
use super::{Unit, commit, image};
use crate::Stage;

/// Anything that may happen to a unit.
#[derive(Debug, Clone)]
enum Act {
    Hear(u8),
    TipIs(u8),
    Turn(Phase),
    Pass(i64),
    Stop(bool),
    RollBack,
    Errs(bool),
    Taken(bool),
    Fail,
}

fn act() -> impl Strategy<Value = Act> {
    let phase =
        prop_oneof![Just(Phase::Ready), Just(Phase::Unready), Just(Phase::Failed), Just(Phase::Starting)];
    prop_oneof![
        (1..5_u8).prop_map(Act::Hear),
        (1..5_u8).prop_map(Act::TipIs),
        phase.prop_map(Act::Turn),
        (0..12_000_i64).prop_map(Act::Pass),
        any::<bool>().prop_map(Act::Stop),
        Just(Act::RollBack),
        any::<bool>().prop_map(Act::Errs),
        any::<bool>().prop_map(Act::Taken),
        Just(Act::Fail),
    ]
}

proptest! {
    /// Whatever happens: no wish without the lease, none forward while stopped, traffic that adds up, a step and a
    /// generation that only grow, and the same decision for the same question.
    #[test]
    fn every_decision_keeps_the_rules(acts in prop::collection::vec(act(), 1..40), by_degrees: bool) {
        let mut unit = if by_degrees { Unit::with(BY_DEGREES) } else { Unit::new() };
        for act in acts {
            let (wishes, stopped, holds) = (unit.wishes.len(), unit.stopped, unit.lease);
            prop_assert_eq!(unit.decided(Cause::Woken), unit.decided(Cause::Woken));
            match act {
                Act::Hear(n) => unit.hears(image(n)),
                Act::TipIs(n) => unit.seen.tip = Some(commit(n)),
                Act::Turn(phase) => unit.turns(phase),
                Act::Pass(ms) => unit.passes(ms),
                Act::Stop(stop) => unit.stopped = stop,
                Act::RollBack => unit.asked_to_roll_back(),
                Act::Errs(errs) => unit.newest_errs(if errs { 50.0 } else { 0.0 }),
                Act::Taken(taken) => unit.lease = match (taken, unit.lease) {
                    (true, Lease::Free(_)) => Lease::Theirs,
                    (false, Lease::Theirs) => Lease::Free(unit.minted + 1),
                    (_, lease) => lease,
                },
                Act::Fail => {
                    let key = longshore_ports::Key {
                        function: "deploy".into(), unit: "live/shop".into(), generation: None, name: "x".into(),
                        kind: longshore_ports::EffectKind::Set, restoring: false,
                    };
                    unit.step(Cause::Failed(Failure { key, error: "gone".into(), attempts: 5 }));
                }
            }
            let new = &unit.wishes[wishes..];
            prop_assert!(holds != Lease::Theirs || new.is_empty(), "a wish without the lease: {:?}", new);
            prop_assert!(!stopped || new.iter().all(|wish| wish.restoring), "forward while stopped: {:?}", new);
            for wish in new {
                let total: u32 = wish.desired.releases.iter().map(|release| u32::from(release.weight)).sum();
                prop_assert!(total == 100 || wish.desired.releases.is_empty(), "{:?}", wish);
            }
            let at_rest = unit.state.rollout.is_none();
            prop_assert!(at_rest || matches!(unit.lease, Lease::Mine(_)), "a rollout without the lease");
            let back = unit.state.rollout.as_ref().is_some_and(|rollout| {
                matches!(rollout.stage, Stage::Return(_) | Stage::Back(_))
            });
            prop_assert!(!back || unit.last.wake.is_some() || !unit.last.effects.is_empty());
        }
        let steps: Vec<_> = unit.wishes.iter().map(|wish| (wish.desired.generation, wish.desired.step)).collect();
        prop_assert!(steps.is_sorted(), "{:?}", steps);
    }
}
