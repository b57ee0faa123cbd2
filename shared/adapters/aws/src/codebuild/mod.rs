//! CodeBuild as the builder: one project for all services, whose builds get their buildspec from here.
//!
//! A build carries its key, the digest of its order, its service and its commit as environment variables, and is found
//! again by them among the newest builds of the project. CodeBuild itself knows a build by its token for five minutes
//! only: a key that is begun later is looked for first. Two builds of one key may still run where the list is stale; both
//! push one tag, and the second leaves it as it is.
//!
//! What a build can do is what the project's role may: the code of a repository runs under it. So builds read secrets of
//! a secret of their own, never those of webhooks.
//!
//! Sources: "StartBuild", "ListBuildsForProject" and "BatchGetBuilds", the API reference of CodeBuild.

mod buildspec;
mod handover;
mod outcome;

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_codebuild::{
    Client,
    types::{Build, EnvironmentVariable, EnvironmentVariableType, SortOrderType, SourceType},
};
use jiff::{SignedDuration, Timestamp};
use longshore_events::ImageName;
use longshore_policy::{MAX_MANIFESTS, Policy};
use longshore_ports::{
    BlobRef, Blobs, BuildFailure, BuildOrder, BuildStatus, Builder, Built, Clock, ErrorKind, Key, PortError,
    Registry as _,
};

use crate::failure::{Call, failed};
use crate::{Aws, EcrRegistry};
use buildspec::{Job, Recipe};
use handover::Handover;
use outcome::Outcome;

const START: &str = "start a build";
const FIND: &str = "look at a build";
/// Pages of a hundred builds that are searched, the newest first.
const PAGES: usize = 3;
/// For so long after a build's end ECR may not yet know its tag.
const SETTLE: SignedDuration = SignedDuration::from_mins(1);

/// By which a build is known. Intake reads service and commit in CodeBuild's notices.
const KEY: &str = "LONGSHORE_KEY";
const ORDER: &str = "LONGSHORE_ORDER";
const SERVICE: &str = "LONGSHORE_SERVICE";
const COMMIT: &str = "LONGSHORE_COMMIT";
const IMAGE: &str = "LONGSHORE_IMAGE";
/// Under which name its manifests are handed over, where it renders some.
const MANIFESTS: &str = "LONGSHORE_MANIFESTS";

/// What of CodeBuild is used.
#[derive(Debug, Clone)]
pub struct BuildProject {
    /// The project's name. Its environment must be Linux, in privileged mode, with Docker, buildx, git and the AWS CLI.
    pub name: String,
    /// The secret of Secrets Manager whose values builds may read: a JSON object of texts.
    pub secret: Option<String>,
    /// The bucket through which builds hand over what they rendered, under `builds/`.
    pub bucket: String,
}

/// Builds in CodeBuild.
pub struct CodeBuilder {
    client: Client,
    registry: EcrRegistry,
    region: String,
    project: BuildProject,
    /// The project, as errors name it.
    place: String,
    policy: Arc<Policy>,
    blobs: Arc<dyn Blobs>,
    handover: Handover,
    clock: Arc<dyn Clock>,
}

impl CodeBuilder {
    /// Builds in a project, of what the configuration says; manifests and notes on logs go to `blobs`.
    pub fn new(
        aws: &Aws,
        project: BuildProject,
        policy: Arc<Policy>,
        blobs: Arc<dyn Blobs>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            client: Client::new(&aws.config),
            registry: EcrRegistry::new(aws),
            region: aws.account.region.clone(),
            place: format!("the project {} of CodeBuild", project.name),
            handover: Handover::new(aws, &project.bucket, clock.clone()),
            project,
            policy,
            blobs,
            clock,
        }
    }

    fn call(&self, operation: &'static str, action: &'static str) -> Call<'_> {
        Call { operation, action, resource: &self.place, region: &self.region }
    }

    /// How an order is built.
    fn recipe<'a>(&'a self, order: &'a BuildOrder, handover: &'a str) -> Result<Recipe<'a>, PortError> {
        let service = self.policy.service(&order.service);
        let found = service.and_then(|service| Some((service, service.source.as_ref()?)));
        let unknown = "the configuration names no such service, or no source for it";
        let (service, source) = found.ok_or_else(|| PortError::invalid(START, unknown))?;
        let repository = self.policy.repository(&order.repo);
        let repository = repository.ok_or_else(|| PortError::invalid(START, unknown))?;
        let job = Job {
            service,
            source,
            repository,
            commit: &order.commit,
            secret: self.project.secret.as_deref(),
            handover: (&self.project.bucket, handover),
        };
        job.recipe(&self.region).map_err(|why| PortError::invalid(START, why))
    }

    /// The first build under a key, among the newest of the project.
    async fn look(&self, key: &Key) -> Result<Option<Build>, PortError> {
        let (wanted, mut next) = (key.to_string(), None);
        for _ in 0..PAGES {
            let ask = self.client.list_builds_for_project().project_name(&self.project.name);
            let ask = ask.sort_order(SortOrderType::Descending).set_next_token(next);
            let call = self.call(FIND, "codebuild:ListBuildsForProject");
            let page = ask.send().await.map_err(|error| failed(call, &error))?;
            let ids = page.ids.unwrap_or_default();
            if ids.is_empty() {
                return Ok(None);
            }
            let call = self.call(FIND, "codebuild:BatchGetBuilds");
            let ask = self.client.batch_get_builds().set_ids(Some(ids));
            let builds = ask.send().await.map_err(|error| failed(call, &error))?.builds.unwrap_or_default();
            let ours = builds.into_iter().filter(|build| variable(build, KEY) == Some(&wanted));
            if let Some(build) =
                ours.min_by_key(|build| build.start_time.map(|at| (at.secs(), at.subsec_nanos())))
            {
                return Ok(Some(build));
            }
            next = page.next_token;
            if next.is_none() {
                return Ok(None);
            }
        }
        Ok(None)
    }

    async fn start_build(&self, key: &Key, order: &BuildOrder, recipe: Recipe<'_>) -> Result<(), PortError> {
        let minutes = recipe.minutes;
        let ask = self.client.start_build().project_name(&self.project.name);
        let ask = ask.source_type_override(SourceType::NoSource).buildspec_override(recipe.buildspec());
        let ask = ask.timeout_in_minutes_override(minutes).idempotency_token(token(key));
        let ask = ask.set_environment_variables_override(Some(variables(key, order, recipe)?));
        let call = self.call(START, "codebuild:StartBuild");
        ask.send().await.map(drop).map_err(|error| failed(call, &error))
    }

    /// What became of a build that succeeded: the image that its tag names.
    async fn built(&self, build: &Build, outcome: &Outcome) -> Result<BuildStatus, PortError> {
        let (image, commit) = (variable(build, IMAGE).map(ImageName::new), variable(build, COMMIT));
        let (Some(Ok(image)), Some(commit)) = (image, commit) else {
            let why = format!("the build {} names no image", build.id().unwrap_or_default());
            return Err(PortError::invalid(FIND, why));
        };
        let logs_ref = self.log(outcome).await?;
        let manifests_ref = self.manifests(build).await?;
        if let Some(resolved) = self.registry.resolve(&image, commit).await? {
            return Ok(BuildStatus::Succeeded(Built {
                image,
                tag: commit.to_owned(),
                digest: resolved.digest,
                media_type: resolved.media_type,
                platforms: resolved.platforms,
                manifests_ref,
                logs_ref,
                times: outcome.times,
            }));
        }
        let reason = format!("CodeBuild says that the build succeeded, but {image} has no tag {commit}");
        let ended = build.end_time.and_then(|at| Timestamp::new(at.secs(), 0).ok());
        if ended.is_some_and(|ended| self.clock.now() < ended + SETTLE) {
            return Err(PortError::unavailable(FIND, reason));
        }
        Ok(BuildStatus::Failed(BuildFailure { reason, logs_ref, times: outcome.times }))
    }

    /// Keeps the manifests that the build handed over.
    async fn manifests(&self, build: &Build) -> Result<Option<String>, PortError> {
        match variable(build, MANIFESTS) {
            Some(name) => {
                let text = self.handover.take(name, MAX_MANIFESTS).await?;
                Ok(Some(self.blobs.put(text).await?.0.to_string()))
            }
            None => Ok(None),
        }
    }

    /// Keeps the note on where the log lies.
    async fn log(&self, outcome: &Outcome) -> Result<Option<String>, PortError> {
        match &outcome.log {
            Some(note) => Ok(Some(self.blobs.put(note.clone().into_bytes()).await?.0.to_string())),
            None => Ok(None),
        }
    }
}

/// The value of a plain variable of a build.
fn variable<'a>(build: &'a Build, name: &str) -> Option<&'a String> {
    let variables = build.environment()?.environment_variables();
    let plain = |variable: &&EnvironmentVariable| {
        variable.name == name
            && variable.r#type.as_ref().is_none_or(|kind| *kind == EnvironmentVariableType::Plaintext)
    };
    variables.iter().find(plain).map(|variable| &variable.value)
}

/// Under which CodeBuild knows a start that is sent twice.
fn token(key: &Key) -> String {
    BlobRef::of(key.to_string().as_bytes()).0.hex().to_owned()
}

/// Under which name a build hands over its manifests.
fn handed_over(key: &Key) -> String {
    format!("builds/{}.yaml", token(key))
}

/// Differs when any argument of the order does.
fn digest(order: &BuildOrder) -> String {
    let BuildOrder { service, repo, commit } = order;
    BlobRef::of(format!("{service}\n{repo}\n{commit}").as_bytes()).0.hex().to_owned()
}

fn variables(
    key: &Key,
    order: &BuildOrder,
    recipe: Recipe<'_>,
) -> Result<Vec<EnvironmentVariable>, PortError> {
    let plain = [
        (KEY, key.to_string()),
        (ORDER, digest(order)),
        (SERVICE, order.service.to_string()),
        (COMMIT, order.commit.to_string()),
        (IMAGE, recipe.image.to_string()),
    ];
    let rendered = recipe.renders.then(|| (MANIFESTS, handed_over(key)));
    let plain = plain
        .into_iter()
        .chain(rendered)
        .map(|(name, value)| (name.to_owned(), value, EnvironmentVariableType::Plaintext));
    let secrets = recipe.secrets.into_iter();
    let secrets = secrets.map(|(name, value)| (name, value, EnvironmentVariableType::SecretsManager));
    let variable =
        |(name, value, kind)| EnvironmentVariable::builder().name(name).value(value).r#type(kind).build();
    let all: Result<Vec<_>, _> = plain.chain(secrets).map(variable).collect();
    all.map_err(|error| PortError::invalid(START, error))
}

/// Whether a build that is there stands for this order.
fn begun(key: &Key, order: &BuildOrder, build: &Build) -> Result<(), PortError> {
    if variable(build, ORDER) == Some(&digest(order)) {
        return Ok(());
    }
    let why = format!("the key {key} stands for another order");
    Err(PortError::new(ErrorKind::Conflict, START, why))
}

#[async_trait]
impl Builder for CodeBuilder {
    async fn start(&self, key: &Key, order: &BuildOrder) -> Result<(), PortError> {
        let handover = handed_over(key);
        let recipe = self.recipe(order, &handover)?;
        if let Some(build) = self.look(key).await? {
            return begun(key, order, &build);
        }
        match self.start_build(key, order, recipe).await {
            // So CodeBuild says that the token stands for other arguments: of another order, or of an older configuration.
            Err(error) if error.kind == ErrorKind::Invalid => match self.look(key).await? {
                Some(build) => begun(key, order, &build),
                None => Err(error),
            },
            other => other,
        }
    }

    async fn find(&self, key: &Key) -> Result<Option<BuildStatus>, PortError> {
        let Some(build) = self.look(key).await? else { return Ok(None) };
        let outcome = outcome::of(&build);
        let status = match &outcome.end {
            None => BuildStatus::Running,
            Some(Ok(())) => self.built(&build, &outcome).await?,
            Some(Err(reason)) => {
                let logs_ref = self.log(&outcome).await?;
                BuildStatus::Failed(BuildFailure { reason: reason.clone(), logs_ref, times: outcome.times })
            }
        };
        Ok(Some(status))
    }
}
