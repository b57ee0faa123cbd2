//! What `scan` stands on as a Lambda function: the scans of ECR, by itself or by Inspector, as the registry is set up.

use std::sync::Arc;

use longshore_aws::EcrScanner;
use longshore_aws::lambda::LambdaStack;
use longshore_frame::lambda::{Error, POLL_MS};
use longshore_scan::Scan;

/// The function over its adapters.
///
/// # Errors
/// When a variable is missing.
pub(crate) fn scan(stack: &LambdaStack) -> Result<Scan, Error> {
    Ok(Scan {
        policy: stack.policy.clone(),
        scanner: Arc::new(EcrScanner::new(&stack.aws, stack.blobs()?)),
        facts: stack.journal.clone(),
        poll_ms: POLL_MS,
    })
}
