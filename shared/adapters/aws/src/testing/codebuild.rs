//! What CodeBuild knows of builds, and moto forgets: the token that a build was started under, its variables, how it came to
//! its end once it did, and that the newest is listed first, a hundred at a time. moto says times as texts, and every
//! build has succeeded when it is asked for.
//!
//! Source: the API reference of CodeBuild.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Value, json};

/// As many as a page of ListBuildsForProject has.
const PAGE: usize = 100;

/// What is known of builds.
#[derive(Default)]
pub(super) struct Builds {
    /// What was asked for.
    pub(super) started: Vec<Value>,
    /// By token: what was asked, and the answer.
    tokens: HashMap<String, (Value, Value)>,
    /// By id, the variables.
    variables: HashMap<String, Value>,
    /// By id, as they were when they had ended.
    ended: HashMap<String, Value>,
    /// By service or commit, what is said in place of moto's words.
    states: HashMap<String, Value>,
}

impl Builds {
    pub(super) fn stand(&mut self, what: &str, state: Value) {
        self.states.insert(what.to_owned(), state);
    }

    /// What is answered without moto: a start under a token that is known.
    pub(super) fn known(&self, action: &str, asked: &Value) -> Option<Result<Value, &'static str>> {
        let token = asked["idempotencyToken"].as_str().filter(|_| action == "StartBuild")?;
        let (before, answer) = self.tokens.get(token)?;
        Some(if before == asked {
            Ok(answer.clone())
        } else {
            Err("parameter mismatch for the idempotency token")
        })
    }

    /// Completes what moto answered.
    pub(super) fn complete(&mut self, action: &str, asked: &Value, answer: &mut Value) {
        match action {
            "StartBuild" => self.started(asked, answer),
            "BatchGetBuilds" => {
                answer["builds"].as_array_mut().unwrap().iter_mut().for_each(|build| self.got(build));
            }
            "ListBuildsForProject" => listed(asked, answer),
            _ => {}
        }
    }

    fn started(&mut self, asked: &Value, answer: &mut Value) {
        self.started.push(asked.clone());
        let build = &mut answer["build"];
        times(build);
        let variables = asked["environmentVariablesOverride"].clone();
        build["environment"]["environmentVariables"] = variables.clone();
        self.variables.insert(build["id"].as_str().unwrap().to_owned(), variables);
        if let Some(token) = asked["idempotencyToken"].as_str() {
            self.tokens.insert(token.to_owned(), (asked.clone(), answer.clone()));
        }
    }

    fn got(&mut self, build: &mut Value) {
        let id = build["id"].as_str().unwrap().to_owned();
        if let Some(ended) = self.ended.get(&id) {
            build.clone_from(ended);
            return;
        }
        let variables = self.variables.get(&id).cloned().unwrap_or_default();
        let value = |name: &str| {
            let found = variables.as_array()?.iter().find(|one| one["name"] == name)?;
            self.states.get(found["value"].as_str()?)
        };
        let state = value("LONGSHORE_COMMIT").or_else(|| value("LONGSHORE_SERVICE"));
        for (name, value) in state.and_then(Value::as_object).into_iter().flatten() {
            build[name] = value.clone();
        }
        times(build);
        build["environment"]["environmentVariables"] = variables;
        build["buildComplete"] = json!(build["buildStatus"] != "IN_PROGRESS");
        if build["buildStatus"] != "IN_PROGRESS" {
            self.ended.insert(id, build.clone());
        }
    }
}

fn listed(asked: &Value, answer: &mut Value) {
    let mut ids = answer["ids"].as_array().cloned().unwrap_or_default();
    if asked["sortOrder"] != "ASCENDING" {
        ids.reverse();
    }
    let from = asked["nextToken"].as_str().map_or(0, |token| token.parse().unwrap());
    let rest = ids.split_off(from);
    *answer = json!({ "ids": rest.iter().take(PAGE).collect::<Vec<_>>() });
    if rest.len() > PAGE {
        answer["nextToken"] = json!((from + PAGE).to_string());
    }
}

/// Times are seconds since 1970.
fn times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str().filter(|_| name.ends_with("Time")).map(str::parse::<Timestamp>) {
                    Some(Ok(at)) => *value = json!(at.as_second()),
                    _ => times(value),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(times),
        _ => {}
    }
}
