//! What `build` stands on as a Lambda function.
//!
//! It decides what is built, and what is superseded or untouched. It cannot build: a build outlives the invocation
//! that starts it, and between invocations a Lambda sandbox stands still, a build in it too. Until there is a builder
//! that runs elsewhere, each build fails by name.

use std::sync::Arc;

use async_trait::async_trait;
use longshore_aws::lambda::LambdaStack;
use longshore_build::Build;
use longshore_forge::ForgeGit;
use longshore_frame::lambda::{Error, POLL_MS};
use longshore_ports::{BuildOrder, BuildStatus, Builder, Key, PortError};

/// Refuses every build.
struct NoBuilder;

#[async_trait]
impl Builder for NoBuilder {
    async fn start(&self, _key: &Key, order: &BuildOrder) -> Result<(), PortError> {
        let missing = "no builder outlives this Lambda invocation: the adapter for AWS CodeBuild is missing; \
                       build with `longshore up`, or push the image yourself";
        Err(PortError::invalid(format!("build {} at {}", order.service, order.commit), missing))
    }

    async fn find(&self, _key: &Key) -> Result<Option<BuildStatus>, PortError> {
        Ok(None)
    }
}

/// The function over its adapters.
///
/// # Errors
/// When a repository names no forge.
pub(crate) fn build(stack: &LambdaStack) -> Result<Build, Error> {
    Ok(Build {
        policy: stack.policy.clone(),
        builder: Arc::new(NoBuilder),
        builder_name: "none".into(),
        git: Arc::new(ForgeGit::alone(&stack.policy, stack.secrets.clone())?),
        facts: stack.journal.clone(),
        poll_ms: POLL_MS,
    })
}
