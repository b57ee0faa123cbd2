//! Three guards for each type: it has a schema and samples; its samples survive reading and writing and fit the
//! schema; and the schema is the one that the code generates.
//!
//! The idea is from `cdevents-sdk/tests/specs.rs`. Old samples never change: a sample that no longer passes means
//! that the type broke its promise, and a new version is needed.

use std::collections::BTreeSet;
use std::fs;

use longshore_events::{Data, Event, schemas};
use serde_json::Value;

use crate::samples::{folder, folder_of, texts};

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn every_type_has_a_schema_and_a_minimal_and_a_full_sample() {
    for kind in Data::KINDS {
        for file in ["schema.json", "minimal.json", "full.json"] {
            assert!(folder_of(kind).join(file).is_file(), "{kind} has no {file}");
        }
    }
}

#[test]
fn every_folder_belongs_to_a_type() {
    let known: BTreeSet<_> = Data::KINDS.iter().map(|kind| folder_of(kind)).collect();
    let listing = fs::read_dir(folder().join("longshore")).unwrap();
    for version in listing.flat_map(|entry| fs::read_dir(entry.unwrap().path()).unwrap()) {
        let path = version.unwrap().path();
        assert!(known.contains(&path), "{} belongs to no type of Data::KINDS", path.display());
    }
}

#[test]
fn every_sample_is_read_and_written_unchanged() {
    for kind in Data::KINDS {
        for (path, text) in texts(&folder_of(kind)) {
            let event = Event::from_json(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(event.kind(), *kind, "{}", path.display());
            assert_eq!(value(&event.to_json()), value(&text), "{}", path.display());
        }
    }
}

#[test]
fn the_ids_of_all_samples_differ_within_a_type() {
    for kind in Data::KINDS {
        let samples = texts(&folder_of(kind));
        let ids: BTreeSet<_> = samples.iter().map(|(_, text)| Event::from_json(text).unwrap().id).collect();
        assert_eq!(ids.len(), samples.len(), "{kind}");
    }
}

#[test]
fn every_sample_validates_against_its_schema() {
    for (kind, schema) in schemas() {
        let validator = jsonschema::validator_for(schema.as_value()).unwrap();
        for (path, text) in texts(&folder_of(kind)) {
            let faults: Vec<_> =
                validator.iter_errors(&value(&text)).map(|fault| fault.to_string()).collect();
            assert!(faults.is_empty(), "{}: {faults:#?}", path.display());
        }
    }
}

#[test]
fn the_samples_of_a_type_show_every_field_and_only_documented_attributes() {
    let keys = |part: &Value| -> BTreeSet<String> { part.as_object().unwrap().keys().cloned().collect() };
    for (kind, schema) in schemas() {
        let samples: Vec<Value> = texts(&folder_of(kind)).iter().map(|(_, text)| value(text)).collect();
        let fields: BTreeSet<_> = samples.iter().flat_map(|sample| keys(&sample["data"])).collect();
        assert_eq!(fields, keys(&schema.as_value()["properties"]["data"]["properties"]), "fields of {kind}");
        let attributes: BTreeSet<_> = samples.iter().flat_map(&keys).collect();
        let known = keys(&schema.as_value()["properties"]);
        assert!(attributes.is_subset(&known), "{kind}: {attributes:?} are not all in the schema");
    }
}

/// `cargo xtask schemas` runs this with the variable set, and so writes what is compared here.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test is an entry point; the task that writes has no other way in"
)]
fn every_schema_is_the_generated_one() {
    let write = std::env::var_os("LONGSHORE_WRITE_SCHEMAS").is_some();
    for (kind, schema) in schemas() {
        let path = folder_of(kind).join("schema.json");
        let mut schema = schema.to_value();
        schema.sort_all_objects();
        let generated = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if write {
            fs::create_dir_all(folder_of(kind)).unwrap();
            fs::write(&path, &generated).unwrap();
        }
        let stored = fs::read_to_string(&path).unwrap_or_default();
        assert!(stored == generated, "{} is out of date: run `cargo xtask schemas`", path.display());
    }
}
