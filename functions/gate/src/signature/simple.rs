//! Simple signing: a payload that names the digest, and its signature.
//!
//! Source: "Signature spec" of cosign; the payload's form is that of containers' `containers-signature(5)`.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use longshore_events::Digest;
use serde::Deserialize;

use super::{Signed, brief};

/// What cosign signs images as; it signs nothing else in this form.
const KIND: &str = "cosign container image signature";

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Image {
    docker_manifest_digest: String,
}

pub(super) fn read(payload: &str, signature: &str, digest: &Digest) -> Result<Signed, String> {
    let said: Payload =
        serde_json::from_str(payload).map_err(|error| format!("its payload makes no sense: {error}"))?;
    if said.critical.kind != KIND {
        return Err(format!("it is no signature of an image, but {:?}", brief(&said.critical.kind)));
    }
    let named = &said.critical.image.docker_manifest_digest;
    if named != digest.as_str() {
        return Err(format!("it is of another image, {}", brief(named)));
    }
    let signature =
        BASE64_STANDARD.decode(signature.trim()).map_err(|_| "its signature is no base64".to_owned())?;
    Ok(Signed { message: payload.as_bytes().to_vec(), signatures: vec![signature] })
}
