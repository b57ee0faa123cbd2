//! What `report` stands on as a Lambda function: the forges' APIs, the stack's topic, and the webhooks of the configuration.
//!
//! `LONGSHORE_TOPIC` names the topic of SNS.

use std::sync::Arc;

use longshore_aws::SnsTopic;
use longshore_aws::lambda::LambdaStack;
use longshore_forge::ForgeStatus;
use longshore_frame::lambda::{Error, required};
use longshore_ports::Notify;
use longshore_report::Report;
use longshore_webhook::webhooks;

/// The function over its adapters.
///
/// # Errors
/// When a variable is missing.
pub(crate) fn report(stack: &LambdaStack) -> Result<Report, Error> {
    let secrets = stack.kept_secrets()?;
    let topic = SnsTopic::new(&stack.aws, &required("LONGSHORE_TOPIC")?, stack.clock.clone());
    let mut ways = webhooks(&stack.policy.notify, &secrets)?;
    ways.push(Arc::new(topic) as Arc<dyn Notify>);
    Ok(Report {
        policy: stack.policy.clone(),
        forge: Arc::new(ForgeStatus::of(&stack.policy, secrets)?),
        notify: Some(Arc::new(ways)),
        facts: stack.journal.clone(),
        blobs: stack.blobs()?,
    })
}
