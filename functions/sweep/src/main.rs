//! `sweep` as a Lambda function, behind a schedule and the queue that delays wake-ups.

mod lambda;

use std::process::ExitCode;

use longshore_aws::lambda::LambdaStack;
use longshore_frame::lambda::{answer, main as run_main};

fn main() -> ExitCode {
    run_main(async {
        let stack = LambdaStack::open()?;
        answer(async |payload, _| lambda::take(&stack, &payload).await).await
    })
}
