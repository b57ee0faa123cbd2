//! What AWS says when it refuses, in words that tell what to do, each with its code.

use std::error::Error as StdError;
use std::fmt::Display;

use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::{display::DisplayErrorContext, metadata::ProvideErrorMetadata};
use longshore_ports::PortError;

use crate::refusal::Refusal;

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

/// Why AWS did not do it. Its code is a heading of `docs/errors.md`.
#[derive(Debug, thiserror::Error)]
#[error("{why} [{code}]")]
struct Refused {
    why: String,
    code: &'static str,
}

/// The stable code of an error that AWS gave, e.g. `LS0601`; `None` of others. It stands in the error's text, too.
pub fn code(error: &PortError) -> Option<&'static str> {
    error.source.downcast_ref::<Refused>().map(|refused| refused.code)
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
            refused(call, Refusal::Invalid, DisplayErrorContext(error).to_string())
        }
        _ => silent(call, DisplayErrorContext(error)),
    }
}

/// A call that got no answer.
pub(crate) fn silent(call: Call<'_>, why: impl Display) -> PortError {
    let Call { resource, region, .. } = call;
    let why = format!("{resource} in {region} gave no answer; look at the network and AWS_REGION ({why})");
    refused(call, Refusal::Broken, why)
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
    let Call { action, resource, region, .. } = call;
    let mut refusal = Refusal::of(status, code, message);
    let elsewhere = region_of(resource).filter(|there| *there != region);
    if elsewhere.is_some() && matches!(refusal, Refusal::Missing | Refusal::Invalid) {
        refusal = Refusal::Region;
    }
    let why = match refusal {
        Refusal::Denied => denied(call, message),
        Refusal::Missing => {
            format!("{resource} is not in {region}; deploy the stack there, or correct AWS_REGION")
        }
        Refusal::Region => {
            let there = elsewhere.or_else(|| expected(message)).unwrap_or("another region");
            format!("{resource} lies in {there}, and {region} is asked; correct AWS_REGION")
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
    refused(call, refusal, format!("{why} ({told})"))
}

/// What is asked lies in another region than the one that is asked.
pub(crate) fn elsewhere(call: Call<'_>, there: &str) -> PortError {
    let Call { resource, region, .. } = call;
    let why = format!("{resource} lies in {there}, and {region} is asked; correct AWS_REGION");
    refused(call, Refusal::Region, why)
}

fn refused(call: Call<'_>, refusal: Refusal, why: String) -> PortError {
    let (kind, retry) = refusal.kind();
    let source = Refused { why, code: refusal.code(call.action) };
    PortError { kind, retry, operation: call.operation.to_owned(), source: source.into() }
}

/// IAM names the one action that lacks, where a call needs several, and a key of KMS that stands behind a resource.
fn denied(call: Call<'_>, message: &str) -> String {
    let Call { action, resource, .. } = call;
    let named = lacking(message).unwrap_or(action);
    let service = |action: &str| action.split(':').next().map(str::to_ascii_lowercase);
    let told = word_after(message, "on resource: ").filter(|_| service(named) != service(action));
    let resource = told.unwrap_or(resource);
    let deny = "with an explicit deny";
    let way_out = if message.contains(deny) { "a policy denies it" } else { "allow it in its policy" };
    format!("the role may not {named} on {resource}; {way_out}")
}

/// The action that IAM says is not allowed.
pub(crate) fn lacking(message: &str) -> Option<&str> {
    word_after(message, "not authorized to perform: ")
}

fn word_after<'a>(message: &'a str, words: &str) -> Option<&'a str> {
    let word = message.split_once(words)?.1.split_whitespace().next()?;
    Some(word.trim_matches(['"', '.', ',']))
}

/// The region that S3 would have a signature name.
fn expected(message: &str) -> Option<&str> {
    message.split_once("expecting '")?.1.split('\'').next()
}

/// The region that an ARN, or the address of a queue, names.
fn region_of(resource: &str) -> Option<&str> {
    let region = match (resource.split_once("arn:"), resource.split_once("//sqs.")) {
        (Some((_, arn)), _) => arn.split(':').nth(2)?,
        (_, Some((_, host))) => host.split_once(".amazonaws.com")?.0,
        _ => return None,
    };
    Some(region).filter(|region| !region.is_empty())
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

    /// Messages as the services' references and user guides have them.
    #[test]
    fn a_refusal_says_what_to_do_and_whether_to_wait() {
        let skewed = "Signature expired: 20261124T100000Z is now earlier than 20261124T101000Z";
        let early = "Signature not yet current: 20261124T103000Z is still later than 20261124T101000Z";
        let cases = [
            (
                400,
                "AccessDeniedException",
                "",
                "may not dynamodb:BatchGetItem on the table longshore",
                "LS0601",
                false,
            ),
            (
                400,
                "ResourceNotFoundException",
                "",
                "the table longshore is not in eu-west-1",
                "LS0602",
                false,
            ),
            (403, "ExpiredTokenException", "", "have expired", "LS0608", true),
            (403, "InvalidSignatureException", skewed, "set the clock", "LS0609", true),
            (403, "InvalidSignatureException", early, "set the clock", "LS0609", true),
            (403, "RequestTimeTooSkewed", "", "set the clock", "LS0609", true),
            (
                403,
                "InvalidSignatureException",
                "Credential should be scoped to a valid region",
                "lies in another region, and eu-west-1 is asked; correct AWS_REGION",
                "LS0607",
                false,
            ),
            (400, "UnrecognizedClientException", "", "correct AWS_REGION or the keys", "LS0610", false),
            (400, "ProvisionedThroughputExceededException", "", "too much", "LS0611", true),
            (503, "", "", "fails just now", "LS0612", true),
            (
                400,
                "ValidationException",
                "the key is empty",
                "(ValidationException: the key is empty)",
                "LS0613",
                false,
            ),
        ];
        for (status, code, message, text, stable, temporary) in cases {
            let error = said(CALL, status, code, message);
            assert!(error.to_string().starts_with("journal open: "), "{error}");
            assert!(error.to_string().contains(text), "{code}: {error}");
            assert!(error.to_string().ends_with(&format!(" [{stable}]")), "{code}: {error}");
            assert_eq!(error.is_temporary(), temporary, "{code}");
        }
    }

    #[test]
    fn the_action_that_lacks_is_the_one_that_iam_names() {
        let user = "User: arn:aws:sts::123456789012:assumed-role/build/x is not authorized to perform: ";
        let table = "arn:aws:dynamodb:eu-west-1:123456789012:table/longshore";
        let key = "arn:aws:kms:eu-west-1:123456789012:key/1";
        let policy = "because no identity-based policy allows the action";
        let cases = [
            (
                format!("{user}dynamodb:ConditionCheckItem on resource: {table} {policy}"),
                "may not dynamodb:ConditionCheckItem on the table longshore; allow it in its policy",
            ),
            (
                format!("{user}kms:Decrypt on resource: {key} {policy}"),
                "may not kms:Decrypt on arn:aws:kms:eu-west-1:123456789012:key/1; allow",
            ),
            (
                format!("{user}dynamodb:PutItem on resource: {table} with an explicit deny in an SCP"),
                "may not dynamodb:PutItem on the table longshore; a policy denies it",
            ),
        ];
        for (message, text) in cases {
            let error = said(CALL, 400, "AccessDeniedException", &message).to_string();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn what_names_another_region_lies_there() {
        let secret = "the secret arn:aws:secretsmanager:us-east-2:123456789012:secret:longshore-x";
        let queue = "the queue https://sqs.us-east-2.amazonaws.com/123456789012/wakes";
        for resource in [secret, queue] {
            let error = said(Call { resource, ..CALL }, 400, "ResourceNotFoundException", "").to_string();
            assert!(error.contains("lies in us-east-2, and eu-west-1 is asked"), "{error}");
            assert!(error.ends_with("[LS0607]"), "{error}");
            let here = Call { resource, region: "us-east-2", ..CALL };
            assert!(said(here, 400, "ResourceNotFoundException", "").to_string().ends_with("[LS0602]"));
        }
    }
}
