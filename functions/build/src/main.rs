//! `build` as a Lambda function.

mod lambda;

use std::process::ExitCode;

use longshore_frame::lambda::{main as run_main, run};
use longshore_local::lambda::LambdaFolder;

fn main() -> ExitCode {
    run_main(async {
        let folder = LambdaFolder::open()?;
        run(lambda::build(&folder), folder.frame.clone()).await
    })
}
