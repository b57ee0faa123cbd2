//! What can be measured of a release.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is measured of a release over a window. Of all of them more is worse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// How many requests it was sent.
    Requests,
    /// How many of a hundred requests got no answer, or one of 500 and above: percent.
    ErrorRate,
    /// How long requests waited for the head of their answer: milliseconds.
    Latency(Percentile),
    /// How much of what it may use it uses: percent.
    Saturation,
    /// What an expression says, in the language of whoever is asked.
    Expression(String),
}

/// So much of all is at or below the value: hundredths of a percent, from 1 to 9,999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Percentile(u16);

impl Percentile {
    /// The percentile of so many hundredths of a percent: 9,990 is p99.9. `None` when it is none.
    pub fn new(hundredths: u16) -> Option<Self> {
        (1..10_000).contains(&hundredths).then_some(Self(hundredths))
    }

    /// As a share of 1: 0.999 for p99.9.
    pub fn share(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }
}

impl TryFrom<u16> for Percentile {
    type Error = String;
    fn try_from(hundredths: u16) -> Result<Self, String> {
        Self::new(hundredths).ok_or_else(|| format!("{hundredths} is no percentile: 1 to 9999"))
    }
}

impl From<Percentile> for u16 {
    fn from(percentile: Percentile) -> Self {
        percentile.0
    }
}

/// `99` or `99.9`.
impl fmt::Display for Percentile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f64::from(self.0) / 100.0)
    }
}

impl Measure {
    /// What its values are counted in; empty for bare numbers.
    pub fn unit(&self) -> &'static str {
        match self {
            Self::ErrorRate | Self::Saturation => "%",
            Self::Latency(_) => "ms",
            Self::Requests | Self::Expression(_) => "",
        }
    }

    /// The measure of that name, as [`Display`](fmt::Display) writes it; `None` when there is none. An expression has no
    /// name that says what it is.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "requests" => Some(Self::Requests),
            "error_rate" => Some(Self::ErrorRate),
            "saturation" => Some(Self::Saturation),
            _ => name.strip_prefix("latency_p").and_then(percentile).map(Self::Latency),
        }
    }
}

/// `99` or `99.9` or `99.99`.
fn percentile(text: &str) -> Option<Percentile> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || whole.len() > 2 || part.len() > 2 {
        return None;
    }
    let hundredths: u16 = format!("{part:0<2}").parse().ok()?;
    Percentile::new(whole.parse::<u16>().ok()? * 100 + hundredths)
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requests => f.write_str("requests"),
            Self::ErrorRate => f.write_str("error_rate"),
            Self::Latency(percentile) => write!(f, "latency_p{percentile}"),
            Self::Saturation => f.write_str("saturation"),
            Self::Expression(_) => f.write_str("expression"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measure_has_a_name_that_is_read_again() {
        for name in ["requests", "error_rate", "latency_p50", "latency_p99.9", "latency_p0.01", "saturation"]
        {
            assert_eq!(Measure::named(name).unwrap().to_string(), name);
        }
        for name in
            ["", "errors", "latency", "latency_p", "latency_p100", "latency_p0", "latency_p9.", "latency_p+9"]
        {
            assert_eq!(Measure::named(name), None, "{name}");
        }
        assert!((Percentile::new(9_990).unwrap().share() - 0.999).abs() < 1e-12);
    }
}
