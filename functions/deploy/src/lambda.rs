//! What `deploy` stands on as a Lambda function: the process runner behind the socket that `LONGSHORE_RUNNER` names, and
//! who measures, as the configuration says; ECR
//! for the images that lie there; and for those without a registry in their name the host's, at the address that
//! `LONGSHORE_REGISTRY` names, with the secret `token`.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use longshore_aws::lambda::LambdaStack;
use longshore_aws::{AwsSecrets, CloudWatchMetrics, EcrRegistry, KeptSecrets};
use longshore_deploy::Deploy;
use longshore_events::ImageName;
use longshore_forge::ForgeGit;
use longshore_frame::lambda::{Error, POLL_MS, required};
use longshore_oci::client::{Credentials, Registries};
use longshore_policy::MetricsSource;
use longshore_ports::{Metrics, PortError, Registry, Resolved, Secrets as _};
use longshore_runner::RunnerClient;
use longshore_telemetry::Prometheus;

/// The function over its adapters. Nothing is asked of AWS yet.
///
/// # Errors
/// When a variable is missing, a repository names no forge, or who measures cannot be asked.
pub(crate) fn deploy(stack: &LambdaStack) -> Result<Deploy, Error> {
    let runner = RunnerClient::new(required("LONGSHORE_RUNNER")?.into());
    let secrets = stack.kept_secrets()?;
    let metrics: Arc<dyn Metrics> = match &stack.policy.metrics {
        MetricsSource::Host => Arc::new(runner.clone()),
        MetricsSource::Prometheus(source) => {
            Arc::new(Prometheus::new(source, stack.kept_secrets()?, stack.clock.clone())?)
        }
        MetricsSource::CloudWatch(source) => {
            Arc::new(CloudWatchMetrics::new(&stack.aws, source, stack.clock.clone()))
        }
    };
    let images = Images {
        ecr: EcrRegistry::new(&stack.aws),
        host: required("LONGSHORE_REGISTRY")?,
        secrets: secrets.clone(),
    };
    Ok(Deploy {
        policy: stack.policy.clone(),
        metrics,
        workloads: Arc::new(runner),
        git: Arc::new(ForgeGit::alone(&stack.policy, secrets)?),
        registry: Arc::new(images),
        facts: stack.journal.clone(),
        poll_ms: POLL_MS,
    })
}

/// Asks each image's own registry.
struct Images {
    ecr: EcrRegistry,
    /// Where images without a registry in their name lie.
    host: String,
    secrets: Arc<KeptSecrets<AwsSecrets>>,
}

impl Images {
    /// All registries but ECR. The host's asks for the token alone, and ignores the user's name.
    async fn others(&self) -> Result<Registries, PortError> {
        let tokens = self.secrets.get("token").await?;
        let token = tokens.first().map(|token| String::from_utf8_lossy(token.expose()).into_owned());
        let login = |password| (self.host.clone(), Credentials { user: "longshore".into(), password });
        let credentials: BTreeMap<_, _> = token.map(login).into_iter().collect();
        Ok(Registries::new(credentials).with_own(self.host.clone()))
    }
}

#[async_trait]
impl Registry for Images {
    async fn resolve(&self, image: &ImageName, reference: &str) -> Result<Option<Resolved>, PortError> {
        if EcrRegistry::holds(image) {
            return self.ecr.resolve(image, reference).await;
        }
        self.others().await?.resolve(image, reference).await
    }
}
