//! A Sigstore bundle: an in-toto statement in a DSSE envelope.
//!
//! Source: `sigstore_bundle.proto` of Sigstore's protobuf-specs; "DSSE Protocol" of secure-systems-lab; "Statement" of
//! in-toto's attestation framework, version 1.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use longshore_events::Digest;
use serde::Deserialize;

use super::{Signed, brief};

const PAYLOAD: &str = "application/vnd.in-toto+json";
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// What cosign signs images as. Whatever else a key signs (a bill of materials, a scan) has another type.
const PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";
/// The most signatures of an envelope that are tried.
const SIGNATURES: usize = 8;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    media_type: String,
    dsse_envelope: Option<Envelope>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    sig: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    predicate_type: String,
}

#[derive(Deserialize)]
struct Subject {
    digest: BTreeMap<String, String>,
}

pub(super) fn read(text: &str, digest: &Digest) -> Result<Signed, String> {
    let senseless = |error: serde_json::Error| format!("its bundle makes no sense: {error}");
    let bundle: Bundle = serde_json::from_str(text).map_err(senseless)?;
    if !bundle.media_type.starts_with("application/vnd.dev.sigstore.bundle") {
        return Err(format!("it is no bundle of Sigstore, but {:?}", brief(&bundle.media_type)));
    }
    let envelope = bundle.dsse_envelope.ok_or("its bundle holds no statement")?;
    if envelope.payload_type != PAYLOAD {
        return Err(format!("it holds no statement, but {:?}", brief(&envelope.payload_type)));
    }
    let decode = |text: &str| BASE64_STANDARD.decode(text).map_err(|_| "it is damaged: no base64".to_owned());
    let payload = decode(&envelope.payload)?;
    let statement: Statement = serde_json::from_slice(&payload).map_err(senseless)?;
    if statement.predicate_type != PREDICATE {
        return Err(format!(
            "it is no signature, but an attestation of {}",
            brief(&statement.predicate_type)
        ));
    }
    if statement.kind != STATEMENT {
        return Err(format!("it is a statement of another kind, {:?}", brief(&statement.kind)));
    }
    let is_about = |subject: &Subject| subject.digest.get("sha256").is_some_and(|hex| hex == digest.hex());
    if !statement.subject.iter().any(is_about) {
        let named = statement.subject.first().and_then(|subject| subject.digest.get("sha256"));
        return Err(format!("it is of another image, {}", named.map_or("unnamed".into(), |hex| brief(hex))));
    }
    let signatures = envelope.signatures.iter().take(SIGNATURES);
    let signatures = signatures.map(|one| decode(&one.sig)).collect::<Result<_, _>>()?;
    Ok(Signed { message: pae(&envelope.payload_type, &payload), signatures })
}

/// What is signed in place of the payload: its pre-authentication encoding.
fn pae(kind: &str, payload: &[u8]) -> Vec<u8> {
    let mut message = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    message.extend_from_slice(payload);
    message
}
