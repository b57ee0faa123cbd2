//! The port over whichever forge a repository lies at.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use longshore_events::{CommitId, RefName, RepositoryName};
use longshore_policy::{Forge, ForgeKind, Policy};
use longshore_ports::{Changes, ErrorKind, Git, PortError, Relation, Secret, Secrets};

use crate::api::Api;
use crate::{ForgeError, github, gitlab};

/// Git by the forges' APIs, for the repositories whose configuration names one; the rest is asked of `others`.
pub struct ForgeGit {
    repositories: HashMap<RepositoryName, Known>,
    secrets: Arc<dyn Secrets>,
    others: Arc<dyn Git>,
}

/// Where a repository lies.
pub(crate) struct Known {
    pub(crate) kind: ForgeKind,
    pub(crate) api: Arc<Api>,
}

/// The repositories that lie at forges.
pub(crate) fn known(policy: &Policy) -> Result<HashMap<RepositoryName, Known>, ForgeError> {
    let mut apis: Vec<(&Forge, Arc<Api>)> = Vec::new();
    let mut repositories = HashMap::new();
    for repository in &policy.repositories {
        let Some(forge) = &repository.forge else { continue };
        match forge.kind {
            ForgeKind::Github => github::check(repository.name.as_str())?,
            ForgeKind::Gitlab => gitlab::check(repository.name.as_str())?,
        }
        // Repositories of one forge share its connections.
        let api = if let Some((_, api)) = apis.iter().find(|(known, _)| *known == forge) {
            api.clone()
        } else {
            let api = Arc::new(Api::new(forge)?);
            apis.push((forge, api.clone()));
            api
        };
        repositories.insert(repository.name.clone(), Known { kind: forge.kind, api });
    }
    Ok(repositories)
}

/// The tokens for a forge, the newest first. A missing one is not to be taken for a missing commit.
pub(crate) async fn tokens(secrets: &dyn Secrets, api: &Api) -> Result<Vec<Secret>, PortError> {
    let Some(secret) = api.secret() else { return Ok(Vec::new()) };
    secrets.get(secret).await.map_err(|error| match error.kind {
        ErrorKind::NotFound => PortError::new(ErrorKind::Denied, error.operation, error.source),
        _ => error,
    })
}

/// What one question is asked with.
pub(crate) struct Asked<'a> {
    pub(crate) api: &'a Api,
    pub(crate) tokens: &'a [Secret],
    pub(crate) repo: &'a RepositoryName,
}

impl ForgeGit {
    /// The repositories of a configuration.
    ///
    /// # Errors
    /// [`ForgeError`] when a forge cannot have a repository of that name, or no client can be made for its address.
    pub fn of(policy: &Policy, secrets: Arc<dyn Secrets>, others: Arc<dyn Git>) -> Result<Self, ForgeError> {
        Ok(Self { repositories: known(policy)?, secrets, others })
    }

    /// The repositories of a configuration, where there is no git command: every one must name its forge.
    ///
    /// # Errors
    /// As [`ForgeGit::of`], and [`ForgeError::NoForge`] for a repository that names none.
    pub fn alone(policy: &Policy, secrets: Arc<dyn Secrets>) -> Result<Self, ForgeError> {
        if let Some(other) = policy.repositories.iter().find(|repository| repository.forge.is_none()) {
            return Err(ForgeError::NoForge(other.name.to_string()));
        }
        Self::of(policy, secrets, Arc::new(Nobody))
    }
}

#[async_trait]
impl Git for ForgeGit {
    async fn refs(&self, repo: &RepositoryName) -> Result<Vec<(RefName, CommitId)>, PortError> {
        let Some(Known { kind, api }) = self.repositories.get(repo) else {
            return self.others.refs(repo).await;
        };
        let tokens = tokens(&*self.secrets, api).await?;
        let asked = Asked { api, tokens: &tokens, repo };
        let found = match kind {
            ForgeKind::Github => github::refs(&asked).await,
            ForgeKind::Gitlab => gitlab::refs(&asked).await,
        };
        let mut refs = found.map_err(|error| error.port(format!("list the refs of {repo}")))?;
        refs.sort();
        Ok(refs)
    }

    async fn tip(&self, repo: &RepositoryName, git_ref: &RefName) -> Result<Option<CommitId>, PortError> {
        let Some(Known { kind, api }) = self.repositories.get(repo) else {
            return self.others.tip(repo, git_ref).await;
        };
        let tokens = tokens(&*self.secrets, api).await?;
        let asked = Asked { api, tokens: &tokens, repo };
        let found = match kind {
            ForgeKind::Github => github::tip(&asked, git_ref).await,
            ForgeKind::Gitlab => gitlab::tip(&asked, git_ref).await,
        };
        let found = match (found, kind) {
            // Of a repository that is there, the reference is not.
            (Err(ForgeError::NotFound { .. }), ForgeKind::Github) => {
                github::exists(&asked).await.map(|()| None)
            }
            (Err(ForgeError::NotFound { .. }), ForgeKind::Gitlab) => {
                gitlab::exists(&asked).await.map(|()| None)
            }
            (found, _) => found,
        };
        found.map_err(|error| error.port(format!("ask for {git_ref} of {repo}")))
    }

    async fn compare(
        &self,
        repo: &RepositoryName,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<Changes, PortError> {
        let Some(Known { kind, api }) = self.repositories.get(repo) else {
            return self.others.compare(repo, base, head).await;
        };
        if base == head {
            return Ok(Changes { relation: Relation::Same, paths: Some(Vec::new()) });
        }
        let tokens = tokens(&*self.secrets, api).await?;
        let asked = Asked { api, tokens: &tokens, repo };
        let found = match kind {
            ForgeKind::Github => github::changes(&asked, base, head).await,
            ForgeKind::Gitlab => gitlab::changes(&asked, base, head).await,
        };
        found.map_err(|error| error.port(format!("compare {} and {} of {repo}", base.short(), head.short())))
    }

    async fn relation(
        &self,
        repo: &RepositoryName,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<Relation, PortError> {
        let Some(Known { kind, api }) = self.repositories.get(repo) else {
            return self.others.relation(repo, base, head).await;
        };
        if base == head {
            return Ok(Relation::Same);
        }
        let tokens = tokens(&*self.secrets, api).await?;
        let asked = Asked { api, tokens: &tokens, repo };
        let found = match kind {
            ForgeKind::Github => github::relation(&asked, base, head).await,
            ForgeKind::Gitlab => gitlab::relation(&asked, base, head).await,
        };
        found.map_err(|error| error.port(format!("relate {} to {} in {repo}", base.short(), head.short())))
    }
}

/// Whom nothing is left for.
struct Nobody;

impl Nobody {
    fn unknown<T>(repo: &RepositoryName) -> Result<T, PortError> {
        let why = "the configuration names no such repository";
        Err(PortError::new(ErrorKind::NotFound, format!("look into the repository {repo}"), why))
    }
}

#[async_trait]
impl Git for Nobody {
    async fn refs(&self, repo: &RepositoryName) -> Result<Vec<(RefName, CommitId)>, PortError> {
        Self::unknown(repo)
    }

    async fn tip(&self, repo: &RepositoryName, _: &RefName) -> Result<Option<CommitId>, PortError> {
        Self::unknown(repo)
    }

    async fn compare(&self, repo: &RepositoryName, _: &CommitId, _: &CommitId) -> Result<Changes, PortError> {
        Self::unknown(repo)
    }
}
