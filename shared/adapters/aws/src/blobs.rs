//! Blobs in S3, by plain signed requests: the SDK's client would bring 39 crates for two calls (ADR 0005).
//!
//! Source: "Error responses", S3's API reference.

use std::sync::Arc;

use async_trait::async_trait;
use longshore_ports::{BlobRef, Blobs, Clock, ErrorKind, PortError};

use crate::Aws;
use crate::failure::{Call, said};
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
        let base = if let Some(endpoint) = &aws.account.endpoint {
            format!("{}/{bucket}", endpoint.trim_end_matches('/'))
        } else {
            let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
            format!("https://{bucket}.s3.{region}.amazonaws.com{suffix}")
        };
        Self { plain: Plain::new(aws, "s3", clock), place: format!("the bucket {bucket}"), region, base }
    }

    async fn call(
        &self,
        (operation, action): (&'static str, &'static str),
        method: &str,
        blob: &BlobRef,
        body: Vec<u8>,
    ) -> Result<Vec<u8>, PortError> {
        let uri = format!("{}/blobs/sha256/{}", self.base, blob.0.hex());
        let answer = self.plain.send(method, &uri, None, body).await.map_err(|error| {
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
