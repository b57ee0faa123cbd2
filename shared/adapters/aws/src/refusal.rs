//! Which of the reasons that call for different acts AWS gives for a refusal, by its codes.
//!
//! Sources: "Common errors" and "Error handling" of each service's API reference; "List of error codes", S3's; "Troubleshoot
//! access denied error messages", IAM's user guide.

use longshore_ports::{ErrorKind, Retry};

/// The kinds of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The role may not.
    Denied,
    /// What was asked for is not there.
    Missing,
    /// It lies in another region, or the signature names one that is none.
    Region,
    /// The credentials have expired.
    Expired,
    /// The clock is wrong.
    Skewed,
    /// The credentials are not known.
    Unknown,
    /// It is asked for too much.
    Throttled,
    /// It fails just now, or gave no answer.
    Broken,
    /// Anything else.
    Invalid,
}

impl Refusal {
    /// The reason behind a status and a code with its message. Codes come with a namespace before `#` from some
    /// services, and with a prefix from SQS.
    pub(crate) fn of(status: u16, code: &str, message: &str) -> Self {
        let code = code.rsplit('#').next().unwrap_or_default();
        let code = code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code);
        by_code(code, message).unwrap_or(match status {
            301 | 307 => Self::Region,
            403 => Self::Denied,
            429 | 500.. => Self::Broken,
            _ => Self::Invalid,
        })
    }

    /// The stable code; a heading of `docs/errors.md`. `action` is what was asked, e.g. `s3:GetObject`: what is missing has
    /// a code for each service.
    pub(crate) fn code(self, action: &str) -> &'static str {
        match self {
            Self::Denied => "LS0601",
            Self::Missing => match action.split(':').next().unwrap_or_default() {
                "dynamodb" => "LS0602",
                "s3" => "LS0603",
                "secretsmanager" => "LS0604",
                "sqs" | "events" => "LS0605",
                _ => "LS0606",
            },
            Self::Region => "LS0607",
            Self::Expired => "LS0608",
            Self::Skewed => "LS0609",
            Self::Unknown => "LS0610",
            Self::Throttled => "LS0611",
            Self::Broken => "LS0612",
            Self::Invalid => "LS0613",
        }
    }

    /// As the ports tell failures apart.
    pub(crate) fn kind(self) -> (ErrorKind, Retry) {
        match self {
            Self::Denied | Self::Unknown => (ErrorKind::Denied, Retry::Permanent),
            Self::Missing => (ErrorKind::NotFound, Retry::Permanent),
            Self::Region | Self::Invalid => (ErrorKind::Invalid, Retry::Permanent),
            Self::Expired | Self::Skewed => (ErrorKind::Denied, Retry::Temporary),
            Self::Throttled | Self::Broken => (ErrorKind::Unavailable, Retry::Temporary),
        }
    }
}

fn by_code(code: &str, message: &str) -> Option<Refusal> {
    Some(match code {
        "AccessDeniedException"
        | "AccessDenied"
        | "NotAuthorized"
        | "NotAuthorizedForSourceException"
        | "NotAuthorizedForDetailTypeException"
        | "UnauthorizedOperation"
        | "AuthorizationError"
        | "AllAccessDisabled" => Refusal::Denied,
        "ResourceNotFoundException"
        | "NonExistentQueue"
        | "QueueDoesNotExist"
        | "NoSuchBucket"
        | "RepositoryNotFoundException" => Refusal::Missing,
        // A secret that was deleted stays for some days, marked.
        "InvalidRequestException" if message.contains("marked") => Refusal::Missing,
        "PermanentRedirect" | "AuthorizationHeaderMalformed" => Refusal::Region,
        "InvalidSignatureException" | "SignatureDoesNotMatch" if is_about_region(message) => Refusal::Region,
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
        "InternalFailure"
        | "InternalException"
        | "InternalServerError"
        | "ServiceUnavailable"
        | "RequestTimeout" => Refusal::Broken,
        _ => return None,
    })
}

fn is_about_time(message: &str) -> bool {
    ["Signature expired", "Signature not yet current"].iter().any(|start| message.contains(start))
}

fn is_about_region(message: &str) -> bool {
    message.contains("scoped to a valid region") || message.contains("scoped to correct region")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_is_marked_for_deletion_is_missing() {
        let marked = "You can't perform this operation on the secret because it was marked for deletion.";
        assert_eq!(Refusal::of(400, "InvalidRequestException", marked), Refusal::Missing);
        assert_eq!(Refusal::of(400, "InvalidRequestException", "no version"), Refusal::Invalid);
    }

    #[test]
    fn a_status_counts_where_the_code_is_not_known() {
        for (status, code, refusal) in [
            (301, "", Refusal::Region),
            (403, "HTTP 403", Refusal::Denied),
            (429, "", Refusal::Broken),
            (503, "", Refusal::Broken),
            (400, "ValidationException", Refusal::Invalid),
            (500, "ThrottlingException", Refusal::Throttled),
            (400, "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", Refusal::Missing),
            (400, "AWS.SimpleQueueService.NonExistentQueue", Refusal::Missing),
        ] {
            assert_eq!(Refusal::of(status, code, ""), refusal, "{status} {code}");
        }
    }
}
