//! Plain signed requests, where the SDK's client would bring more than it does (ADR 0005).
//!
//! Sources: "Authenticating Requests (AWS Signature Version 4)", S3's API reference; "Signing AWS API requests", IAM.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_runtime_api::client::{
    http::{HttpConnector as _, SharedHttpConnector},
    identity::Identity,
    orchestrator::HttpRequest,
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
use longshore_ports::{BlobRef, Clock};

use crate::Aws;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Sends signed requests to one service.
pub(crate) struct Plain {
    service: &'static str,
    http: SharedHttpConnector,
    identity: Identity,
    clock: Arc<dyn Clock>,
    region: String,
    answer_within: Duration,
}

/// What a service answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The code of a refusal, from services that name it in a header.
    pub(crate) code: String,
    pub(crate) body: Vec<u8>,
}

impl Plain {
    /// `clock` gives the time that requests are signed with.
    pub(crate) fn new(aws: &Aws, service: &'static str, clock: Arc<dyn Clock>) -> Self {
        Self {
            service,
            http: aws.http.clone(),
            identity: aws.account.credentials().into(),
            clock,
            region: aws.account.region.clone(),
            answer_within: aws.account.answer_within,
        }
    }

    /// Sends one request with these headers, which are signed; a body that is changed on its way is refused.
    pub(crate) async fn send(
        &self,
        method: &str,
        uri: &str,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<Answer, Failure> {
        let sum = BlobRef::of(&body);
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method(method)?;
        request.set_uri(uri)?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.clone());
        }
        for (name, value) in self.signature(method, uri, headers, sum.0.hex())? {
            request.headers_mut().insert(name, value);
        }
        let response = self.http.call(request).await?;
        let status = response.status().as_u16();
        // Behind the code may stand an address.
        let code = response.headers().get("x-amzn-errortype").and_then(|kind| kind.split(':').next());
        let code = code.unwrap_or_default().to_owned();
        let body = ByteStream::new(response.into_body()).collect();
        let body = tokio::time::timeout(self.answer_within, body).await??;
        Ok(Answer { status, code, body: body.to_vec() })
    }

    /// An address that asks `uri` in our name, once GET is sent there with these headers within this time.
    pub(crate) fn presigned(
        &self,
        uri: &str,
        headers: &[(&str, &str)],
        within: Duration,
    ) -> Result<String, Failure> {
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(within);
        let params =
            SigningParams::builder().identity(&self.identity).region(&self.region).name(self.service);
        let params = params.time(SystemTime::from(self.clock.now())).settings(settings).build()?.into();
        let body = SignableBody::Bytes(&[]);
        let signable = SignableRequest::new("GET", uri, headers.iter().copied(), body)?;
        let mut request = http::Request::get(uri).body(())?;
        sign(signable, &params)?.into_parts().0.apply_to_request_http1x(&mut request);
        Ok(request.uri().to_string())
    }

    /// The headers that sign a request.
    fn signature(
        &self,
        method: &str,
        uri: &str,
        headers: &[(&'static str, String)],
        sum: &str,
    ) -> Result<Vec<(String, String)>, Failure> {
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let params =
            SigningParams::builder().identity(&self.identity).region(&self.region).name(self.service);
        let params = params.time(SystemTime::from(self.clock.now())).settings(settings).build()?.into();
        let body = SignableBody::Precomputed(sum.to_owned());
        let given = headers.iter().map(|(name, value)| (*name, value.as_str()));
        let signed = sign(SignableRequest::new(method, uri, given, body)?, &params)?;
        let headers = signed.output().headers();
        Ok(headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

/// The text of the first XML element of a name that holds no other.
pub(crate) fn element<'a>(text: &'a str, name: &str) -> &'a str {
    let after = text.split_once(&format!("<{name}>")).map(|(_, after)| after);
    after.and_then(|after| Some(after.split_once("</")?.0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_in_xml_is_read() {
        let text = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>no</Message></Error>";
        assert_eq!((element(text, "Code"), element(text, "Message")), ("AccessDenied", "no"));
        assert_eq!((element("<Code>half", "Code"), element("", "Code")), ("", ""));
    }
}
