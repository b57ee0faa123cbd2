//! The console over the stack: whoever sends the secret `token` is answered. While it is changed, both are valid.

use std::sync::Arc;

use longshore_aws::lambda::LambdaStack;
use longshore_console::{Ask, Console, Refused, Reply, Setup, caller};
use longshore_frame::lambda::{Error, POLL_MS, http_request, http_response, required, routes};
use longshore_ports::{Secrets, Workloads};
use longshore_runner::RunnerClient;
use serde_json::Value;

/// The console over its adapters. What runs is asked of the process runner behind the socket that `LONGSHORE_RUNNER`
/// names; without it, nobody is asked.
///
/// # Errors
/// When a name that the blobs need is not set.
pub(crate) fn console(stack: &LambdaStack) -> Result<Console, Error> {
    let runner = required("LONGSHORE_RUNNER").ok();
    let workloads = runner.map(|socket| Arc::new(RunnerClient::new(socket.into())) as Arc<dyn Workloads>);
    Ok(Console {
        journal: stack.journal.clone(),
        blobs: stack.blobs()?,
        workloads,
        policy: stack.policy.clone(),
        clock: stack.clock.clone(),
        routes: routes(),
        host: None,
        setup: Setup { poll_ms: POLL_MS, builder: "codebuild".into() },
    })
}

/// Answers an HTTP request.
///
/// # Errors
/// When the payload is none in format 2.0.
pub(crate) async fn take(console: &Console, secrets: &dyn Secrets, payload: &Value) -> Result<Value, Error> {
    let request = http_request(payload)?.ok_or("the console takes HTTP requests alone")?;
    let Some(given) = request.headers.get("authorization") else {
        return Ok(answer(&Refused::without_token().into()));
    };
    let tokens = match secrets.get("token").await {
        Ok(tokens) => tokens,
        Err(error) => {
            tracing::error!(%error, "the token cannot be read");
            return Ok(answer(&without_secret(error.is_temporary()).into()));
        }
    };
    let caller = match caller(given, &tokens, &console.policy, secrets).await {
        Ok(Some(caller)) => caller,
        Ok(None) => return Ok(answer(&Refused::without_token().into())),
        Err(error) => {
            tracing::error!(%error, "the tokens of people cannot be read");
            return Ok(answer(&without_secret(error.is_temporary()).into()));
        }
    };
    let Some(body) = &request.body else {
        let message = "the body is not base64; send it again".into();
        return Ok(answer(&Refused { status: 400, code: None, message }.into()));
    };
    // Before it may stand the name of the API's stage.
    let path = request.path.find("/api/").map_or("", |at| &request.path[at..]);
    let ask = Ask { method: &request.method, path, query: &request.query, body, person: caller.person() };
    Ok(answer(&console.reply(&ask).await))
}

/// Strangers are told that, and not why.
fn without_secret(is_temporary: bool) -> Refused {
    let message = "the console cannot read the secret `token`; its log says why".into();
    Refused { status: if is_temporary { 503 } else { 500 }, code: Some("LS0304"), message }
}

fn answer(reply: &Reply) -> Value {
    http_response(reply.status, &reply.headers, &reply.body)
}
