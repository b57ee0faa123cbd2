//! What `build` stands on as a Lambda function.
//!
//! It decides what is built, and what is superseded or untouched. It cannot build: a build outlives the invocation
//! that starts it, and between invocations a Lambda sandbox stands still, a build in it too. Until there is a builder
//! that runs elsewhere, each build fails by name.

use std::sync::Arc;

use async_trait::async_trait;
use longshore_build::Build;
use longshore_frame::lambda::POLL_MS;
use longshore_git::GitCommand;
use longshore_local::lambda::LambdaFolder;
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
pub(crate) fn build(folder: &LambdaFolder) -> Build {
    Build {
        policy: folder.policy.clone(),
        builder: Arc::new(NoBuilder),
        builder_name: "none".into(),
        git: Arc::new(GitCommand::of(folder.data.join("git"), &folder.policy)),
        facts: folder.journal.clone(),
        poll_ms: POLL_MS,
    }
}
