//! Durations as k6 writes them: `1m30s`, `500ms`, or a number of milliseconds.

use std::time::Duration;

use serde_json::Value;

const UNITS: [(&str, f64); 9] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("μs", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3_600.0),
    ("d", 86_400.0),
];

/// A duration of a script or a flag.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration: write for example 90s, 1m30s or 500ms");
    let mut rest = text.trim();
    if let Ok(ms) = rest.parse::<f64>() {
        return from_seconds(ms / 1_000.0).ok_or_else(wrong);
    }
    let mut seconds = 0.0;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == &rest[..letters]).ok_or_else(wrong)?;
        seconds += number * unit;
        rest = &rest[letters..];
    }
    from_seconds(seconds).ok_or_else(wrong)
}

/// A duration in JSON: a text, or milliseconds.
pub(crate) fn of(value: &Value) -> Result<Duration, String> {
    match value {
        Value::String(text) => parse(text),
        Value::Number(ms) => {
            let seconds = ms.as_f64().unwrap_or(-1.0) / 1_000.0;
            from_seconds(seconds).ok_or_else(|| format!("{ms} is not a duration in milliseconds"))
        }
        other => Err(format!("{other} is not a duration: write for example \"90s\"")),
    }
}

fn from_seconds(seconds: f64) -> Option<Duration> {
    // A hundred years: all sums of durations stay within bounds.
    (0.0..=3.2e9).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

/// As k6 shows durations: `1m30s`, `2h0m0s`, `500ms`.
pub(crate) fn show(duration: Duration) -> String {
    let ms = duration.as_millis();
    if ms < 1_000 {
        return if ms == 0 { "0s".to_owned() } else { format!("{ms}ms") };
    }
    let (whole, rest) = (ms / 1_000, ms % 1_000);
    let fraction = format!(".{rest:03}");
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    let (hours, minutes, seconds) = (whole / 3_600, whole / 60 % 60, whole % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}{fraction}s"),
        (0, _) => format!("{minutes}m{seconds}{fraction}s"),
        _ => format!("{hours}h{minutes}m{seconds}{fraction}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_k6_reads_them() {
        for (text, ms) in
            [("1m30s", 90_000), ("500ms", 500), ("2h", 7_200_000), ("1.5s", 1_500), ("250", 250)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "1x", "-1s", "1s2", "1e400s"] {
            assert!(parse(text).is_err(), "{text}");
        }
        for (ms, text) in [(90_000, "1m30s"), (600_000, "10m0s"), (1_500, "1.5s"), (250, "250ms"), (0, "0s")]
        {
            assert_eq!(show(Duration::from_millis(ms)), text);
        }
    }
}
