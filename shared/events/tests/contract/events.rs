//! Reading and writing whole events: round trips, other versions, and what is new in a later build.

use std::collections::HashMap;
use std::sync::LazyLock;

use longshore_events::{Data, Event, EventError, schemas};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::generate::facts::event;
use crate::samples::{folder_of, texts};

static VALIDATORS: LazyLock<HashMap<&'static str, jsonschema::Validator>> = LazyLock::new(|| {
    let compiled = |schema: schemars::Schema| jsonschema::validator_for(schema.as_value()).unwrap();
    schemas().into_iter().map(|(kind, schema)| (kind, compiled(schema))).collect()
});

/// The event as a later build might write it: the same, and more.
fn with_news(event: &Event, news: &str) -> String {
    let mut value: Value = serde_json::from_str(&event.to_json()).unwrap();
    value[news] = json!({ "later": [1, null] });
    value["data"][news] = json!({ "later": [1, null] });
    value.to_string()
}

fn as_kind(event: &Event, kind: &str) -> String {
    let mut value: Value = serde_json::from_str(&event.to_json()).unwrap();
    value["type"] = kind.into();
    value.to_string()
}

proptest! {
    #[test]
    fn every_event_survives_writing_and_reading(event in event()) {
        prop_assert_eq!(Event::from_json(&event.to_json()).unwrap(), event);
    }

    #[test]
    fn every_event_fits_its_schema(event in event()) {
        let value: Value = serde_json::from_str(&event.to_json()).unwrap();
        let faults: Vec<_> = VALIDATORS[event.kind()].iter_errors(&value).map(|f| f.to_string()).collect();
        prop_assert!(faults.is_empty(), "{:?}", faults);
    }

    #[test]
    fn unknown_attributes_and_fields_are_ignored(event in event(), news in "x[a-z]{3,9}") {
        prop_assert_eq!(Event::from_json(&with_news(&event, &news)).unwrap(), event);
    }

    #[test]
    fn a_newer_version_is_temporary_and_says_so(event in event(), version in 2..u64::MAX) {
        let kind = event.kind().replace(".v1", &format!(".v{version}"));
        let error = Event::from_json(&as_kind(&event, &kind)).unwrap_err();
        prop_assert!(error.is_temporary());
        prop_assert!(error.to_string().contains(&kind));
    }

    #[test]
    fn an_unknown_type_is_permanent(event in event(), kind in "[a-z.]{0,30}(\\.v[0-9]{1,3})?") {
        prop_assume!(!Data::KINDS.contains(&kind.as_str()));
        let error = Event::from_json(&as_kind(&event, &kind)).unwrap_err();
        prop_assert!(matches!(error, EventError::UnknownType(_)), "{}", error);
        prop_assert!(!error.is_temporary());
    }

    #[test]
    fn any_text_is_refused_or_read_without_a_panic(text in any::<String>()) {
        prop_assert!(Event::from_json(&text).is_err());
    }

    #[test]
    fn a_damaged_event_is_refused_or_read_without_a_panic(
        event in event(), at in any::<prop::sample::Index>(), put in any::<char>(),
    ) {
        let mut chars: Vec<char> = event.to_json().chars().collect();
        let at = at.index(chars.len());
        chars[at] = put;
        let text: String = chars.into_iter().collect();
        if let Ok(read) = Event::from_json(&text) {
            prop_assert_eq!(Event::from_json(&read.to_json()).unwrap(), read);
        }
    }
}

#[test]
fn an_event_without_a_chain_starts_one_of_its_own() {
    let (_, text) = texts(&folder_of("dev.longshore.push.received.v1")).remove(0);
    let mut value: Value = serde_json::from_str(&text).unwrap();
    value.as_object_mut().unwrap().remove("chainid");
    let event = Event::from_json(&value.to_string()).unwrap();
    assert_eq!(event.link.chain.as_str(), event.id.as_str());
    assert_eq!(event.link.cause, None);
}

#[test]
fn what_follows_from_an_event_is_in_its_chain_and_names_it_as_the_cause() {
    let (_, text) = texts(&folder_of("dev.longshore.image.pushed.v1")).remove(0);
    let event = Event::from_json(&text).unwrap();
    let link = event.then();
    assert_eq!((link.chain, link.cause), (event.link.chain, Some(event.id)));
}

#[test]
fn a_time_with_an_offset_is_the_same_instant() {
    let (_, text) = texts(&folder_of("dev.longshore.request.made.v1")).remove(0);
    let event = Event::from_json(&text).unwrap();
    let moved = Event::from_json(&text.replace("10:00:00Z", "12:00:00+02:00")).unwrap();
    assert_eq!(moved, event);
}
