//! The Lambda entry: what the functions' binaries share, and nothing that names an outside system.
//!
//! An invocation brings one message or a batch of them from a queue; each is given to [`crate::handle`].
//! A message that fails is reported by itself, so that the queue brings it again, and in the end sets it aside, while
//! the others of its batch are done.

mod http;
mod message;
mod routes;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::process::ExitCode;

use jiff::Timestamp;
pub use lambda_runtime::Error;
use lambda_runtime::{Context, LambdaEvent, service_fn};
use longshore_ports::Clock;
use serde_json::{Value, json};

use crate::{Call, Frame, Function, handle};
pub use http::{HttpRequest, http_request, http_response};
use message::{Message, Unreadable};
pub use routes::routes;

/// How often a unit that waits is looked at, in milliseconds: the sweep comes each minute.
pub const POLL_MS: u64 = 60_000;
/// How much longer a claim lasts than the platform lets its invocation live, in milliseconds: for clocks that differ,
/// and for what a killed invocation had sent and the outside has not yet taken.
const MARGIN_MS: u64 = 30_000;

/// One run of a Lambda function.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Names it, and no other. The platform may run one request twice, even at the same time, but in two sandboxes:
    /// the log stream names the sandbox. Within one, the second begins when the first has ended.
    pub name: String,
    /// When the platform kills it, in milliseconds since 1970.
    pub deadline_ms: u64,
}

impl Invocation {
    fn of(context: &Context) -> Self {
        let name = format!("{}/{}", context.env_config.log_stream, context.request_id);
        Self { name, deadline_ms: context.deadline }
    }

    /// How long its effects stay its own, in milliseconds from `now`: no other invocation may take them over before
    /// the platform has surely killed this one.
    fn claim_ms(&self, now: Timestamp) -> u64 {
        let now = u64::try_from(now.as_millisecond()).unwrap_or_default();
        self.deadline_ms.saturating_sub(now) + MARGIN_MS
    }
}

/// The platform's clock.
#[derive(Debug, Clone, Copy)]
pub struct PlatformClock;

impl Clock for PlatformClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where a Lambda function's time comes from")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The value of an environment variable that the function cannot do without.
///
/// # Errors
/// When it is not set; the error names it.
#[expect(clippy::disallowed_methods, reason = "an entry point")]
pub fn required(name: &str) -> Result<String, Error> {
    std::env::var(name).map_err(|_| format!("the environment variable {name} is not set").into())
}

/// Runs a binary on this one thread, with logs as JSON lines on stderr. Returns only when it cannot start, or not go
/// on.
pub fn main(serve: impl Future<Output = Result<(), Error>>) -> ExitCode {
    let logs = tracing_subscriber::fmt().json().with_span_list(false).with_writer(std::io::stderr);
    logs.with_max_level(tracing::Level::INFO).init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(Error::from).and_then(|runtime| runtime.block_on(serve)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "cannot serve");
            ExitCode::FAILURE
        }
    }
}

/// Answers each invocation with what `handler` makes of its payload.
///
/// # Errors
/// When this is no Lambda sandbox, or the platform does not answer.
pub async fn answer<H, A>(handler: H) -> Result<(), Error>
where
    H: Fn(Value, Invocation) -> A,
    A: Future<Output = Result<Value, Error>>,
{
    required("AWS_LAMBDA_RUNTIME_API").map_err(|error| format!("not on Lambda: {error}"))?;
    let serve = |event: LambdaEvent<Value>| handler(event.payload, Invocation::of(&event.context));
    lambda_runtime::run(service_fn(serve)).await
}

/// Runs a function for each message of each invocation. The claim of `frame` does not count: it is made of the
/// invocation's deadline.
///
/// # Errors
/// As [`answer`].
pub async fn run<F: Function>(function: F, frame: Frame) -> Result<(), Error> {
    let (function, frame) = (&function, &frame);
    answer(async move |payload, invocation| take(function, frame, &invocation, &payload).await).await
}

/// Takes one message, or a batch, whose answer names the messages that failed.
///
/// # Errors
/// When one message alone cannot be read or fails, or the payload is nothing that is known.
pub async fn take<F: Function>(
    function: &F,
    frame: &Frame,
    invocation: &Invocation,
    payload: &Value,
) -> Result<Value, Error> {
    let messages = match message::read(F::NAME, payload).map_err(said)? {
        Message::One(call) => {
            one(function, frame, invocation, Ok(call)).await?;
            return Ok(Value::Null);
        }
        Message::Batch(messages) => messages,
    };
    let mut failures = Vec::new();
    for (id, call) in messages {
        if let Err(error) = one(function, frame, invocation, call).await {
            tracing::error!(
                function = F::NAME,
                message.id = id,
                error,
                "a message failed; the queue has it again"
            );
            failures.push(json!({ "itemIdentifier": id }));
        }
    }
    Ok(json!({ "batchItemFailures": failures }))
}

async fn one<F: Function>(
    function: &F,
    frame: &Frame,
    invocation: &Invocation,
    call: Result<Call, Unreadable>,
) -> Result<(), Error> {
    let frame = Frame { claim_ms: invocation.claim_ms(frame.clock.now()), ..frame.clone() };
    handle(function, &frame, &invocation.name, call.map_err(said)?).await.map_err(said)
}

/// An error as people read it: the platform's log shows its debug form.
fn said(error: impl std::error::Error) -> Error {
    error.to_string().into()
}
