//! `deploy` as a Lambda function.

mod lambda;

use std::process::ExitCode;

use longshore_aws::lambda::LambdaStack;
use longshore_frame::lambda::{main as run_main, run};

fn main() -> ExitCode {
    run_main(async {
        let stack = LambdaStack::open()?;
        // Its state is large.
        Box::pin(run(lambda::deploy(&stack)?, stack.frame()?)).await
    })
}
