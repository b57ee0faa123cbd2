//! Reads `[environment.strategy]`: the steps of a rollout, and the checks that they name.

use longshore_events::Measure;
use toml_span::Spanned;

use crate::check::Names;
use crate::fault::{Code, Faults, Wrong};
use crate::metrics;
use crate::read::Keys;
use crate::rules::{self, Kind, MEASURES, STRATEGIES, UNKNOWNS};
use crate::strategy::{Check, Degree, Increase, Plan, Step, Strategy};
use crate::suggest::{nearest, quoted};

/// The measure that is asked by an expression.
const EXPRESSION: &str = "expression";
/// Steps of a strategy, and checks, at most.
const MOST: usize = 20;
/// How long a step of a canary lasts that nothing is said of, in milliseconds.
const HOLD_MS: u64 = 300_000;

/// The strategy of an environment; `settle_ms` is how long the old release stays beside one that has all the
/// traffic, `expressions` whether who measures knows any.
pub(crate) fn strategy(
    environment: &Keys<'_>,
    settle_ms: Option<u64>,
    expressions: bool,
    faults: &Faults<'_>,
) -> Option<Strategy> {
    if !environment.is_table("strategy") {
        let kind = environment.parsed("strategy", |text| rules::choice(text, "strategy", STRATEGIES))?;
        if kind == Kind::Rolling {
            return Some(Strategy::Rolling);
        }
        let message = "this strategy needs to be told its steps: write it as a table, [environment.strategy], with `kind`";
        environment.note("strategy", Wrong::new(Code::InvalidStrategy, message));
        return None;
    }
    let keys = environment.table("strategy")?;
    let kind = keys.parsed("kind", |text| rules::choice(text, "strategy", STRATEGIES));
    let (hold, patience) = (keys.millis("hold"), keys.millis("patience"));
    let mut names = Names::new("environment.strategy.check", faults);
    let checks = checks(&keys, &mut names, expressions);
    let steps = steps(&keys, hold, &checks, &names);
    let rollback = rollback(&keys);
    let (kind, patience_ms) = (kind?, patience?);
    match kind {
        Kind::Rolling => {
            for key in ["step", "check", "rollback"].iter().filter(|key| keys.has(key)) {
                let message =
                    format!("a rolling strategy has no `{key}`: write kind = \"canary\", or take it out");
                keys.note(key, Wrong::new(Code::InvalidStrategy, message));
            }
            Some(Strategy::Rolling)
        }
        Kind::Canary => {
            if keys.lists_nothing("step") {
                let message =
                    "a canary needs steps: add [[environment.strategy.step]] with `weight` and `hold`";
                keys.note("step", Wrong::new(Code::InvalidStrategy, message));
            }
            Some(Strategy::Canary(Plan { steps: steps?, patience_ms, rollback: rollback? }))
        }
        Kind::BlueGreen => {
            if keys.has("step") {
                let message = "blue-green has no steps of its own: it tests for `hold`, shifts all traffic, and keeps \
                               the old release for `settle`; write kind = \"canary\", or take them out";
                keys.note("step", Wrong::new(Code::InvalidStrategy, message));
            }
            let checks: Vec<Check> = checks.into_iter().flatten().collect();
            let tested = hold.filter(|hold| *hold > 0);
            let tested = tested.map(|hold_ms| Step { weight: 0, hold_ms, checks: checks.clone() });
            let all = Step { weight: 100, hold_ms: settle_ms?, checks: without_running(checks) };
            let steps = tested.into_iter().chain([all]).collect();
            Some(Strategy::BlueGreen(Plan { steps, patience_ms, rollback: rollback? }))
        }
    }
}

/// With all of the traffic there is no running release to compare with: only what has a limit is checked.
fn without_running(checks: Vec<Check>) -> Vec<Check> {
    let limited = checks.into_iter().filter(|check| check.limit.is_some());
    limited.map(|check| Check { increase: None, ..check }).collect()
}

/// The degrees of going back.
fn rollback(keys: &Keys<'_>) -> Option<Vec<Degree>> {
    let tables = keys.tables("rollback");
    too_many(keys, "rollback", tables.len());
    let mut last = 100;
    let degrees: Vec<Option<Degree>> = tables
        .iter()
        .map(|degree| {
            let (weight, hold_ms) = (degree.weight("weight"), degree.millis("hold"));
            if let Some(weight) = weight {
                let more = "let the weights fall, from 99 to 1: after the last one the old release has all the traffic";
                let message = match weight {
                    0 => Some("a weight of 0 leaves the new release nothing to give back".to_owned()),
                    _ if weight >= last => {
                        Some(format!("the weight {weight} is not below the one before, {last}"))
                    }
                    _ => None,
                };
                if let Some(message) = message {
                    degree.note("weight", Wrong::new(Code::InvalidStrategy, format!("{message}: {more}")));
                }
                last = weight;
            }
            Some(Degree { weight: weight?, hold_ms: hold_ms? })
        })
        .collect();
    degrees.into_iter().collect()
}

/// The checks, each `None` where it is wrong.
fn checks(keys: &Keys<'_>, names: &mut Names<'_>, expressions: bool) -> Vec<Option<Check>> {
    let tables = keys.tables("check");
    too_many(keys, "check", tables.len());
    let read = |keys: &Keys<'_>| {
        names.define(keys.text("name"));
        check(keys, expressions)
    };
    tables.iter().map(read).collect()
}

fn too_many(keys: &Keys<'_>, key: &str, count: usize) {
    if count > MOST {
        let message = format!("there are {count} of these: write {MOST} at most");
        keys.note(key, Wrong::new(Code::InvalidStrategy, message));
    }
}

fn check(keys: &Keys<'_>, expressions: bool) -> Option<Check> {
    let name = keys.parsed("name", rules::check_name);
    let measure = measure(keys, expressions);
    // Without a known measure nobody knows what they are counted in; whether they are texts is looked at all the same.
    let value = |key: &str| match &measure {
        Some(measure) => keys.parsed(key, |text| rules::limit(text, measure)),
        None => keys.text(key).and(None),
    };
    let (limit, tolerate) = (value("limit"), value("tolerate"));
    let increase = keys.parsed("increase", rules::percent);
    let min_requests = keys.count("min_requests");
    let on_unknown = keys.parsed("on_unknown", |text| rules::choice(text, "choice", UNKNOWNS));
    if !keys.has("limit") && !keys.has("increase") {
        let message = "this check allows everything: add `limit`, or `increase` over the running release";
        keys.note("name", Wrong::new(Code::InvalidStrategy, message));
    }
    if keys.has("tolerate") && !keys.has("increase") {
        let message = "`tolerate` says below what nothing is an `increase`, and there is none: add it, or take this out";
        keys.note("tolerate", Wrong::new(Code::InvalidStrategy, message));
    }
    Some(Check {
        name: name?,
        measure: measure?,
        limit,
        increase: increase.map(|percent| Increase { percent, tolerate }),
        min_requests: min_requests?.into(),
        on_unknown: on_unknown?,
    })
}

/// What is measured: by name, or by an expression.
fn measure(keys: &Keys<'_>, expressions: bool) -> Option<Measure> {
    let expression = keys.parsed("expression", metrics::query);
    let is_expression = keys.text("measure").is_some_and(|text| text.value == EXPRESSION);
    if is_expression {
        if !keys.has("expression") {
            let message = "the measure is an expression, and there is none: add `expression`";
            keys.note("measure", Wrong::new(Code::InvalidStrategy, message));
        } else if !expressions {
            let message = "the host's own measurements know no expressions: name another measure, or another `source` \
                           under [metrics]";
            keys.note("expression", Wrong::new(Code::InvalidMetrics, message));
        }
        return expression.map(Measure::Expression);
    }
    if keys.has("expression") {
        let message = "the measure is no expression: write measure = \"expression\", or take this out";
        keys.note("expression", Wrong::new(Code::InvalidStrategy, message));
    }
    keys.parsed("measure", |text| {
        Measure::named(text).ok_or_else(|| {
            let message = format!("{} is not a measure: write {}", quoted(text), MEASURES.join(", "));
            Wrong::new(Code::UnknownChoice, message).suggest(nearest(text, MEASURES.iter().copied()))
        })
    })
}

fn steps(
    keys: &Keys<'_>,
    hold: Option<u64>,
    checks: &[Option<Check>],
    names: &Names<'_>,
) -> Option<Vec<Step>> {
    let tables = keys.tables("step");
    too_many(keys, "step", tables.len());
    let mut last = None;
    let steps: Vec<Option<Step>> = tables
        .iter()
        .map(|step| {
            let weight = step.weight("weight");
            if let (Some(last), Some(weight)) = (last, weight)
                && weight <= last
            {
                let message = format!("the weight {weight} is not above that of the step before, {last}");
                let more = ": let the weights rise, up to 100";
                step.note("weight", Wrong::new(Code::InvalidStrategy, message + more));
            }
            last = weight.or(last);
            let hold_ms = if step.has("hold") { step.millis("hold") } else { Some(hold.unwrap_or(HOLD_MS)) };
            let named: Vec<Spanned<&str>> = step.texts("checks")?;
            let resolved = named.iter().filter(|name| name.value != "*" && !names.resolve(name)).count() == 0;
            let is_named =
                |check: &&Check| named.iter().any(|name| name.value == "*" || name.value == check.name);
            let checks = checks.iter().flatten().filter(is_named).cloned().collect();
            let (weight, hold_ms) = (weight.filter(|_| resolved)?, hold_ms?);
            let checks = if weight == 100 { without_running(checks) } else { checks };
            Some(Step { weight, hold_ms, checks })
        })
        .collect();
    steps.into_iter().collect()
}
