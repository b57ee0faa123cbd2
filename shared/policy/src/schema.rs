//! The JSON Schema of the configuration, for editors that complete and check TOML (Even Better TOML, taplo).

use serde_json::{Map, Value, json};

use crate::metrics::SOURCES;
use crate::rules::{FORGES, PROVIDERS, STRATEGIES, UNKNOWNS};
use crate::spec::{Key, Kind, Need, ROOT, Spec};

/// The JSON Schema of `longshore.toml`.
///
/// It is draft 7, which editors know best, and looser than [`check`](crate::check): it knows kinds and keys, not
/// references. What `check` accepts, it accepts.
pub fn schema() -> Value {
    let mut schema = object(&ROOT);
    schema.insert("$schema".into(), "http://json-schema.org/draft-07/schema#".into());
    schema.insert("title".into(), "longshore.toml".into());
    Value::Object(schema)
}

fn object(spec: &Spec) -> Map<String, Value> {
    let properties: Map<_, _> = spec.keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    let required: Vec<_> =
        spec.keys.iter().filter(|key| matches!(key.need, Need::Required)).map(|key| key.name).collect();
    let mut object = Map::new();
    object.insert("type".into(), "object".into());
    object.insert("description".into(), spec.about.into());
    object.insert("properties".into(), properties.into());
    object.insert("additionalProperties".into(), false.into());
    if !required.is_empty() {
        object.insert("required".into(), required.into());
    }
    object
}

fn property(key: &Key) -> Value {
    let mut schema = kind(&key.kind);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".into(), key.about.into());
        let default = match key.need {
            Need::Text(text) => Some(json!(text)),
            Need::Count(count) => Some(json!(count)),
            Need::Texts(texts) => Some(json!(texts)),
            Need::Required | Need::Optional => None,
        };
        schema.extend(default.map(|default| ("default".to_owned(), default)));
    }
    schema
}

fn kind(kind: &Kind) -> Value {
    let texts = || json!({ "type": "array", "items": { "type": "string" } });
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Provider => choices(PROVIDERS),
        Kind::Forge => choices(FORGES),
        Kind::Strategy(spec) => json!({ "anyOf": [{ "type": "string", "enum": ["rolling"] }, object(spec)] }),
        Kind::MetricsSource => choices(SOURCES),
        Kind::StrategyName => choices(STRATEGIES),
        Kind::Unknown => choices(UNKNOWNS),
        Kind::Measure => json!({
            "type": "string",
            "pattern": "^(requests|error_rate|saturation|expression|latency_p[0-9]{1,2}([.][0-9]{1,2})?)$",
        }),
        Kind::Weight => json!({ "type": "integer", "minimum": 0, "maximum": 100 }),
        Kind::Duration(_) => json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h)$" }),
        Kind::Size(_) => json!({ "type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB)$" }),
        Kind::Count => json!({ "type": "integer", "minimum": 1, "maximum": 1000 }),
        Kind::Texts => texts(),
        Kind::Command => json!({ "anyOf": [{ "type": "string" }, texts()] }),
        Kind::TrueOrGlobs => json!({ "anyOf": [{ "type": "boolean" }, texts()] }),
        Kind::Map => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Kind::Probe(spec) => json!({ "anyOf": [{ "type": "string", "pattern": "^/" }, object(spec)] }),
        Kind::Table(spec) => Value::Object(object(spec)),
        Kind::Tables(spec) => json!({ "type": "array", "items": object(spec) }),
    }
}

fn choices<T>(choices: &[(&str, T)]) -> Value {
    let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
    json!({ "type": "string", "enum": names })
}
