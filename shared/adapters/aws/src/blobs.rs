//! Blobs in S3, by plain signed requests: the SDK's client would bring 39 crates for two calls (ADR 0005).
//!
//! Sources: "Authenticating Requests (AWS Signature Version 4)" and "Error responses", S3's API reference.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_runtime_api::client::{
    http::{HttpConnector as _, SharedHttpConnector},
    identity::Identity,
    orchestrator::HttpRequest,
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
use longshore_ports::{BlobRef, Blobs, Clock, ErrorKind, PortError};

use crate::Aws;
use crate::failure::{Call, said};

/// The largest blob, in bytes.
const MOST: usize = 64 << 20;

/// Blobs in a bucket, under `blobs/sha256/`.
pub struct S3Blobs {
    http: SharedHttpConnector,
    identity: Identity,
    clock: Arc<dyn Clock>,
    region: String,
    /// The bucket, as errors name it.
    place: String,
    /// What the blobs' names follow, e.g. `https://bucket.s3.eu-west-1.amazonaws.com`.
    base: String,
    answer_within: Duration,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What S3 answered.
struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl S3Blobs {
    /// The blobs of a bucket. `clock` gives the time that requests are signed with.
    pub fn new(aws: &Aws, bucket: &str, clock: Arc<dyn Clock>) -> Self {
        let region = aws.account.region.clone();
        let base = if let Some(endpoint) = &aws.account.endpoint {
            format!("{}/{bucket}", endpoint.trim_end_matches('/'))
        } else {
            let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
            format!("https://{bucket}.s3.{region}.amazonaws.com{suffix}")
        };
        Self {
            http: aws.http.clone(),
            identity: aws.account.credentials().into(),
            clock,
            place: format!("the bucket {bucket}"),
            region,
            base,
            answer_within: aws.account.answer_within,
        }
    }

    /// Sends one signed request. S3 refuses a body whose SHA-256 is another one.
    async fn send(&self, method: &str, blob: &BlobRef, body: Vec<u8>) -> Result<Answer, Failure> {
        let uri = format!("{}/blobs/sha256/{}", self.base, hex(blob));
        let sum = BlobRef::of(&body);
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method(method)?;
        request.set_uri(uri.as_str())?;
        for (name, value) in self.signature(method, &uri, hex(&sum))? {
            request.headers_mut().insert(name, value);
        }
        let response = self.http.call(request).await?;
        let status = response.status().as_u16();
        let body = ByteStream::new(response.into_body()).collect();
        let body = tokio::time::timeout(self.answer_within, body).await??;
        Ok(Answer { status, body: body.to_vec() })
    }

    /// The headers that sign a request.
    fn signature(&self, method: &str, uri: &str, sum: &str) -> Result<Vec<(String, String)>, Failure> {
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let params = SigningParams::builder().identity(&self.identity).region(&self.region).name("s3");
        let params = params.time(SystemTime::from(self.clock.now())).settings(settings).build()?.into();
        let body = SignableBody::Precomputed(sum.to_owned());
        let signed = sign(SignableRequest::new(method, uri, std::iter::empty(), body)?, &params)?;
        let headers = signed.output().headers();
        Ok(headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    async fn call(
        &self,
        (operation, action): (&'static str, &'static str),
        method: &str,
        blob: &BlobRef,
        body: Vec<u8>,
    ) -> Result<Vec<u8>, PortError> {
        let answer = self.send(method, blob, body).await.map_err(|error| {
            let why = format!("{} in {} gave no answer ({error})", self.place, self.region);
            PortError::unavailable(operation, why)
        })?;
        if answer.status == 200 {
            return Ok(answer.body);
        }
        let call = Call { operation, action, resource: &self.place, region: &self.region };
        Err(refused(call, &answer))
    }
}

fn refused(call: Call<'_>, answer: &Answer) -> PortError {
    let text = String::from_utf8_lossy(&answer.body);
    let (code, message) = (element(&text, "Code"), element(&text, "Message"));
    if code == "NoSuchKey" {
        return PortError::new(ErrorKind::NotFound, call.operation, "there is no such blob");
    }
    let code = if code.is_empty() { format!("HTTP {}", answer.status) } else { code.to_owned() };
    said(call, answer.status, &code, message)
}

/// The digits of a blob's name.
fn hex(blob: &BlobRef) -> &str {
    let name = blob.0.as_str();
    name.split_once(':').map_or(name, |(_, digits)| digits)
}

/// The text of the first XML element of a name, which in S3's errors holds no other.
fn element<'a>(text: &'a str, name: &str) -> &'a str {
    let after = text.split_once(&format!("<{name}>")).map(|(_, after)| after);
    after.and_then(|after| Some(after.split_once("</")?.0)).unwrap_or_default()
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

    #[test]
    fn an_error_of_s3_is_read() {
        let text = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>no</Message></Error>";
        assert_eq!((element(text, "Code"), element(text, "Message")), ("AccessDenied", "no"));
        assert_eq!((element("<Code>half", "Code"), element("", "Code")), ("", ""));
    }
}
