//! What `gate` stands on as a Lambda function: the journal, the blobs that findings lie in, and the registries that signatures
//! lie in: ECR, with a login of the function's own, and others as anybody may ask them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use longshore_aws::EcrRegistry;
use longshore_aws::lambda::LambdaStack;
use longshore_events::{Digest, ImageName};
use longshore_frame::lambda::Error;
use longshore_gate::Gate;
use longshore_oci::client::{Credentials, Registries};
use longshore_ports::{Claim, PortError, Signatures};

/// The function over its adapters.
///
/// # Errors
/// When a variable is missing.
pub(crate) fn gate(stack: &LambdaStack) -> Result<Gate, Error> {
    let images = Images { ecr: EcrRegistry::new(&stack.aws) };
    Ok(Gate {
        policy: stack.policy.clone(),
        facts: stack.journal.clone(),
        blobs: stack.blobs()?,
        signatures: std::sync::Arc::new(images),
    })
}

/// Asks each image's own registry.
struct Images {
    ecr: EcrRegistry,
}

#[async_trait]
impl Signatures for Images {
    async fn claims(&self, image: &ImageName, digest: &Digest) -> Result<Vec<Claim>, PortError> {
        let mut logins = BTreeMap::new();
        if EcrRegistry::holds(image) {
            let (host, user, password) = self.ecr.login(image).await?;
            logins.insert(host, Credentials { user, password });
        }
        Registries::new(logins).claims(image, digest).await
    }
}
