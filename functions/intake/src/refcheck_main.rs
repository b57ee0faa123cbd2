//! The ref check as a Lambda function, beside `intake` and not in it: it is woken by a queue and reads Git, while
//! intake faces the Internet and holds the webhooks' secrets. Each gets only what it needs, and its own limits.

use std::process::ExitCode;
use std::sync::Arc;

use longshore_aws::lambda::LambdaStack;
use longshore_forge::ForgeGit;
use longshore_frame::lambda::{main as run_main, run};
use longshore_intake::RefCheck;

fn main() -> ExitCode {
    run_main(async {
        let stack = LambdaStack::open()?;
        let git = Arc::new(ForgeGit::alone(&stack.policy, stack.secrets()?)?);
        run(RefCheck { git, policy: stack.policy.clone() }, stack.frame()?).await
    })
}
