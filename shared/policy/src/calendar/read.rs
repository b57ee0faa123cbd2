//! Windows and freezes as the configuration writes them.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::{Freeze, Window};
use crate::fault::{Code, Wrong};
use crate::read::Keys;
use crate::rules;
use crate::suggest::{nearest, quoted};

/// The days of the week.
const DAYS: &[(&str, usize)] =
    &[("mon", 0), ("tue", 1), ("wed", 2), ("thu", 3), ("fri", 4), ("sat", 5), ("sun", 6)];
/// The time zones of this build: the same on every host.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

fn wrong(message: String) -> Wrong {
    Wrong::new(Code::InvalidCalendar, message)
}

/// A window.
pub(crate) fn window(keys: &Keys<'_>) -> Option<Window> {
    let (from, to, zone) = (keys.parsed("from", time), keys.parsed("to", time), keys.parsed("zone", zone));
    let listed = keys.each("days", |text| match text {
        "*" => Ok(None),
        day => rules::choice(day, "day", DAYS).map(Some),
    })?;
    let mut days = [false; 7];
    for (number, day) in days.iter_mut().enumerate() {
        *day = listed.iter().any(|listed| listed.is_none_or(|listed| listed == number));
    }
    if listed.is_empty() {
        keys.note("days", wrong("this window opens on no day: name days, or take it out".into()));
        return None;
    }
    let (from, to) = (from?, to?);
    if from == to && from != Time::midnight() {
        keys.note("to", wrong("this window ends when it begins: let it end later, or take it out".into()));
        return None;
    }
    Some(Window { days, from, to, zone: zone? })
}

/// A freeze.
pub(crate) fn freeze(keys: &Keys<'_>) -> Option<Freeze> {
    let why = keys.parsed("why", rules::line);
    let zone = keys.parsed("zone", zone)?;
    let from = keys.parsed("from", |text| moment(text, &zone, 0));
    // A day counts to its end.
    let until = keys.parsed("until", |text| moment(text, &zone, 1));
    let (from, until) = (from?, until?);
    if from >= until {
        keys.note("until", wrong("this freeze ends before it begins: let it end later".into()));
        return None;
    }
    Some(Freeze { from, until, why: why? })
}

/// `HH:MM`; `24:00` is the midnight after.
fn time(text: &str) -> Result<Time, Wrong> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = text.split_once(':').filter(|(h, m)| h.len() == 2 && m.len() == 2 && digits(h) && digits(m));
    let parts = parts.and_then(|(hour, minute)| Some((hour.parse::<i8>().ok()?, minute.parse::<i8>().ok()?)));
    let time = match parts {
        Some((24, 0)) => Some(Time::midnight()),
        Some((hour, minute)) => Time::new(hour, minute, 0, 0).ok(),
        None => None,
    };
    time.ok_or_else(|| wrong(format!("{} is no time of day: write one such as \"09:00\"", quoted(text))))
}

fn zone(text: &str) -> Result<TimeZone, Wrong> {
    ZONES.get(text).map_err(|_| {
        let message =
            format!("{} is no time zone: write a name of IANA's, such as \"Europe/Berlin\"", quoted(text));
        let known: Vec<String> = ZONES.available().map(|name| name.to_string()).collect();
        wrong(message).suggest(nearest(text, known.iter().map(String::as_str)))
    })
}

/// A day, so many days later; a time on the clock of the zone; or a moment as RFC 3339 writes it.
fn moment(text: &str, zone: &TimeZone, later: i64) -> Result<Timestamp, Wrong> {
    let at = |shown: DateTime| zone.to_ambiguous_timestamp(shown).compatible().ok();
    let day = text.parse::<Date>().ok().filter(|_| text.len() == 10);
    let of_day =
        |day: Date| at(day.checked_add(jiff::Span::new().days(later)).ok()?.to_datetime(Time::midnight()));
    let found = match day {
        Some(day) => of_day(day),
        // A moment says its offset itself.
        None => text.parse::<Timestamp>().ok().or_else(|| at(text.parse().ok()?)),
    };
    found.ok_or_else(|| {
        let such = "\"2026-12-24\" or \"2026-12-24T18:00\"";
        wrong(format!("{} is neither a day nor a time: write one such as {such}", quoted(text)))
    })
}
