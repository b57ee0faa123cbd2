//! Which image shall run: the rule for "when is a push superseded".
//!
//! An event only says look. What shall run is the image of the commit that Git says is the branch's tip:
//!
//! 1. An image that was just heard of and whose commit *is* the tip is taken at once. Except when that tip is an
//!    ancestor of the one that was followed before and no forced push named it: then the answer is stale.
//! 2. An image whose commit is not the tip waits. Either the tip is newer, and its image comes; or the answer was
//!    stale. [`SETTLE_MS`] after the last image was heard of, the tip is taken as true: its image runs if it was heard
//!    of, and every other image is superseded.
//! 3. An image of unknown commit is taken when the followed tag points to it.
//!
//! In an environment that is promoted to, neither branch nor tag is asked: the image that came last to run in the
//! environment before shall run, unless one runs that came there later.

use jiff::{SignedDuration, Timestamp};
use longshore_policy::SETTLE_MS;

use crate::{Candidate, Rollout, Seen, State};

/// What was chosen.
pub(crate) struct Choice {
    /// The image that shall run, unless it is where the service is headed already.
    pub(crate) take: Option<Candidate>,
    /// Nothing can change the choice any more but news: every candidate is dealt with.
    pub(crate) settled: bool,
    /// When it is settled, if it is not.
    pub(crate) look_at: Option<Timestamp>,
}

/// Chooses among the images that were heard of.
pub(crate) fn choose(state: &State, seen: &Seen, now: Timestamp, is_promoted: bool) -> Choice {
    if is_promoted {
        return Choice { take: newest(state).cloned(), settled: true, look_at: None };
    }
    let settles = state.told_at.map(|told| told + SignedDuration::from_millis(SETTLE_MS.cast_signed()));
    let quiet = settles.is_none_or(|settles| now >= settles);
    let fresh = || state.candidates.iter().rev().filter(|candidate| candidate.fresh);
    let clear = fresh().find(|candidate| is_clear(candidate, seen));
    let target = clear.or_else(|| if quiet { trusted(state, seen) } else { None });
    let waits = !state.candidates.is_empty() && !quiet;
    Choice {
        take: target.filter(|target| !is_headed(state, target)).cloned(),
        settled: quiet,
        look_at: settles.filter(|_| waits),
    }
}

/// Of the images that were promoted and not dealt with the newest, if none runs that is as new.
fn newest(state: &State) -> Option<&Candidate> {
    let fresh = state.candidates.iter().filter(|candidate| candidate.fresh);
    let newest = fresh.max_by_key(|candidate| candidate.proven)?;
    let headed = rolling(state).map(|rollout| &rollout.to).or(state.current.as_ref());
    headed.is_none_or(|release| release.proven < newest.proven).then_some(newest)
}

/// The event and the outside agree.
fn is_clear(candidate: &Candidate, seen: &Seen) -> bool {
    match &candidate.commit {
        Some(commit) => seen.tip.as_ref() == Some(commit) && (candidate.forced || !seen.behind),
        None => seen.tag.as_ref() == Some(&candidate.image.digest),
    }
}

/// The image of what the outside says, whenever it was heard of. An image from outside that runs is not taken back to
/// the tip: the tip must be pushed again.
fn trusted<'a>(state: &'a State, seen: &Seen) -> Option<&'a Candidate> {
    let outside = headed(state).is_some_and(|(_, commit)| commit.is_none());
    state.candidates.iter().rev().find(|candidate| match &candidate.commit {
        Some(commit) => !outside && seen.tip.as_ref() == Some(commit),
        None => outside && seen.tag.as_ref() == Some(&candidate.image.digest),
    })
}

type Headed<'a> = (&'a longshore_events::ImageRef, Option<&'a longshore_events::CommitId>);

/// Where the service is headed: the rollout's release unless that goes back, else the one that runs.
fn headed(state: &State) -> Option<Headed<'_>> {
    let release = rolling(state).map(|rollout| &rollout.to).or(state.current.as_ref())?;
    Some((&release.image, release.commit.as_ref()))
}

/// The rollout, unless it goes back.
fn rolling(state: &State) -> Option<&Rollout> {
    state.rollout.as_ref().filter(|rollout| !rollout.goes_back())
}

fn is_headed(state: &State, candidate: &Candidate) -> bool {
    headed(state) == Some((&candidate.image, candidate.commit.as_ref()))
}
