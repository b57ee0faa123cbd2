//! What `gate` stands on as a Lambda function: the journal, and the blobs that findings lie in.

use longshore_aws::lambda::LambdaStack;
use longshore_frame::lambda::Error;
use longshore_gate::Gate;

/// The function over its adapters.
///
/// # Errors
/// When a variable is missing.
pub(crate) fn gate(stack: &LambdaStack) -> Result<Gate, Error> {
    Ok(Gate { policy: stack.policy.clone(), facts: stack.journal.clone(), blobs: stack.blobs()? })
}
