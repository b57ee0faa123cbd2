//! Figures and names as summaries write them.

use std::time::Duration;

use crate::output::Output;

/// As the banner names an output.
pub(super) fn output(output: &Output) -> String {
    match output {
        Output::Json(path) => format!("json ({})", path.display()),
        Output::Csv(path) => format!("csv ({})", path.display()),
    }
}

/// Milliseconds with a unit: the one asked for, or the largest that leaves a whole part.
pub(super) fn time(ms: f64, unit: Option<&str>) -> String {
    match unit {
        Some("s") => return format!("{:.6}s", ms / 1_000.0),
        Some("ms") => return format!("{ms:.2}ms"),
        Some("us") => return format!("{:.2}µs", ms * 1_000.0),
        _ => {}
    }
    let size = ms.abs();
    if size == 0.0 {
        "0s".to_owned()
    } else if size < 0.001 {
        format!("{}ns", trimmed(ms * 1e6, 0))
    } else if size < 1.0 {
        format!("{}µs", trimmed(ms * 1_000.0, 2))
    } else if size < 1_000.0 {
        format!("{}ms", trimmed(ms, 2))
    } else if size < 60_000.0 {
        format!("{}s", trimmed(ms / 1_000.0, 2))
    } else {
        let seconds = (ms / 1_000.0).round();
        let (hours, minutes) = ((seconds / 3_600.0).floor(), (seconds / 60.0).floor() % 60.0);
        let rest = seconds % 60.0;
        if hours > 0.0 { format!("{hours}h{minutes}m{rest}s") } else { format!("{minutes}m{rest}s") }
    }
}

/// With so many digits behind the point, none of them a needless zero.
fn trimmed(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Bytes with a unit, by thousands.
pub(super) fn bytes(count: f64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB"];
    let (mut value, mut unit) = (count, 0);
    while value >= 1_000.0 && unit + 1 < units.len() {
        value /= 1_000.0;
        unit += 1;
    }
    let digits = usize::from(value < 10.0 && value.fract() != 0.0);
    format!("{value:.digits$} {}", units[unit])
}

/// A bare number, six digits behind the point at most.
pub(super) fn plain(value: f64) -> String {
    trimmed(value, 6)
}

/// A share as a percentage.
pub(super) fn percent(share: f64) -> String {
    // Never rounded up to what it is not.
    format!("{:.2}%", (share * 10_000.0).floor() / 100.0)
}

/// `00m03.0s`, or `1h02m03s`.
pub(super) fn clock(duration: Duration) -> String {
    let tenths = duration.as_millis() / 100;
    let (hours, minutes, seconds) = (tenths / 36_000, tenths / 600 % 60, tenths % 600);
    if hours > 0 {
        format!("{hours}h{minutes:02}m{:02}.{}s", seconds / 10, seconds % 10)
    } else {
        format!("{minutes:02}m{:02}.{}s", seconds / 10, seconds % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_as_k6_writes_them() {
        for (ms, text) in [
            (0.0, "0s"),
            (0.25, "250µs"),
            (12.5, "12.5ms"),
            (106.4, "106.4ms"),
            (1_500.0, "1.5s"),
            (90_000.0, "1m30s"),
            (0.000_5, "500ns"),
        ] {
            assert_eq!(time(ms, None), text);
        }
        assert_eq!((bytes(2_706.0), bytes(420.0)), ("2.7 kB".to_owned(), "420 B".to_owned()));
        assert_eq!(percent(0.999_999), "99.99%");
        assert_eq!(clock(Duration::from_millis(3_020)), "00m03.0s");
    }
}
