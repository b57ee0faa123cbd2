//! `events/invalid/<kind of error>-<what>.json`: texts that must be refused, each with the right kind of error.

use longshore_events::Event;
use longshore_events::EventError;

use crate::samples::{folder, texts};

fn kind(error: &EventError) -> &'static str {
    match error {
        EventError::Envelope(_) => "envelope",
        EventError::UnknownType(_) => "unknown",
        EventError::Newer(_) => "newer",
        EventError::Data { .. } => "data",
    }
}

#[test]
fn every_invalid_sample_is_refused_with_the_kind_of_error_in_its_name() {
    let samples = texts(&folder().join("invalid"));
    assert!(samples.len() > 50, "only {} invalid samples", samples.len());
    for (path, text) in samples {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let error = Event::from_json(&text).expect_err(name);
        assert_eq!(kind(&error), name.split('-').next().unwrap(), "{name}: {error}");
    }
}

#[test]
fn only_newer_versions_are_temporary() {
    for (path, text) in texts(&folder().join("invalid")) {
        let newer = path.file_name().unwrap().to_str().unwrap().starts_with("newer-");
        assert_eq!(Event::from_json(&text).unwrap_err().is_temporary(), newer, "{}", path.display());
    }
}

#[test]
fn an_error_is_short_and_free_of_control_characters_whatever_was_sent() {
    for (path, text) in texts(&folder().join("invalid")) {
        let message = Event::from_json(&text).unwrap_err().to_string();
        assert!(message.len() < 500, "{}: {} bytes", path.display(), message.len());
        assert!(!message.chars().any(char::is_control), "{}: {message:?}", path.display());
    }
}
