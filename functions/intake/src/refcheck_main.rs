//! The ref check as a Lambda function, beside `intake` and not in it: it is woken by a queue and reads Git, while
//! intake faces the Internet and holds the webhooks' secrets. Each gets only what it needs, and its own limits.

use std::process::ExitCode;
use std::sync::Arc;

use longshore_frame::lambda::{main as run_main, run};
use longshore_git::GitCommand;
use longshore_intake::RefCheck;
use longshore_local::lambda::LambdaFolder;

fn main() -> ExitCode {
    run_main(async {
        let folder = LambdaFolder::open()?;
        let git = Arc::new(GitCommand::of(folder.data.join("git"), &folder.policy));
        run(RefCheck { git, policy: folder.policy.clone() }, folder.frame.clone()).await
    })
}
