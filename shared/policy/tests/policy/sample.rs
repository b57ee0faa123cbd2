//! `samplconfig.toml` and the JSON Schema say what the code does.

use longshore_policy::{Policy, SAMPLE, check, schema};
use serde_json::{Value, json};

use crate::support::to_json;

/// A commented line of TOML in the sample, without its `# `.
fn commented(line: &str) -> Option<&str> {
    let toml = line.strip_prefix("# ")?;
    let heading = toml.starts_with('[') && toml.ends_with(']');
    let key = toml
        .split_once(" = ")
        .is_some_and(|(key, _)| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
    (heading || key).then_some(toml)
}

/// The sample with its commented lines taken in: all, or those for which the schema names no default.
fn sample(with_defaults: bool) -> String {
    let schema = schema();
    let mut here = Vec::new();
    let mut lines = Vec::new();
    for line in SAMPLE.lines() {
        let toml = commented(line).unwrap_or(line);
        if toml.starts_with('[') {
            here = toml.trim_matches(['[', ']']).split('.').map(str::to_owned).collect();
        }
        let default = toml
            .split_once(" = ")
            .and_then(|(key, _)| property(&schema, &here, key)?.get("default").cloned());
        lines.push(if with_defaults || default.is_none() { toml } else { line });
    }
    lines.join("\n")
}

/// The schema of a key under a heading.
fn property<'a>(schema: &'a Value, heading: &[String], key: &str) -> Option<&'a Value> {
    let mut table = schema;
    for name in heading {
        let property = table.get("properties")?.get(name)?;
        table = property.get("items").or_else(|| property.get("anyOf")?.get(1)).unwrap_or(property);
    }
    table.get("properties")?.get(key)
}

fn checked(text: &str) -> Policy {
    check(text, "samplconfig.toml").unwrap_or_else(|faults| {
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        panic!("{}\n{text}", faults.join("\n"))
    })
}

#[test]
fn the_sample_is_valid_and_so_is_it_with_every_line_taken_in() {
    let policy = checked(SAMPLE);
    assert_eq!(policy.services.len(), 1);
    assert_eq!(policy.environments[0].services, [policy.services[0].name.clone()]);
    let whole = checked(&sample(true));
    assert!(whole.services[0].run.health.is_some() && whole.sources.len() == 1);
}

#[test]
fn the_commented_defaults_are_the_real_defaults() {
    let (without, with) = (sample(false), sample(true));
    assert_ne!(without, with);
    assert_eq!(checked(&without), checked(&with));
}

/// Of these a table has one alone, and the sample shows another.
const ALTERNATIVES: [&str; 3] = [
    "the file / service / manifests / files",
    "the file / service / manifests / kustomize",
    "the file / signer / file",
];

#[test]
fn every_known_key_is_in_the_sample() {
    let whole = sample(true);
    let root = to_json(&toml_span::parse(&whole).unwrap());
    assert_eq!(missing(&schema(), &root, "the file"), ALTERNATIVES);
}

/// The keys of the schema that the value lacks.
fn missing(schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Vec::new() };
    let mut missing_keys = Vec::new();
    for (key, schema) in properties {
        let place = format!("{place} / {key}");
        match value.get(key) {
            None => missing_keys.push(place),
            Some(Value::Array(items)) if schema.get("items").is_some() => {
                // One of several shows what the others do not.
                let mut lacking = items.iter().map(|item| missing(&schema["items"], item, &place));
                let first = lacking.next().unwrap_or_default();
                let by_all = |kept: Vec<String>, other: Vec<String>| {
                    kept.into_iter().filter(|key| other.contains(key)).collect()
                };
                missing_keys.extend(lacking.fold(first, by_all));
            }
            Some(value) => {
                missing_keys.extend(missing(schema.pointer("/anyOf/1").unwrap_or(schema), value, &place));
            }
        }
    }
    missing_keys
}

#[test]
fn the_sample_validates_against_the_schema() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for text in [SAMPLE.to_owned(), sample(true)] {
        let instance = to_json(&toml_span::parse(&text).unwrap());
        let errors: Vec<_> = validator.iter_errors(&instance).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new());
    }
    let wrong = json!({ "service": [{ "name": "shop", "tiemout": "10m" }] });
    assert!(!validator.is_valid(&wrong), "unknown keys are refused");
}

/// `cargo xtask schemas` runs this with the variable set, and so writes what is compared here.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test is an entry point; the task that writes has no other way in"
)]
fn the_schema_file_is_what_the_code_generates() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/longshore.schema.json");
    let mut schema = schema();
    schema.sort_all_objects();
    let generated = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    if std::env::var_os("LONGSHORE_WRITE_SCHEMAS").is_some() {
        std::fs::write(path, &generated).unwrap();
    }
    let file = std::fs::read_to_string(path).unwrap();
    assert!(file == generated, "longshore.schema.json is out of date: run `cargo xtask schemas`");
}
