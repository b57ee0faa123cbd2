//! `intake` as a Lambda function behind a function URL or an HTTP API.

mod lambda;

use std::process::ExitCode;
use std::sync::Arc;

use longshore_aws::lambda::LambdaStack;
use serde_json::Value;

use lambda::Wakes;
use longshore_frame::lambda::{answer, main as run_main};

fn main() -> ExitCode {
    run_main(async {
        let stack = LambdaStack::open()?;
        let hints = Arc::new(Wakes::default());
        let intake = lambda::intake(&stack, &hints)?;
        let take = async |payload: Value, _| {
            let answer = lambda::receive(&intake, &payload).await;
            hints.send(&stack).await;
            answer
        };
        answer(take).await
    })
}
