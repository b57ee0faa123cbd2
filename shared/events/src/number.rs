//! A number that was measured.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A finite number with nine significant digits: written as JSON and read again it is the same number, so that what was
/// decided by it is decided again. Less than a billionth is zero; a million billions and more are none.
#[derive(Debug, Clone, Copy)]
pub struct Number(f64);

/// Below it a number is zero.
const LEAST: f64 = 1e-9;
/// From it on there is none.
const MOST: f64 = 1e15;

impl Number {
    /// The number nearest to `value`; `None` for what is not finite, or too large.
    pub fn new(value: f64) -> Option<Self> {
        if !value.is_finite() || value.abs() >= MOST {
            return None;
        }
        if value.abs() < LEAST {
            return Some(Self(0.0));
        }
        format!("{value:.8e}").parse().ok().filter(|rounded: &f64| rounded.abs() < MOST).map(Self)
    }

    /// As the machine calculates with it.
    pub fn get(self) -> f64 {
        self.0
    }

    /// It as a whole number, when it is one that JSON writes without a point.
    fn whole(self) -> Option<i64> {
        #[expect(clippy::cast_possible_truncation, reason = "below 10^15 every whole number fits")]
        (self.0.fract() == 0.0).then_some(self.0 as i64)
    }
}

impl From<u32> for Number {
    fn from(value: u32) -> Self {
        Self::new(f64::from(value)).unwrap_or(Self(0.0))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.whole() {
            Some(whole) => serializer.serialize_i64(whole),
            None => serializer.serialize_f64(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(deserializer)?;
        Self::new(value).ok_or_else(|| de::Error::custom(format!("{value} is too large for a number")))
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Number {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Number".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "number", "description": "A number with nine significant digits at most." })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_number_is_the_same_after_json(value in -1e15..1e15_f64, shift in 0..24_i32) {
            let number = Number::new(value / 10_f64.powi(shift)).unwrap();
            let json = serde_json::to_string(&number).unwrap();
            prop_assert_eq!(serde_json::from_str::<Number>(&json).unwrap(), number, "{}", json);
            prop_assert!((number.get() - value / 10_f64.powi(shift)).abs() <= value.abs() / 1e8 + 1e-9);
        }
    }

    #[test]
    fn what_is_no_number_is_refused_and_what_is_whole_has_no_point() {
        for value in [f64::NAN, f64::INFINITY, -1e15, 1e300, 999_999_999_999_999.9] {
            assert_eq!(Number::new(value), None, "{value}");
        }
        let json = |value| serde_json::to_string(&Number::new(value).unwrap()).unwrap();
        assert_eq!([json(5.0), json(-0.0), json(0.25), json(1e-12)], ["5", "0", "0.25", "0"]);
        assert!(serde_json::from_str::<Number>("1e20").is_err());
        assert_eq!(Number::new(1.0 / 3.0).unwrap().to_string(), "0.333333333");
    }
}
