//! The ref check as a Lambda function, beside `intake` and not in it: it is woken by a queue and reads Git, while
//! intake faces the Internet and holds the webhooks' secrets. Each gets only what it needs, and its own limits.

use std::process::ExitCode;
use std::sync::Arc;

use longshore_aws::lambda::LambdaStack;
use longshore_forge::ForgeGit;
use longshore_frame::Function as _;
use longshore_frame::lambda::{Error, answer, main as run_main, take};
use longshore_intake::RefCheck;
use longshore_policy::Repository;
use serde_json::Value;

fn main() -> ExitCode {
    run_main(async {
        let stack = LambdaStack::open()?;
        let git = Arc::new(ForgeGit::alone(&stack.policy, stack.kept_secrets()?)?);
        let (function, frame) = (RefCheck { git, policy: stack.policy.clone() }, stack.frame()?);
        let (stack, function, frame) = (&stack, &function, &frame);
        answer(async move |payload, invocation| match payload.get("detail-type").and_then(Value::as_str) {
            Some("Scheduled Event") => all(stack).await,
            _ => take(function, frame, &invocation, &payload).await,
        })
        .await
    })
}

/// Wakes the check of each repository: one that nobody ever pushed to where we heard it has no unit that is due.
async fn all(stack: &LambdaStack) -> Result<Value, Error> {
    let unit = |repository: &Repository| (RefCheck::NAME.to_owned(), repository.name.to_string());
    let units: Vec<_> = stack.policy.repositories.iter().map(unit).collect();
    stack.journal.wake(&units).await?;
    Ok(Value::Null)
}
