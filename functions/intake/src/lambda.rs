//! Intake over the stack: what a function URL brings, and what AWS itself does.

use std::sync::{Arc, Mutex, PoisonError};

use longshore_aws::lambda::LambdaStack;
use longshore_frame::lambda::{Error, http_request, http_response};
use longshore_intake::{Intake, OWN_SOURCE, Request};
use longshore_oci::client::Registries;
use longshore_policy::{Policy, Provider, Source};
use longshore_ports::Hints;
use serde_json::{Value, json};

/// The name of the console's token in the stack's secret: who holds it may say what outsiders may.
const TOKEN: &str = "token";

/// Intake over the stack.
///
/// # Errors
/// When a variable is missing, or the configuration has a source of the stack's own name.
pub(crate) fn intake(stack: &LambdaStack, hints: &Arc<Wakes>) -> Result<Intake, Error> {
    Ok(Intake {
        journal: stack.journal.clone(),
        secrets: stack.secrets()?,
        clock: stack.clock.clone(),
        policy: Arc::new(with_own_source(&stack.policy)?),
        registry: Arc::new(Registries::default()),
        hints: hints.clone(),
    })
}

/// The configuration, and the source that `longshore events send` speaks as.
fn with_own_source(policy: &Policy) -> Result<Policy, Error> {
    let mut policy = policy.clone();
    if policy.sources.iter().any(|source| source.name == OWN_SOURCE) {
        return Err(format!("the source `{OWN_SOURCE}` is the stack's own; give yours another name").into());
    }
    let own = Source { name: OWN_SOURCE.into(), provider: Provider::CloudEvents, secret: TOKEN.into() };
    policy.sources.push(own);
    Ok(policy)
}

/// Hints of one invocation, which go onto the bus before it ends: afterwards the sandbox stands still.
#[derive(Default)]
pub(crate) struct Wakes(Mutex<Vec<(String, String)>>);

impl Hints for Wakes {
    fn hint(&self, function: &str, unit: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((function.to_owned(), unit.to_owned()));
    }
}

impl Wakes {
    /// Sends them. What the bus does not take is looked at when it is due.
    pub(crate) async fn send(&self, stack: &LambdaStack) {
        let units = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if let Err(error) = stack.journal.wake(&units).await {
            tracing::warn!(%error, "a hint was not sent");
        }
    }
}

/// Takes a webhook, and answers as the one-machine host does; or takes what EventBridge or SNS brings.
///
/// # Errors
/// When the payload is an HTTP request in another format than 2.0, or a notice that is not taken: the platform tries
/// that again, and in the end sets it aside.
pub(crate) async fn receive(intake: &Intake, payload: &Value) -> Result<Value, Error> {
    let Some(event) = http_request(payload)? else {
        let answer = intake.invoked(payload.to_string().as_bytes()).await;
        return if answer.status < 300 { Ok(Value::Null) } else { Err(answer.json().into()) };
    };
    // Before it may stand the name of the API's stage.
    let Some((_, source)) = event.path.rsplit_once("/hooks/") else {
        return Ok(refused(404, "webhooks go to /hooks/<source>"));
    };
    if event.method != "POST" {
        return Ok(refused(405, "webhooks are sent with POST"));
    }
    let Some(body) = &event.body else { return Ok(refused(400, "the body is not base64; send it again")) };
    let query = event.query.as_str();
    let request = Request { source, query, headers: event.headers.into_iter().collect(), body };
    let answer = intake.receive(&request).await;
    Ok(response(answer.status, &answer.json()))
}

fn refused(status: u16, message: &str) -> Value {
    response(status, &json!({ "message": message }).to_string())
}

fn response(status: u16, body: &str) -> Value {
    http_response(status, &[("content-type", "application/json".to_owned())], body.as_bytes())
}
