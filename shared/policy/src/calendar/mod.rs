//! When a rollout may begin: windows by the clock on the wall somewhere, and freezes.
//!
//! A window is open while the clock on the wall of its time zone shows a time in it: where the clock goes back it may show one
//! twice, and is open twice; a time that it skips is never shown. The time zones are those that this build brings.

mod read;

use jiff::civil::{Date, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp};

pub(crate) use read::{freeze, window};

/// Days that are looked through for the next opening: a weekly window whose time is skipped is there a week later.
const DAYS: i64 = 16;

/// When rollouts may begin in an environment. Without windows: always, but for freezes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Calendar {
    /// Rollouts begin within one of these.
    pub windows: Vec<Window>,
    /// No rollout begins within any of these.
    pub freezes: Vec<Freeze>,
}

/// Some hours of some days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The days on which it opens, from Monday.
    pub days: [bool; 7],
    /// When it opens.
    pub from: Time,
    /// When it closes; when that is not after `from`, on the next day.
    pub to: Time,
    /// Whose clock counts.
    pub zone: TimeZone,
}

/// A span of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    /// From then on.
    pub from: Timestamp,
    /// Before then.
    pub until: Timestamp,
    /// Why.
    pub why: String,
}

/// No rollout begins now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Why.
    pub why: String,
    /// When rollouts begin again; `None` when that is not in sight.
    pub until: Option<Timestamp>,
}

impl Calendar {
    /// Why no rollout begins at `now`, and until when; `None` when one may.
    pub fn closed(&self, now: Timestamp) -> Option<Closed> {
        let why = self.why(now)?;
        Some(Closed { why, until: self.opens(now) })
    }

    fn why(&self, at: Timestamp) -> Option<String> {
        let frozen = self.freezes.iter().find(|freeze| (freeze.from..freeze.until).contains(&at));
        if let Some(freeze) = frozen {
            return Some(format!("frozen: {}", freeze.why));
        }
        let open = self.windows.is_empty() || self.windows.iter().any(|window| window.is_open(at));
        (!open).then(|| "outside of the windows for changes".to_owned())
    }

    /// The first moment from `now` on at which a rollout may begin. What is open begins where a clock shows a window's start,
    /// where a clock jumps into one, or where a freeze ends.
    fn opens(&self, now: Timestamp) -> Option<Timestamp> {
        let ends = self.freezes.iter().map(|freeze| freeze.until).filter(|until| *until > now);
        let mut candidates = Vec::new();
        for start in std::iter::once(now).chain(ends) {
            candidates.push(start);
            self.windows.iter().for_each(|window| window.starts(start, &mut candidates));
        }
        candidates.retain(|at| *at >= now && self.why(*at).is_none());
        candidates.into_iter().min()
    }
}

impl Window {
    fn is_open(&self, at: Timestamp) -> bool {
        let shown = self.zone.to_datetime(at);
        let (date, time) = (shown.date(), shown.time());
        if self.from < self.to {
            return self.opens_on(date) && (self.from..self.to).contains(&time);
        }
        let began = |date: Date| self.opens_on(date) && time >= self.from;
        let goes_on = |date: Date| self.opens_on(date) && time < self.to;
        began(date) || date.yesterday().is_ok_and(goes_on)
    }

    fn opens_on(&self, date: Date) -> bool {
        let day = date.weekday().to_monday_zero_offset();
        usize::try_from(day).is_ok_and(|day| self.days[day])
    }

    /// When its clock shows its start, and when that clock jumps, from `start` on.
    fn starts(&self, start: Timestamp, into: &mut Vec<Timestamp>) {
        let today = self.zone.to_datetime(start).date();
        for day in 0..DAYS {
            let Ok(date) = today.checked_add(Span::new().days(day)) else { return };
            let shown = date.to_datetime(self.from);
            let offsets = match self.zone.to_ambiguous_timestamp(shown).offset() {
                AmbiguousOffset::Unambiguous { offset } => vec![offset],
                AmbiguousOffset::Fold { before, after } => vec![before, after],
                // It is never shown: the clock jumps over it.
                AmbiguousOffset::Gap { .. } => Vec::new(),
            };
            into.extend(offsets.into_iter().filter_map(|offset| offset.to_timestamp(shown).ok()));
        }
        let Ok(end) = start.checked_add(Span::new().hours(24 * DAYS)) else { return };
        let jumps = self.zone.following(start).map(|jump| jump.timestamp());
        into.extend(jumps.take_while(|at| *at < end));
    }
}

#[cfg(test)]
mod tests;
