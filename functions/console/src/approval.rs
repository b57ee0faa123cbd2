//! What people say of an image: that it may run, that it must not, or that its quarantine is lifted.

use std::collections::BTreeSet;

use longshore_events::types::{
    ApprovalDecision, ApprovalGiven, DigestQuarantined, DigestReleased, GateEvaluated, Verdict,
};
use longshore_events::{Data, Event, EventId, Fact, Link};
use longshore_policy::Calendar;
use longshore_ports::history::EventQuery;
use longshore_ports::quarantine;

use crate::api::{Approvals, Given, NewApproval, NewRelease, Waiting};
use crate::request::checked;
use crate::stored::Deployed;
use crate::{Console, Refused};

/// Facts that are looked through for what is meant, the newest ones.
const LOOKED: usize = 1_000;
/// Digits of a digest that are enough to name it.
const DIGITS: usize = 6;
/// What the gate's reasons begin with where people are waited for.
const APPROVAL: &str = "approval:";

impl Console {
    /// What waits for people, the newest first.
    pub(crate) async fn waiting(&self) -> Result<Approvals, Refused> {
        let judged = self.newest::<GateEvaluated>().await?;
        let waits = |(event, fact): &(Event, GateEvaluated)| waits(fact).then(|| shown(event, fact));
        Ok(Approvals { waiting: judged.iter().filter_map(waits).collect() })
    }

    /// Notes a person's word.
    pub(crate) async fn approve(&self, asked: &NewApproval, who: &str) -> Result<Given, Refused> {
        checked(&[("who", Some(who)), ("why", asked.why.as_deref())])?;
        if asked.override_window {
            overrides(asked)?;
        }
        let (event, fact) = self.meant(asked).await?;
        if asked.override_window {
            self.may_override(who, &fact)?;
        } else {
            self.may_approve(who, &fact)?;
        }
        if asked.until.is_some_and(|until| until <= self.clock.now()) {
            return Err(Refused::unusable(
                "LS0219",
                "the approval would end before it begins: name a later time",
            ));
        }
        let data = ApprovalGiven {
            environment: fact.environment.clone(),
            service: fact.service.clone(),
            digest: fact.digest.clone(),
            decision: asked.decision,
            who: who.to_owned(),
            why: asked.why.clone(),
            until: asked.until,
            override_window: asked.override_window,
        };
        self.say("approval", &event, &fact.digest, who, data.into()).await
    }

    /// Lifts a quarantine.
    pub(crate) async fn release(&self, asked: &NewRelease, who: &str) -> Result<Given, Refused> {
        checked(&[("who", Some(who)), ("why", Some(&asked.why))])?;
        if asked.why.trim().is_empty() {
            return Err(Refused::unusable("LS0219", "say why it may run again: `--why`"));
        }
        let begins = digits(&asked.digest)?;
        let fits = |(_, fact): &(Event, DigestQuarantined)| {
            let here = asked.environment.as_ref().is_none_or(|name| *name == fact.environment.as_str());
            let this = asked.service.as_ref().is_none_or(|name| *name == fact.service.as_str());
            here && this && fact.digest.hex().starts_with(begins)
        };
        let mut found = Vec::new();
        for (event, fact) in self.newest::<DigestQuarantined>().await?.into_iter().filter(fits) {
            if quarantine(&*self.journal, &event.subject).await?.bad.is_some() {
                found.push((event, fact));
            }
        }
        let none = || format!("no digest that begins with {begins} is quarantined there");
        let (event, fact) = the_one(found, none, "name environment and service")?;
        let data = DigestReleased {
            digest: fact.digest.clone(),
            environment: fact.environment,
            service: fact.service,
            quarantine: event.id.clone(),
            who: who.to_owned(),
            why: asked.why.clone(),
        };
        self.say("release", &event, &fact.digest, who, data.into()).await
    }

    /// The image that is meant: a digest in question, or the newest one that waits.
    async fn meant(&self, asked: &NewApproval) -> Result<(Event, GateEvaluated), Refused> {
        let judged = self.newest::<GateEvaluated>().await?;
        let held = if asked.override_window { self.held().await? } else { BTreeSet::new() };
        let is_held = |event: &Event| held.contains(&event.subject);
        let takes_words = |fact: &GateEvaluated| {
            if asked.override_window { self.has_calendar(fact) } else { self.needs_people(fact) }
        };
        let mut may_be: Vec<_> = judged.into_iter().filter(|(_, fact)| takes_words(fact)).collect();
        let named = |fact: &GateEvaluated| {
            let place = format!("{}/{}", fact.environment, fact.service);
            asked.what == fact.service.as_str() || asked.what == place
        };
        let (place, digest) = match asked.what.split_once('/') {
            Some((place, digest)) => (Some(place), digest),
            None => (None, asked.what.as_str()),
        };
        if may_be.iter().any(|(_, fact)| named(fact)) || digits(digest).is_err() {
            may_be.retain(|(event, fact)| {
                let is_open = waits(fact) || is_held(event) || asked.decision == ApprovalDecision::Rejected;
                named(fact) && is_open
            });
            // The newest of each place.
            let mut places = BTreeSet::new();
            may_be.retain(|(_, fact)| places.insert((fact.environment.clone(), fact.service.clone())));
        } else {
            let begins = digits(digest)?;
            let here = |fact: &GateEvaluated| place.is_none_or(|place| place == fact.environment.as_str());
            may_be.retain(|(_, fact)| here(fact) && fact.digest.hex().starts_with(begins));
        }
        let awaited = if asked.override_window {
            "waits for a window to open or a freeze to end"
        } else {
            "waits for approval; `longshore approve` lists what does"
        };
        let none = || format!("nothing of {:?} {awaited}", asked.what);
        the_one(may_be, none, "name one of them")
    }

    fn needs_people(&self, fact: &GateEvaluated) -> bool {
        self.policy
            .environment(&fact.environment)
            .is_some_and(|environment| environment.gate.approval.is_some())
    }

    /// Rollouts have to wait there at times.
    fn has_calendar(&self, fact: &GateEvaluated) -> bool {
        let environment = self.policy.environment(&fact.environment);
        environment.is_some_and(|environment| environment.calendar != Calendar::default())
    }

    /// What waits for a window to open or a freeze to end, as `environment/service/digest`.
    async fn held(&self) -> Result<BTreeSet<String>, Refused> {
        let units = self.journal.units("deploy", LOOKED).await?;
        let held = units.into_iter().filter_map(|unit| {
            let state: Deployed = serde_json::from_str(&unit.row.state).ok()?;
            Some(format!("{}/{}", unit.unit, state.held?.image.digest))
        });
        Ok(held.collect())
    }

    /// Whose word overrides the calendar there.
    fn may_override(&self, who: &str, fact: &GateEvaluated) -> Result<(), Refused> {
        if self.policy.may_override(who, &fact.environment) {
            return Ok(());
        }
        let people = self.policy.people.iter().map(|person| person.name.as_str());
        let may: Vec<_> = people.filter(|name| self.policy.may_override(name, &fact.environment)).collect();
        let who_may =
            if may.is_empty() { "nobody may".to_owned() } else { format!("{} may", may.join(", ")) };
        let message = format!(
            "{who} may not override the windows and freezes of {}: {who_may}, as `overrides` of [[person]] says",
            fact.environment
        );
        Err(Refused { status: 403, code: Some("LS0306"), message })
    }

    /// Whose word counts there.
    fn may_approve(&self, who: &str, fact: &GateEvaluated) -> Result<(), Refused> {
        if self.policy.may_approve(who, &fact.environment) {
            return Ok(());
        }
        let people = self.policy.people.iter().map(|person| person.name.as_str());
        let may: Vec<_> = people.filter(|name| self.policy.may_approve(name, &fact.environment)).collect();
        let who_may =
            if may.is_empty() { "nobody may".to_owned() } else { format!("{} may", may.join(", ")) };
        let message = format!(
            "{who} may not approve for {}: {who_may}, each with the token of their own ([[person]] in the configuration)",
            fact.environment
        );
        Err(Refused { status: 403, code: Some("LS0306"), message })
    }

    /// Of each subject the newest fact of a type, the newest first.
    async fn newest<F: Fact>(&self) -> Result<Vec<(Event, F)>, Refused> {
        let query =
            EventQuery { kind: Some(F::KIND.into()), newest: true, limit: LOOKED, ..EventQuery::default() };
        let events = self.journal.events(&query).await?.events;
        let mut subjects = BTreeSet::new();
        let fresh = events.into_iter().rev().map(|recorded| recorded.event);
        let of_type = fresh.filter(|event| subjects.insert(event.subject.clone()));
        Ok(of_type.filter_map(|event| Some((event.clone(), F::from_data(&event.data)?.clone()))).collect())
    }

    async fn say(
        &self,
        what: &str,
        of: &Event,
        digest: &longshore_events::Digest,
        who: &str,
        data: Data,
    ) -> Result<Given, Refused> {
        let now = self.clock.now();
        let id = EventId::new(format!("{what}/{}/{}", of.subject, now.as_nanosecond()));
        let id = id.map_err(|error| Refused::unusable("LS0210", error.to_string()))?;
        let link = Link { chain: of.link.chain.clone(), cause: Some(of.id.clone()) };
        let subject = of.subject.clone();
        let mut place = subject.split('/').map(ToOwned::to_owned);
        let given = Given {
            id: id.to_string(),
            environment: place.next().unwrap_or_default(),
            service: place.next().unwrap_or_default(),
            digest: digest.to_string(),
            who: who.to_owned(),
        };
        let event = Event {
            link,
            id,
            source: "longshore/console".into(),
            subject,
            time: now,
            traceparent: None,
            dryrun: false,
            data,
        };
        self.keep(event).await?;
        Ok(given)
    }
}

/// A word that overrides a window approves, and has a reason.
fn overrides(asked: &NewApproval) -> Result<(), Refused> {
    if asked.decision == ApprovalDecision::Rejected {
        return Err(Refused::unusable(
            "LS0219",
            "who rejects an image overrides nothing: leave `override_window` out",
        ));
    }
    if asked.why.as_deref().is_none_or(|why| why.trim().is_empty()) {
        return Err(Refused::unusable(
            "LS0219",
            "say why it may begin although the calendar is closed: `--why`",
        ));
    }
    Ok(())
}

/// The one fact that is meant, or why it is not clear which.
fn the_one<F>(
    mut found: Vec<(Event, F)>,
    none: impl FnOnce() -> String,
    way_out: &str,
) -> Result<(Event, F), Refused> {
    if found.len() > 1 {
        let places: Vec<_> = found.iter().map(|(event, _)| event.subject.as_str()).collect();
        let why = format!("several are meant: {}; {way_out}", places.join(", "));
        return Err(Refused::unusable("LS0219", why));
    }
    found.pop().ok_or_else(|| Refused::missing(none()))
}

fn waits(fact: &GateEvaluated) -> bool {
    fact.verdict == Verdict::Unknown && fact.reasons.iter().any(|reason| reason.starts_with(APPROVAL))
}

fn shown(event: &Event, fact: &GateEvaluated) -> Waiting {
    Waiting {
        environment: fact.environment.to_string(),
        service: fact.service.to_string(),
        digest: fact.digest.to_string(),
        commit: fact.commit.as_ref().map(ToString::to_string),
        reasons: fact.reasons.clone(),
        since: event.time,
    }
}

/// How a digest begins, without its algorithm.
pub(crate) fn digits(text: &str) -> Result<&str, Refused> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    let good = (DIGITS..=64).contains(&hex.len()) && hex.bytes().all(|b| b.is_ascii_hexdigit());
    let wrong = || {
        let brief: String = text.chars().take(100).collect();
        Refused::unusable(
            "LS0219",
            format!("{brief:?} is neither a service nor a digest ({DIGITS} digits or more)"),
        )
    };
    good.then_some(hex).ok_or_else(wrong)
}
