//! `console` as a Lambda function behind a function URL or an HTTP API.

mod lambda;

use std::process::ExitCode;

use longshore_aws::lambda::LambdaStack;
use longshore_frame::lambda::{answer, main as run_main};
use serde_json::Value;

fn main() -> ExitCode {
    run_main(async {
        let stack = LambdaStack::open()?;
        let (console, secrets) = (lambda::console(&stack)?, stack.secrets()?);
        answer(async |payload: Value, _| lambda::take(&console, &*secrets, &payload).await).await
    })
}
