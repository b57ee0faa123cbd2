//! The public keys that signatures are verified with.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::fault::{Code, Wrong};

/// What comes before the point in a key's DER: `SubjectPublicKeyInfo` of `id-ecPublicKey` on `prime256v1`, whose point is not
/// compressed. RFC 5480, sections 2.1.1 and 2.2.
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The first byte of a point that is not compressed.
const UNCOMPRESSED: u8 = 4;
/// Other kinds of keys, by the object identifier that their DER holds.
const OTHERS: &[(&[u8], &str)] = &[
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01], "an RSA key"),
    (&[0x2b, 0x65, 0x70], "an Ed25519 key"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x22], "an ECDSA key on P-384"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x23], "an ECDSA key on P-521"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x0a], "an ECDSA key on secp256k1"),
];
const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// A public key of ECDSA on P-256, as cosign makes them: its point, not compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey([u8; 65]);

impl SigningKey {
    /// The point: 4, then both coordinates.
    pub fn point(&self) -> &[u8] {
        &self.0
    }
}

/// A public key in PEM. What is refused may be a private key, so it is not repeated.
pub(crate) fn public(text: &str) -> Result<SigningKey, Wrong> {
    let wrong = |message: String| Wrong::new(Code::InvalidKey, message).confidential();
    if text.contains("PRIVATE KEY") {
        let message = "this is a private key: name the public one (`cosign public-key` prints it), and keep this one away";
        return Err(wrong(message.into()));
    }
    if text.contains("BEGIN CERTIFICATE") {
        let message =
            "this is a certificate: name its public key alone (`openssl x509 -pubkey -noout` prints it)";
        return Err(wrong(message.into()));
    }
    let body = text.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END));
    let Some((body, rest)) = body else {
        let message =
            format!("this is no public key in PEM: write what `cosign public-key` prints, from {BEGIN} on");
        return Err(wrong(message));
    };
    if rest.contains(BEGIN) {
        return Err(wrong("here are several keys: write a [[signer]] for each".into()));
    }
    let dense: String = body.split_whitespace().collect();
    let der = BASE64_STANDARD.decode(dense);
    let der =
        der.map_err(|_| wrong("the public key is damaged: what lies between its lines is no base64".into()))?;
    let point = der.strip_prefix(&P256).and_then(|point| <[u8; 65]>::try_from(point).ok());
    point.filter(|point| point[0] == UNCOMPRESSED).map(SigningKey).ok_or_else(|| {
        let is = |(identifier, _): &&(&[u8], &str)| der.windows(identifier.len()).any(|part| part == *identifier);
        let found = OTHERS.iter().find(is).map_or("another kind of key, or damaged", |(_, name)| name);
        wrong(format!("this is {found}: signatures are verified with ECDSA on P-256, as `cosign generate-key-pair` makes"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(der: &[u8]) -> String {
        format!("{BEGIN}\n{}\n{END}\n", BASE64_STANDARD.encode(der))
    }

    #[test]
    fn a_key_on_p_256_is_read_and_every_other_is_named() {
        let point = [&[UNCOMPRESSED][..], &[7; 64]].concat();
        let good = [&P256[..], &point].concat();
        assert_eq!(public(&pem(&good)).unwrap().point(), point);
        assert_eq!(
            public(&pem(&good).replace('\n', "\r\n  ")).unwrap().point(),
            point,
            "however it is broken"
        );
        let compressed = [&P256[..], &[2], &[7; 64]].concat();
        let mut of_rsa = good.clone();
        of_rsa.splice(4..13, OTHERS[0].0.iter().copied());
        for (text, said) in [
            (pem(&of_rsa), "an RSA key"),
            (pem(&[&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03][..], OTHERS[1].0].concat()), "an Ed25519 key"),
            (pem(&compressed), "another kind"),
            (pem(&good[..90]), "another kind"),
            (pem(&[&good[..], &[0]].concat()), "another kind"),
            (format!("{0}{0}", pem(&good)), "several keys"),
            (format!("{BEGIN}\n***\n{END}"), "no base64"),
            ("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----".into(), "a private key"),
            ("-----BEGIN CERTIFICATE-----".into(), "a certificate"),
            (BASE64_STANDARD.encode(&good), "no public key in PEM"),
        ] {
            let wrong = format!("{:?}", public(&text).unwrap_err());
            assert!(wrong.contains(said) && wrong.contains("confidential: true"), "{said}: {wrong}");
        }
    }
}
