//! The JSON Schema of each event type: the envelope with the type's data in its place.

use schemars::Schema;
use serde_json::{Map, Value, json};

/// Every type with the JSON Schema of its structured CloudEvents JSON.
///
/// Unknown attributes and fields are allowed, as reading ignores them.
pub fn schemas() -> Vec<(&'static str, Schema)> {
    let with_envelope = |(kind, data): (&'static str, Schema)| (kind, envelope(kind, &data));
    crate::data::data_schemas().into_iter().map(with_envelope).collect()
}

/// References within the data point to `#/$defs/…`, so its definitions move to the whole's root.
fn envelope(kind: &str, data: &Schema) -> Schema {
    let mut data: Map<String, Value> = data.as_object().cloned().unwrap_or_default();
    let dialect = data.remove("$schema");
    let definitions = data.remove("$defs");
    let whole = json!({
        "$schema": dialect,
        "title": kind,
        "description": data.get("description"),
        "type": "object",
        "required": ["specversion", "id", "source", "type", "subject", "time", "data"],
        "properties": {
            "specversion": { "const": "1.0" },
            "id": { "description": "Unique: the same fact said twice has the same id.", "type": "string", "pattern": "^[!-~]{1,512}$" },
            "source": { "description": "Who says it.", "type": "string", "minLength": 1 },
            "type": { "const": kind },
            "subject": { "description": "What it is about.", "type": "string", "minLength": 1 },
            "time": { "description": "When it happened, or was first heard of.", "type": "string", "format": "date-time" },
            "datacontenttype": { "const": "application/json" },
            "dataschema": { "type": "string", "format": "uri" },
            "chainid": { "description": "The chain that it belongs to; its own id when absent.", "type": "string", "pattern": "^[!-~]{1,512}$" },
            "causeid": { "description": "The event that completed the decision which said it.", "type": "string", "pattern": "^[!-~]{1,512}$" },
            "traceparent": { "description": "W3C trace context.", "type": "string" },
            "dryrun": { "description": "True for what a dry run would have said.", "type": "boolean", "default": false },
            "data": data,
        },
        "$defs": definitions,
    });
    let Value::Object(mut whole) = whole else { return Schema::default() };
    whole.retain(|_, value| !value.is_null());
    Schema::from(whole)
}
