//! The fields of an object in the options, of which none may be left over.

use std::time::Duration;

use serde_json::{Map, Value};

use super::duration;

/// What was not read yet.
pub(crate) struct Fields<'a> {
    all: &'a Map<String, Value>,
    read: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(all: &'a Map<String, Value>) -> Self {
        Self { all, read: Vec::new() }
    }

    /// A field, unless it is absent or null.
    pub(crate) fn take(&mut self, name: &str) -> Option<&'a Value> {
        let (name, value) = self.all.get_key_value(name)?;
        self.read.push(name);
        (!value.is_null()).then_some(value)
    }

    /// Reads over a field.
    pub(crate) fn ignore(&mut self, name: &str) {
        let _ = self.take(name);
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, String> {
        self.take(name)
            .map(|value| value.as_str().map(str::to_owned).ok_or_else(|| format!("{name}: must be a text")))
            .transpose()
    }

    pub(crate) fn flag(&mut self, name: &str) -> Result<Option<bool>, String> {
        self.take(name)
            .map(|value| value.as_bool().ok_or_else(|| format!("{name}: must be true or false")))
            .transpose()
    }

    /// A whole number, which may be written as a text.
    pub(crate) fn whole(&mut self, name: &str) -> Result<Option<u64>, String> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok());
        // JavaScript has no whole numbers of its own.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole, and within bounds"
        )]
        let float =
            || value.as_f64().filter(|v| v.fract() == 0.0 && (0.0..1e15).contains(v)).map(|v| v as u64);
        number
            .or_else(float)
            .map(Some)
            .ok_or_else(|| format!("{name}: {value} is not a whole number of at least 0"))
    }

    pub(crate) fn duration(&mut self, name: &str) -> Result<Option<Duration>, String> {
        let read = |value| duration::of(value).map_err(|error| format!("{name}: {error}"));
        self.take(name).map(read).transpose()
    }

    /// An object of texts; numbers and truths are written out.
    pub(crate) fn texts(&mut self, name: &str) -> Result<Vec<(String, String)>, String> {
        let Some(value) = self.take(name) else { return Ok(Vec::new()) };
        let wrong = || format!("{name}: must be an object of texts");
        let one = |(name, value): (&String, &Value)| match value {
            Value::String(text) => Ok((name.clone(), text.clone())),
            Value::Number(_) | Value::Bool(_) => Ok((name.clone(), value.to_string())),
            _ => Err(wrong()),
        };
        value.as_object().ok_or_else(wrong)?.iter().map(one).collect()
    }

    /// A list of texts.
    pub(crate) fn list(&mut self, name: &str) -> Result<Option<Vec<String>>, String> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let wrong = || format!("{name}: must be a list of texts");
        let one = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(wrong);
        value.as_array().ok_or_else(wrong)?.iter().map(one).collect::<Result<_, _>>().map(Some)
    }

    /// # Errors
    /// A field that nobody read.
    pub(crate) fn done(self) -> Result<(), String> {
        match self.all.keys().find(|name| !self.read.contains(&name.as_str())) {
            Some(name) => Err(format!("{name}: there is no such option, or it is not supported")),
            None => Ok(()),
        }
    }
}
