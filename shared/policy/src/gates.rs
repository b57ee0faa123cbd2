//! Checks what an image must have before it runs: requirements, waivers, people, and the order of environments.

use std::collections::BTreeMap;

use longshore_events::EnvironmentName;
use toml_span::Spanned;

use crate::check::Names;
use crate::fault::{Code, Faults, Wrong};
use crate::policy::{ApprovalPolicy, Environment, GatePolicy, Person, Promotion, Requirement, Waiver};
use crate::read::Keys;
use crate::rules::{self, AUTHORS, REQUIREMENTS, SEVERITIES};
use crate::suggest::{nearest, quoted};

pub(crate) fn gate(keys: &Keys<'_>) -> Option<GatePolicy> {
    let requires = keys.each("requires", |text| rules::choice(text, "requirement", REQUIREMENTS));
    let block = keys.each("block", |text| rules::choice(text, "severity", SEVERITIES));
    let (deadline, valid) = (keys.millis("deadline"), keys.millis("approval_valid"));
    let approval = approval(keys);
    let requires = requires?;
    Some(GatePolicy {
        scan: requires.contains(&Requirement::Scan),
        tests: requires.contains(&Requirement::Tests),
        signature: requires.contains(&Requirement::Signature),
        approval: Some(approval?).filter(|_| requires.contains(&Requirement::Approval)),
        block: block?,
        deadline_ms: deadline?,
        approval_valid_ms: valid?,
    })
}

fn approval(keys: &Keys<'_>) -> Option<ApprovalPolicy> {
    let people = keys.count("approvals");
    let author_counts = keys.parsed("author", |text| rules::choice(text, "choice", AUTHORS));
    Some(ApprovalPolicy { people: people?, author_counts: author_counts? })
}

pub(crate) fn waiver(keys: &Keys<'_>) -> Option<Waiver> {
    let (id, why) = (keys.parsed("id", rules::line), keys.parsed("why", rules::line));
    Some(Waiver { id: id?, until: keys.parsed("until", rules::until)?, why: why? })
}

/// Where images of an environment are promoted from; the inner `None` where they are not.
#[expect(
    clippy::option_option,
    reason = "what is wrong is none, as everywhere here; and there may be no promotion"
)]
pub(crate) fn promotion(keys: &Keys<'_>) -> Option<Option<Promotion>> {
    let soak = keys.millis("soak");
    if !keys.has("after") {
        if keys.has("soak") {
            let message = "`soak` says how long images run in the environment before, but there is no `after`: add it, \
                           or take `soak` out";
            keys.note("soak", Wrong::new(Code::Promotion, message));
        }
        return Some(None);
    }
    let from = keys.parsed("after", rules::environment);
    Some(Some(Promotion { from: from?, soak_ms: soak? }))
}

/// Notes environments that are promoted from none that there is, or from themselves by any way, and services that would
/// never come.
pub(crate) fn note_order(tables: &[Keys<'_>], environments: &[Environment]) {
    let known: BTreeMap<&str, &Environment> =
        environments.iter().map(|environment| (environment.name.as_str(), environment)).collect();
    for keys in tables {
        let (Some(name), Some(after)) = (keys.text("name"), keys.text("after")) else { continue };
        let Some(before) = known.get(after.value) else {
            let message =
                format!("there is no environment {}: add it as [[environment]]", quoted(after.value));
            let suggestion = nearest(after.value, known.keys().copied());
            keys.note("after", Wrong::new(Code::UnknownReference, message).suggest(suggestion));
            continue;
        };
        if is_circle(&known, name.value) {
            let message = format!("{} would be promoted from itself: break the circle", quoted(name.value));
            keys.note("after", Wrong::new(Code::Promotion, message));
            continue;
        }
        let Some(environment) = known.get(name.value) else { continue };
        for service in environment.services.iter().filter(|service| !before.services.contains(service)) {
            let message = format!(
                "{service} runs in {} and is promoted from {}, where it does not run: add it there, or take it out here",
                quoted(name.value),
                quoted(after.value)
            );
            keys.note("after", Wrong::new(Code::Promotion, message));
        }
    }
}

fn is_circle(known: &BTreeMap<&str, &Environment>, name: &str) -> bool {
    let before = |environment: &&Environment| known.get(environment.after.as_ref()?.from.as_str()).copied();
    let chain = std::iter::successors(known.get(name).copied(), before);
    // The first is the environment itself.
    chain.skip(1).take(known.len()).any(|environment| environment.name.as_str() == name)
}

/// Who may approve.
pub(crate) fn people<'a>(
    root: &Keys<'a>,
    environments: &[Environment],
    faults: &'a Faults<'a>,
) -> Vec<Person> {
    let mut names = Names::new("person", faults);
    let mut places = Names::new("environment", faults);
    for environment in environments {
        places.know(environment.name.as_str());
    }
    let tables = root.tables("person");
    tables.iter().filter_map(|keys| person(keys, environments, &mut names, &places)).collect()
}

fn person(
    keys: &Keys<'_>,
    environments: &[Environment],
    names: &mut Names<'_>,
    places: &Names<'_>,
) -> Option<Person> {
    names.define(keys.text("name"));
    let name = keys.parsed("name", rules::line);
    let secret = if keys.has("secret") {
        keys.parsed("secret", rules::secret)
    } else {
        keys.parsed("name", rules::secret)
    };
    let logins = keys.each("logins", rules::line);
    let approves = listed(keys, "approves", environments, places);
    let overrides = listed(keys, "overrides", environments, places);
    Some(Person { name: name?, secret: secret?, logins: logins?, approves: approves?, overrides: overrides? })
}

/// The environments that a key lists; `*` is all.
fn listed(
    keys: &Keys<'_>,
    key: &str,
    environments: &[Environment],
    places: &Names<'_>,
) -> Option<Vec<EnvironmentName>> {
    let listed: Vec<Spanned<&str>> = keys.texts(key)?;
    let every = listed.iter().any(|place| place.value == "*");
    listed.iter().filter(|place| place.value != "*").for_each(|place| _ = places.resolve(place));
    let is_listed = |name: &EnvironmentName| every || listed.iter().any(|place| place.value == name.as_str());
    Some(environments.iter().map(|environment| environment.name.clone()).filter(is_listed).collect())
}
