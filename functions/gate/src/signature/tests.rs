//! What cosign 3.1.3 made of one image (`cosign/`), and what others would like to pass for it.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use longshore_events::Digest;
use longshore_policy::SigningKey;
use longshore_ports::Envelope;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::read;

const KEY: &str = include_str!("cosign/cosign.pub");
const BUNDLE: &str = include_str!("cosign/signature.bundle.json");
const ATTESTATION: &str = include_str!("cosign/cyclonedx.bundle.json");
const PAYLOAD: &str = include_str!("cosign/simple.payload.json");
const SIGNATURE: &str = include_str!("cosign/simple.signature");

fn digest() -> Digest {
    Digest::new("sha256:1989d1c619f768b2f21288385ae43db4091501c550cf97c98989f6fd6b2773bf").unwrap()
}

fn key(pem: &str) -> SigningKey {
    let text = format!(
        "[[service]]\nname = \"s\"\nimage = \"s\"\n[[signer]]\nname = \"k\"\nkey = \"\"\"{pem}\"\"\"\n"
    );
    longshore_policy::check(&text, "test").unwrap().signers.remove(0).key
}

fn simple(payload: &str) -> Envelope {
    Envelope::Simple { payload: payload.into(), signature: SIGNATURE.into() }
}

/// The bundle with something else in its envelope.
fn bundle(change: impl FnOnce(&mut Value)) -> Envelope {
    let mut bundle: Value = serde_json::from_str(BUNDLE).unwrap();
    change(&mut bundle);
    Envelope::Bundle(bundle.to_string())
}

/// The bundle with another statement, under the old signature.
fn statement(change: impl FnOnce(&mut Value)) -> Envelope {
    bundle(|bundle| {
        let payload = BASE64_STANDARD.decode(bundle["dsseEnvelope"]["payload"].as_str().unwrap()).unwrap();
        let mut statement: Value = serde_json::from_slice(&payload).unwrap();
        change(&mut statement);
        bundle["dsseEnvelope"]["payload"] = BASE64_STANDARD.encode(statement.to_string()).into();
    })
}

#[test]
fn both_formats_of_cosign_are_verified_with_its_key_and_with_no_other() {
    for envelope in [simple(PAYLOAD), Envelope::Bundle(BUNDLE.into())] {
        let signed = read(&envelope, &digest()).unwrap();
        assert!(signed.by(&key(KEY)));
        assert!(!signed.by(&key(longshore_sim::world::signer())));
    }
}

#[test]
fn an_attestation_by_the_same_key_is_no_signature() {
    let why = read(&Envelope::Bundle(ATTESTATION.into()), &digest()).unwrap_err();
    assert_eq!(why, "it is no signature, but an attestation of https://cyclonedx.org/bom");
}

#[test]
fn the_digest_counts_that_was_signed_and_not_where_it_lies() {
    let other = Digest::new(format!("sha256:{}", "0".repeat(64))).unwrap();
    for envelope in [simple(PAYLOAD), Envelope::Bundle(BUNDLE.into())] {
        let why = read(&envelope, &other).unwrap_err();
        assert!(why.contains("it is of another image") && why.contains("1989d1c6"), "{why}");
    }
}

#[test]
fn what_was_changed_after_it_was_signed_verifies_with_no_key() {
    let other = Digest::new(format!("sha256:{}", "0".repeat(64))).unwrap();
    let moved = PAYLOAD.replace(digest().hex(), other.hex());
    let subject = |statement: &mut Value| statement["subject"][0]["digest"]["sha256"] = other.hex().into();
    for envelope in [simple(&moved), statement(subject)] {
        assert!(!read(&envelope, &other).unwrap().by(&key(KEY)));
    }
    let longer = simple(&format!("{PAYLOAD} "));
    let predicate = statement(|statement| statement["predicate"] = json!({ "more": 1 }));
    for envelope in [longer, predicate] {
        assert!(!read(&envelope, &digest()).unwrap().by(&key(KEY)));
    }
}

#[test]
fn what_is_no_signature_says_why() {
    let kind = "application/vnd.in-toto+json ";
    let cases = [
        (simple("{}"), "makes no sense"),
        (
            simple(&PAYLOAD.replace("cosign container image signature", "atomic")),
            "it is no signature of an image",
        ),
        (Envelope::Simple { payload: PAYLOAD.into(), signature: "%".into() }, "no base64"),
        (Envelope::Bundle("[]".into()), "makes no sense"),
        (bundle(|bundle| bundle["mediaType"] = "application/json".into()), "no bundle of Sigstore"),
        (bundle(|bundle| _ = bundle.as_object_mut().unwrap().remove("dsseEnvelope")), "holds no statement"),
        (bundle(|bundle| bundle["dsseEnvelope"]["payloadType"] = kind.into()), "holds no statement"),
        (bundle(|bundle| bundle["dsseEnvelope"]["payload"] = "%".into()), "no base64"),
        (bundle(|bundle| bundle["dsseEnvelope"]["signatures"][0]["sig"] = "%".into()), "no base64"),
        (
            statement(|statement| statement["_type"] = "https://in-toto.io/Statement/v0.1".into()),
            "another kind",
        ),
        (statement(|statement| statement["subject"] = json!([])), "another image, unnamed"),
        (Envelope::Unreadable("it is too long".into()), "it is too long"),
    ];
    for (envelope, expected) in cases {
        let why = read(&envelope, &digest()).unwrap_err();
        assert!(why.contains(expected), "{expected}: {why}");
    }
    let unsigned = bundle(|bundle| bundle["dsseEnvelope"]["signatures"] = json!([]));
    assert!(!read(&unsigned, &digest()).unwrap().by(&key(KEY)), "nobody signed it");
}

proptest! {
    #[test]
    fn nothing_that_strangers_put_there_panics_or_passes(text in ".{0,200}", signature in "[A-Za-z0-9+/=]{0,120}") {
        for envelope in [
            Envelope::Bundle(text.clone()),
            Envelope::Simple { payload: text.clone(), signature: signature.clone() },
            Envelope::Simple { payload: PAYLOAD.into(), signature: signature.clone() },
            bundle(|bundle| bundle["dsseEnvelope"]["signatures"][0]["sig"] = signature.clone().into()),
        ] {
            let signed = read(&envelope, &digest());
            prop_assert!(signed.is_err() || !signed.unwrap().by(&key(KEY)));
        }
    }
}
