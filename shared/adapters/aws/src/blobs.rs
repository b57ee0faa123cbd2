//! Blobs in S3, by plain signed requests: the SDK's client would bring 39 crates for two calls (ADR 0005).
//!
//! Source: "Error responses", S3's API reference.

use std::sync::Arc;

use async_trait::async_trait;
use longshore_ports::{BlobRef, Blobs, Clock, ErrorKind, PortError};

use crate::Aws;
use crate::failure::{Call, lacking, said, silent};
use crate::plain::{Answer, Plain, element};

/// The largest blob, in bytes.
const MOST: usize = 64 << 20;

/// Blobs in a bucket, under `blobs/sha256/`.
pub struct S3Blobs {
    plain: Plain,
    region: String,
    /// The bucket, as errors name it.
    place: String,
    /// What the blobs' names follow, e.g. `https://bucket.s3.eu-west-1.amazonaws.com`.
    base: String,
}

impl S3Blobs {
    /// The blobs of a bucket. `clock` gives the time that requests are signed with.
    pub fn new(aws: &Aws, bucket: &str, clock: Arc<dyn Clock>) -> Self {
        let region = aws.account.region.clone();
        let place = format!("the bucket {bucket}");
        Self { plain: Plain::new(aws, "s3", clock), place, region, base: base(aws, bucket) }
    }

    async fn call(
        &self,
        (operation, action): (&'static str, &'static str),
        method: &str,
        blob: &BlobRef,
        body: Vec<u8>,
    ) -> Result<Vec<u8>, PortError> {
        let uri = format!("{}/blobs/sha256/{}", self.base, blob.0.hex());
        let call = Call { operation, action, resource: &self.place, region: &self.region };
        let answer = self.plain.send(method, &uri, &[], body).await.map_err(|error| silent(call, error))?;
        if answer.status == 200 {
            return Ok(answer.body);
        }
        Err(refused(call, &answer))
    }
}

/// Where a bucket is.
pub(crate) fn base(aws: &Aws, bucket: &str) -> String {
    let region = &aws.account.region;
    if let Some(endpoint) = &aws.account.endpoint {
        return format!("{}/{bucket}", endpoint.trim_end_matches('/'));
    }
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://{bucket}.s3.{region}.amazonaws.com{suffix}")
}

pub(crate) fn refused(call: Call<'_>, answer: &Answer) -> PortError {
    let text = String::from_utf8_lossy(&answer.body);
    let (code, message) = (element(&text, "Code"), element(&text, "Message"));
    // Who may not list a bucket is told so of what is not in it, and no function may.
    if code == "NoSuchKey" || lacking(message) == Some("s3:ListBucket") {
        return PortError::new(ErrorKind::NotFound, call.operation, "there is no such blob");
    }
    let code = if code.is_empty() { format!("HTTP {}", answer.status) } else { code.to_owned() };
    said(call, answer.status, &code, message)
}

#[async_trait]
impl Blobs for S3Blobs {
    async fn put(&self, content: Vec<u8>) -> Result<BlobRef, PortError> {
        const OPERATION: &str = "store a blob";
        if content.len() > MOST {
            let bytes = content.len();
            return Err(PortError::invalid(
                OPERATION,
                format!("it has {bytes} bytes, and {MOST} are allowed"),
            ));
        }
        let blob = BlobRef::of(&content);
        self.call((OPERATION, "s3:PutObject"), "PUT", &blob, content).await?;
        Ok(blob)
    }

    async fn get(&self, blob: &BlobRef) -> Result<Vec<u8>, PortError> {
        const OPERATION: &str = "read a blob";
        let content = self.call((OPERATION, "s3:GetObject"), "GET", blob, Vec::new()).await?;
        if BlobRef::of(&content) == *blob {
            return Ok(content);
        }
        let why = format!("what {} holds as {} is something else", self.place, blob.0);
        Err(PortError::invalid(OPERATION, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Call<'_> = Call {
        operation: "read a blob",
        action: "s3:GetObject",
        resource: "the bucket blobs",
        region: "eu-west-1",
    };

    /// Answers as "Error responses" has them: moto checks neither region, clock nor role.
    #[test]
    fn what_s3_refuses_is_read() {
        let skewed = "The difference between the request time and the current time is too large.";
        let malformed =
            "The authorization header is malformed; the region 'eu-west-1' is wrong; expecting 'us-west-2'";
        let user = "User: arn:aws:sts::123456789012:assumed-role/console/x is not authorized to perform:";
        let policy = "because no identity-based policy allows the action";
        let denied = format!("{user} s3:GetObject on resource: \"arn:aws:s3:::blobs/blobs/x\" {policy}");
        let unseen = format!("{user} s3:ListBucket on resource: \"arn:aws:s3:::blobs\" {policy}");
        let cases = [
            (
                404,
                "NoSuchBucket",
                "The specified bucket does not exist",
                "the bucket blobs is not in",
                "LS0603",
            ),
            (404, "NoSuchKey", "The specified key does not exist.", "there is no such blob", ""),
            (403, "AccessDenied", unseen.as_str(), "there is no such blob", ""),
            (
                403,
                "AccessDenied",
                denied.as_str(),
                "may not s3:GetObject on the bucket blobs; allow",
                "LS0601",
            ),
            (
                400,
                "AuthorizationHeaderMalformed",
                malformed,
                "lies in us-west-2, and eu-west-1 is asked",
                "LS0607",
            ),
            (301, "PermanentRedirect", "", "lies in another region, and eu-west-1 is asked", "LS0607"),
            (403, "RequestTimeTooSkewed", skewed, "set the clock", "LS0609"),
            (400, "ExpiredToken", "The provided token has expired.", "have expired", "LS0608"),
            (403, "InvalidAccessKeyId", "", "does not know these credentials", "LS0610"),
            (503, "SlowDown", "Please reduce your request rate.", "too much just now", "LS0611"),
        ];
        for (status, code, message, text, stable) in cases {
            let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>").into();
            let error = refused(CALL, &Answer { status, code: String::new(), body }).to_string();
            assert!(error.contains(text) && error.contains(stable), "{code}: {error}");
        }
    }
}
