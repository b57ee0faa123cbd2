//! Secrets in Secrets Manager. One secret holds all of them, as a JSON object of texts: each secret costs by the month.
//!
//! A value stays valid until the version after next: `AWSCURRENT` is the newest, `AWSPREVIOUS` the one before. Values are
//! read each time and never kept here.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_sdk_secretsmanager::{Client, error::SdkError, operation::get_secret_value::GetSecretValueError};
use longshore_ports::{ErrorKind, PortError, Secret, Secrets};

use crate::Aws;
use crate::failure::{Call, failed};

const OPERATION: &str = "read a secret";

/// The secrets in one secret of Secrets Manager.
pub struct AwsSecrets {
    client: Client,
    id: String,
    region: String,
    /// The secret, as errors name it.
    place: String,
}

impl AwsSecrets {
    /// The secrets in the secret of this name or ARN.
    pub fn new(aws: &Aws, id: &str) -> Self {
        Self {
            client: Client::new(&aws.config),
            id: id.to_owned(),
            region: aws.account.region.clone(),
            place: format!("the secret {id}"),
        }
    }

    /// The value of `name` in a version; `None` when the version, or the name in it, is not there.
    async fn value(&self, stage: &str, name: &str) -> Result<Option<Secret>, PortError> {
        let ask = self.client.get_secret_value().secret_id(&self.id).version_stage(stage);
        let text = match ask.send().await {
            Ok(answer) => answer.secret_string,
            Err(error) if stage == "AWSPREVIOUS" && is_absent(&error) => return Ok(None),
            Err(error) => {
                let action = "secretsmanager:GetSecretValue";
                let call = Call { operation: OPERATION, action, resource: &self.place, region: &self.region };
                return Err(failed(call, &error));
            }
        };
        // What the parser says may hold a value.
        let all: Result<BTreeMap<String, String>, _> = serde_json::from_str(&text.unwrap_or_default());
        let why = || format!("{} ({stage}) is not a JSON object of texts", self.place);
        let mut all = all.map_err(|_| PortError::invalid(OPERATION, why()))?;
        Ok(all.remove(name).map(Secret::new))
    }
}

fn is_absent<R>(error: &SdkError<GetSecretValueError, R>) -> bool {
    error.as_service_error().is_some_and(GetSecretValueError::is_resource_not_found_exception)
}

#[async_trait]
impl Secrets for AwsSecrets {
    async fn get(&self, name: &str) -> Result<Vec<Secret>, PortError> {
        let (current, previous) =
            tokio::try_join!(self.value("AWSCURRENT", name), self.value("AWSPREVIOUS", name))?;
        let Some(current) = current else {
            let why = format!("{} has none of the name {name:?}; add it there", self.place);
            return Err(PortError::new(ErrorKind::NotFound, OPERATION, why));
        };
        let older = previous.filter(|previous| *previous != current);
        Ok([current].into_iter().chain(older).collect())
    }
}
