//! The port [`Forge`] at GitHub and GitLab.
//!
//! Sources: GitHub's "REST API endpoints for commit statuses"; GitLab's "Commits API", "Set the pipeline status of a commit".

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use longshore_events::RepositoryName;
use longshore_policy::{ForgeKind, Policy};
use longshore_ports::{CommitStatus, ErrorKind, Forge, Key, PortError, Secrets, StatusState};
use serde_json::json;

use crate::git::{Known, known, tokens};
use crate::{ForgeError, github, gitlab};

/// Statuses at the forges of the repositories that name one.
pub struct ForgeStatus {
    repositories: HashMap<RepositoryName, Known>,
    secrets: Arc<dyn Secrets>,
}

impl ForgeStatus {
    /// The repositories of a configuration.
    ///
    /// # Errors
    /// [`ForgeError`] when a forge cannot have a repository of that name, or no client can be made for its address.
    pub fn of(policy: &Policy, secrets: Arc<dyn Secrets>) -> Result<Self, ForgeError> {
        Ok(Self { repositories: known(policy)?, secrets })
    }
}

#[async_trait]
impl Forge for ForgeStatus {
    async fn status(&self, _key: &Key, status: &CommitStatus) -> Result<(), PortError> {
        let CommitStatus { repo, commit, context, state, description } = status;
        let operation = || format!("show the status {context} of {} in {repo}", commit.short());
        let Some(Known { kind, api }) = self.repositories.get(repo) else {
            let why = "the configuration names no forge of it";
            return Err(PortError::new(ErrorKind::NotFound, operation(), why));
        };
        let tokens = tokens(&*self.secrets, api).await?;
        let (url, body) = match kind {
            ForgeKind::Github => {
                let state = match state {
                    StatusState::Pending => "pending",
                    StatusState::Success => "success",
                    StatusState::Failure => "failure",
                };
                let body = json!({ "state": state, "context": context, "description": description });
                (github::repository_url(api, repo, &["statuses", commit.as_str()]), body)
            }
            ForgeKind::Gitlab => {
                let state = match state {
                    StatusState::Pending => "running",
                    StatusState::Success => "success",
                    StatusState::Failure => "failed",
                };
                let body = json!({ "state": state, "name": context, "description": description });
                (gitlab::project_url(api, repo, &["statuses", commit.as_str()]), body)
            }
        };
        match api.post(url, &tokens, &body).await {
            Ok(_) => Ok(()),
            // GitLab refuses a state that is shown already.
            Err(ForgeError::Strange { why, .. })
                if *kind == ForgeKind::Gitlab && why.contains("Cannot transition status") =>
            {
                Ok(())
            }
            Err(error) => Err(error.port(operation())),
        }
    }
}
