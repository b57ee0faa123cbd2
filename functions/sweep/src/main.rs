//! `sweep` as a Lambda function: whatever wakes it, it answers with what is owed and due.

mod lambda;

use std::process::ExitCode;

use longshore_frame::lambda::{answer, main as run_main};
use longshore_local::lambda::LambdaFolder;

fn main() -> ExitCode {
    run_main(async {
        let folder = LambdaFolder::open()?;
        answer(async |_, _| lambda::sweep(&folder).await).await
    })
}
