//! `intake` as a Lambda function behind a function URL or an HTTP API.

mod lambda;

use std::process::ExitCode;

use longshore_frame::lambda::{answer, main as run_main};
use longshore_local::lambda::LambdaFolder;

fn main() -> ExitCode {
    run_main(async {
        let folder = LambdaFolder::open()?;
        let intake = lambda::intake(&folder);
        answer(async |payload, _| lambda::receive(&intake, &payload).await).await
    })
}
