//! What AWS says when it refuses, in words that tell what to do.
//!
//! Source of the codes: "Common errors" and "Error handling" of each service's API reference.

use std::error::Error as StdError;

use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::{display::DisplayErrorContext, metadata::ProvideErrorMetadata};
use longshore_ports::{ErrorKind, PortError, Retry};

/// What a call is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    /// What was wanted of the port, e.g. `journal open`.
    pub(crate) operation: &'static str,
    /// What the role must be allowed, e.g. `dynamodb:BatchGetItem`.
    pub(crate) action: &'static str,
    /// What it acts on, e.g. `the table longshore`.
    pub(crate) resource: &'a str,
    /// Where.
    pub(crate) region: &'a str,
}

/// The kinds of refusal that call for different acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Denied,
    Missing,
    Expired,
    Skewed,
    Unknown,
    Throttled,
    Broken,
    Invalid,
}

/// A failed call. Whatever got no answer may have been done all the same.
pub(crate) fn failed<E>(call: Call<'_>, error: &SdkError<E, HttpResponse>) -> PortError
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    match error {
        SdkError::ServiceError(refused) => {
            let status = refused.raw().status().as_u16();
            let code = refused.err().code().unwrap_or_default();
            said(call, status, code, refused.err().message().unwrap_or_default())
        }
        SdkError::ConstructionFailure(_) => {
            PortError::invalid(call.operation, DisplayErrorContext(error).to_string())
        }
        _ => {
            let (resource, region) = (call.resource, call.region);
            let why = DisplayErrorContext(error);
            PortError::unavailable(
                call.operation,
                format!("{resource} in {region} gave no answer; look at the network and AWS_REGION ({why})"),
            )
        }
    }
}

/// Whether the call may have been done although its answer says or brings nothing.
pub(crate) fn is_lost<E>(error: &SdkError<E, HttpResponse>) -> bool {
    match error {
        SdkError::ConstructionFailure(_) => false,
        SdkError::ServiceError(refused) => refused.raw().status().as_u16() >= 500,
        _ => true,
    }
}

/// What a service answered, as an error.
pub(crate) fn said(call: Call<'_>, status: u16, code: &str, message: &str) -> PortError {
    let Call { operation, action, resource, region } = call;
    let refusal = refusal(status, code, message);
    let why = match refusal {
        Refusal::Denied => format!("the role may not {action} on {resource}; allow it in its policy"),
        Refusal::Missing => {
            format!("{resource} is not in {region}; deploy the stack there, or correct AWS_REGION")
        }
        Refusal::Expired => "the credentials have expired; the next start brings new ones".to_owned(),
        Refusal::Skewed => {
            "the clock of this machine is wrong, and AWS refuses its signature; set the clock".to_owned()
        }
        Refusal::Unknown => {
            format!("AWS does not know these credentials in {region}; correct AWS_REGION or the keys")
        }
        Refusal::Throttled => format!("{resource} is asked for too much just now"),
        Refusal::Broken => format!("{resource} fails just now"),
        Refusal::Invalid => format!("{action} on {resource} is refused"),
    };
    let told = if message.is_empty() { code.to_owned() } else { format!("{code}: {message}") };
    let (kind, retry) = kind(refusal);
    PortError { kind, retry, operation: operation.to_owned(), source: format!("{why} ({told})").into() }
}

fn kind(refusal: Refusal) -> (ErrorKind, Retry) {
    match refusal {
        Refusal::Denied | Refusal::Unknown => (ErrorKind::Denied, Retry::Permanent),
        Refusal::Missing => (ErrorKind::NotFound, Retry::Permanent),
        Refusal::Invalid => (ErrorKind::Invalid, Retry::Permanent),
        Refusal::Expired | Refusal::Skewed => (ErrorKind::Denied, Retry::Temporary),
        Refusal::Throttled | Refusal::Broken => (ErrorKind::Unavailable, Retry::Temporary),
    }
}

/// Codes come with a namespace before `#` from some services, and with a prefix from SQS.
fn refusal(status: u16, code: &str, message: &str) -> Refusal {
    let code = code.rsplit('#').next().unwrap_or_default();
    let code = code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code);
    match code {
        "AccessDeniedException"
        | "AccessDenied"
        | "NotAuthorized"
        | "UnauthorizedOperation"
        | "AuthorizationError"
        | "AllAccessDisabled" => Refusal::Denied,
        "ResourceNotFoundException"
        | "NonExistentQueue"
        | "QueueDoesNotExist"
        | "NoSuchBucket"
        | "RepositoryNotFoundException" => Refusal::Missing,
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => Refusal::Expired,
        "RequestExpired" | "RequestTimeTooSkewed" | "RequestInTheFuture" => Refusal::Skewed,
        "InvalidSignatureException" | "SignatureDoesNotMatch" if is_about_time(message) => Refusal::Skewed,
        "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "AuthFailure" => Refusal::Unknown,
        "ProvisionedThroughputExceededException"
        | "ThrottlingException"
        | "Throttling"
        | "ThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "RequestThrottled"
        | "SlowDown"
        | "BandwidthLimitExceeded"
        | "TransactionInProgressException"
        | "LimitExceededException"
        | "AccountLimitExceededException"
        | "ThrottlingError"
        | "ProvisionedThroughputExceeded"
        | "RequestThrottledException" => Refusal::Throttled,
        _ if status >= 500 || status == 429 => Refusal::Broken,
        "InternalFailure"
        | "InternalException"
        | "InternalServerError"
        | "ServiceUnavailable"
        | "RequestTimeout" => Refusal::Broken,
        _ if status == 403 => Refusal::Denied,
        _ => Refusal::Invalid,
    }
}

fn is_about_time(message: &str) -> bool {
    ["Signature expired", "Signature not yet current"].iter().any(|start| message.contains(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Call<'_> = Call {
        operation: "journal open",
        action: "dynamodb:BatchGetItem",
        resource: "the table longshore",
        region: "eu-west-1",
    };

    #[test]
    fn a_refusal_says_what_to_do_and_whether_to_wait() {
        let cases = [
            (400, "AccessDeniedException", "", "may not dynamodb:BatchGetItem on the table longshore", false),
            (
                400,
                "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException",
                "",
                "not in eu-west-1",
                false,
            ),
            (400, "AWS.SimpleQueueService.NonExistentQueue", "", "deploy the stack", false),
            (403, "ExpiredTokenException", "", "have expired", true),
            (
                403,
                "InvalidSignatureException",
                "Signature expired: 1 is now earlier than 2",
                "set the clock",
                true,
            ),
            (403, "RequestTimeTooSkewed", "", "set the clock", true),
            (
                403,
                "InvalidSignatureException",
                "Credential should be scoped to a valid region",
                "AWS_REGION",
                false,
            ),
            (400, "UnrecognizedClientException", "", "correct AWS_REGION or the keys", false),
            (400, "ProvisionedThroughputExceededException", "", "too much", true),
            (503, "", "", "fails just now", true),
            (
                400,
                "ValidationException",
                "the key is empty",
                "(ValidationException: the key is empty)",
                false,
            ),
        ];
        for (status, code, message, text, temporary) in cases {
            let error = said(CALL, status, code, message);
            assert!(error.to_string().starts_with("journal open: "), "{error}");
            assert!(error.to_string().contains(text), "{code}: {error}");
            assert_eq!(error.is_temporary(), temporary, "{code}");
        }
    }
}
