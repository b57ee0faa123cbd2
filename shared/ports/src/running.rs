//! What runs, as the journal says it.

use longshore_events::types::DeploymentFinished;
use longshore_events::{Digest, EnvironmentName, Fact as _, ServiceName};

use crate::{Facts, PortError};

/// The digest that runs since the last rollout of a service in an environment; `None` when none does.
///
/// # Errors
/// When the journal cannot be read.
pub async fn running<F: Facts + ?Sized>(
    facts: &F,
    environment: &EnvironmentName,
    service: &ServiceName,
) -> Result<Option<Digest>, PortError> {
    let last = facts.latest(DeploymentFinished::KIND, &format!("{environment}/{service}")).await?;
    let end = last.as_ref().and_then(|event| DeploymentFinished::from_data(&event.data));
    Ok(end.and_then(|end| end.running.clone()))
}
