//! What `build` stands on as a Lambda function: CodeBuild, since a build outlives the invocation that starts it, and
//! between invocations a Lambda sandbox stands still.
//!
//! `LONGSHORE_CODEBUILD_PROJECT` names the project, and `LONGSHORE_BUILD_SECRET`, where builds need one, the secret that they
//! may read.

use std::sync::Arc;

use longshore_aws::lambda::LambdaStack;
use longshore_aws::{BuildProject, CodeBuilder};
use longshore_build::Build;
use longshore_forge::ForgeGit;
use longshore_frame::lambda::{Error, POLL_MS, required};

/// The function over its adapters.
///
/// # Errors
/// When a variable is missing, or a repository names no forge.
pub(crate) fn build(stack: &LambdaStack) -> Result<Build, Error> {
    let project = BuildProject {
        name: required("LONGSHORE_CODEBUILD_PROJECT")?,
        secret: required("LONGSHORE_BUILD_SECRET").ok().filter(|name| !name.is_empty()),
        bucket: stack.bucket()?,
    };
    let builder =
        CodeBuilder::new(&stack.aws, project, stack.policy.clone(), stack.blobs()?, stack.clock.clone());
    Ok(Build {
        policy: stack.policy.clone(),
        builder: Arc::new(builder),
        builder_name: "codebuild".into(),
        git: Arc::new(ForgeGit::alone(&stack.policy, stack.kept_secrets()?)?),
        facts: stack.journal.clone(),
        poll_ms: POLL_MS,
    })
}
