//! Signatures by a key, verified without any network: what was signed, and by which key.
//!
//! A signature counts for an image when what was signed names the image's digest, says that it is a signature of an image
//! and nothing else (the same key may sign a bill of materials), and verifies by ECDSA on P-256 with SHA-256 (FIPS 186-5).
//! Where it lies, and under which tag, counts for nothing. A transparency log is not asked.

mod bundle;
mod simple;

use longshore_events::Digest;
use longshore_policy::SigningKey;
use longshore_ports::Envelope;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

/// Something that is a signature of one image, if a key says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The bytes that were signed.
    message: Vec<u8>,
    /// Signatures of them, in DER.
    signatures: Vec<Vec<u8>>,
}

impl Signed {
    /// Whether the key signed it.
    pub fn by(&self, key: &SigningKey) -> bool {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.point());
        self.signatures.iter().any(|signature| key.verify(&self.message, signature).is_ok())
    }
}

/// What was signed, checked in all but the key.
///
/// # Errors
/// Why it is no signature of the image at `digest`.
pub fn read(envelope: &Envelope, digest: &Digest) -> Result<Signed, String> {
    match envelope {
        Envelope::Simple { payload, signature } => simple::read(payload, signature, digest),
        Envelope::Bundle(text) => bundle::read(text, digest),
        Envelope::Unreadable(why) => Err(why.clone()),
    }
}

/// The start of what somebody wrote, without what would break a line.
fn brief(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests;
