//! Durations and sizes as people write them: `500ms`, `10s`, `64KiB`.

use crate::fault::{Code, Wrong};
use crate::suggest::quoted;

/// Units of durations, in milliseconds.
const DURATIONS: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
/// Units of sizes, in bytes.
const SIZES: &[(&str, u64)] = &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// The longest duration: 30 days, in milliseconds. Longer ones are slips, and would overflow when added to a date.
const LONGEST_MS: u64 = 30 * 24 * 3_600_000;
/// The largest size: 1 GiB, since it is held in memory.
const LARGEST: u64 = 1 << 30;

/// A duration in milliseconds.
pub(crate) fn duration(text: &str, least_ms: u64) -> Result<u64, Wrong> {
    let wanted = "a duration: write a number and ms, s, m or h, such as \"500ms\" or \"10s\"";
    let value = quantity(text, DURATIONS, "s", wanted)?;
    within(text, value, (least_ms, LONGEST_MS), (&write(least_ms, DURATIONS), "720h"))
}

/// A size in bytes.
pub(crate) fn size(text: &str, least: u64) -> Result<u64, Wrong> {
    let wanted = "a size: write a number and B, KiB, MiB or GiB, such as \"64KiB\" or \"25MiB\"";
    let value = quantity(text, SIZES, "MiB", wanted)?;
    within(text, value, (least, LARGEST), (&write(least, SIZES), "1GiB"))
}

fn quantity(text: &str, units: &[(&str, u64)], usual: &str, wanted: &str) -> Result<u64, Wrong> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    let value =
        number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    value.ok_or_else(|| {
        let unit = unit.trim();
        let meant = units.iter().map(|(name, _)| *name).find(|name| name.eq_ignore_ascii_case(unit));
        let meant = meant.or_else(|| short_for(unit)).or(unit.is_empty().then_some(usual));
        let meant =
            meant.filter(|name| (1..=9).contains(&digits) && units.iter().any(|(unit, _)| unit == name));
        let wrong = Wrong::new(Code::InvalidQuantity, format!("{} is not {wanted}", quoted(text)));
        wrong.suggest(meant.map(|unit| format!("{number}{unit}")))
    })
}

/// What people write for a unit elsewhere.
fn short_for(unit: &str) -> Option<&'static str> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "msec" | "millis" | "milliseconds" => "ms",
        "sec" | "second" | "seconds" => "s",
        "min" | "mins" | "minute" | "minutes" => "m",
        "hr" | "hour" | "hours" => "h",
        "k" | "kb" => "KiB",
        "mb" => "MiB",
        "g" | "gb" => "GiB",
        _ => return None,
    })
}

fn within(text: &str, value: u64, (least, most): (u64, u64), names: (&str, &str)) -> Result<u64, Wrong> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    let message =
        format!("{} is out of range: write something from {} to {}", quoted(text), names.0, names.1);
    Err(Wrong::new(Code::InvalidQuantity, message))
}

/// `value` in the largest unit that says it exactly.
fn write(value: u64, units: &[(&str, u64)]) -> String {
    let exact = units.iter().rev().find(|(_, factor)| value.is_multiple_of(*factor) && value >= *factor);
    exact.map_or_else(
        || format!("{value}{}", units[0].0),
        |(name, factor)| format!("{}{name}", value / factor),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read_in_their_units() {
        for (text, expected) in
            [("0s", 0), ("500ms", 500), ("10s", 10_000), ("5m", 300_000), ("1h", 3_600_000)]
        {
            assert_eq!(duration(text, 0), Ok(expected));
        }
        for (text, expected) in [("512B", 512), ("64KiB", 65_536), ("25MiB", 26_214_400), ("1GiB", 1 << 30)] {
            assert_eq!(size(text, 0), Ok(expected));
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused_with_the_likely_meaning() {
        let suggestion = |wrong: Wrong| format!("{wrong:?}");
        assert!(suggestion(duration("10", 0).unwrap_err()).contains("Some(\"10s\")"));
        assert!(suggestion(duration("5min", 0).unwrap_err()).contains("Some(\"5m\")"));
        assert!(suggestion(size("25mb", 0).unwrap_err()).contains("Some(\"25MiB\")"));
        for text in
            ["", "s", "-1s", "1.5s", "1 s", "99999999999999999999s", "99999999999999999h", "721h", "１s"]
        {
            assert!(duration(text, 0).is_err(), "{text}");
        }
        assert!(duration("9ms", 10).is_err());
        assert!(size("2GiB", 0).is_err());
    }
}
