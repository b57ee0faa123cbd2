//! What several tests need.

use longshore_policy::SAMPLE;
use serde_json::Value;

/// The sample's lines of TOML, those in comments too; prose left out.
pub(crate) fn sample_lines() -> Vec<&'static str> {
    let toml = |line: &&str| {
        line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '))
    };
    SAMPLE.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)).filter(toml).collect()
}

/// TOML as JSON.
pub(crate) fn to_json(value: &toml_span::Value<'_>) -> Value {
    use toml_span::value::ValueInner::{Array, Boolean, Float, Integer, String, Table};
    match value.as_ref() {
        String(text) => text.as_ref().into(),
        Integer(number) => (*number).into(),
        Float(number) => (*number).into(),
        Boolean(flag) => (*flag).into(),
        Array(items) => items.iter().map(to_json).collect(),
        Table(table) => table.iter().map(|(key, value)| (key.name.to_string(), to_json(value))).collect(),
    }
}
