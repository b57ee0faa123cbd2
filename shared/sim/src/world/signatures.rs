//! What lies beside images: what somebody signed, and what else somebody put there.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use longshore_events::{Digest, ImageName};
use longshore_ports::{BlobRef, Claim, Clock, Envelope, PortError, Signatures};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

use super::Hole;
use crate::Air;

/// What comes before the point in the DER of a public key on P-256. RFC 5480.
const P256: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
/// The length of a signature of ours, in bytes: the same for all, so that what is stored of them is as long in each run.
const LENGTH: usize = 71;

/// What lies beside an image, when it is not signed by who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsigned {
    /// Nothing.
    Bare,
    /// The signature of another image.
    Copied,
    /// An attestation by the right key that is no signature.
    Attested,
    /// A signature by the key of a stranger.
    Strange,
}

/// A key pair.
struct Pen {
    pair: EcdsaKeyPair,
    pem: String,
}

impl Pen {
    #[expect(clippy::expect_used, reason = "a simulation without randomness cannot go on")]
    fn new() -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_ASN1_SIGNING, SystemRandom::new());
        let pair = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key pair is made");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pair.as_ref(), &random).expect("it was just made");
        let mut der: Vec<u8> = (0..P256.len())
            .step_by(2)
            .filter_map(|at| u8::from_str_radix(&P256[at..at + 2], 16).ok())
            .collect();
        der.extend_from_slice(pair.public_key().as_ref());
        let pem =
            format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", BASE64_STANDARD.encode(der));
        Self { pair, pem }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let mut tries = std::iter::repeat_with(|| self.pair.sign(&random, message).ok());
        let found = tries.find_map(|signature| signature.filter(|one| one.as_ref().len() == LENGTH));
        found.map(|signature| signature.as_ref().to_vec()).unwrap_or_default()
    }
}

/// Who may sign, and somebody else.
static PENS: LazyLock<[Pen; 2]> = LazyLock::new(|| [Pen::new(), Pen::new()]);

/// The public key, in PEM, of who signs in the simulated world.
pub fn signer() -> &'static str {
    &PENS[0].pem
}

/// The public key, in PEM, of somebody else.
pub fn stranger() -> &'static str {
    &PENS[1].pem
}

/// Signed images in a registry. An image is signed a while after somebody first looks.
pub struct FakeSignatures {
    air: Arc<Air>,
    hole: Option<Hole>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    unsigned: HashMap<Digest, Unsigned>,
    /// What lies beside an image, and from when on.
    beside: HashMap<Digest, (Timestamp, Vec<Claim>)>,
}

impl FakeSignatures {
    /// Every image is signed, unless it is said otherwise.
    pub fn new(air: Arc<Air>, hole: Option<Hole>) -> Self {
        Self { air, hole, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An image that nobody signs who may.
    pub fn leaves(&self, digest: Digest, unsigned: Unsigned) {
        self.lock().unsigned.insert(digest, unsigned);
    }

    /// These lie beside an image from now on.
    pub fn put(&self, digest: Digest, envelopes: Vec<Envelope>) {
        let claim = |(number, envelope)| Claim { place: format!("claim {number}"), envelope };
        let claims = envelopes.into_iter().enumerate().map(claim).collect();
        self.lock().beside.insert(digest, (self.air.now(), claims));
    }

    /// Whether who may signs the image.
    pub fn truth(&self, digest: &Digest) -> bool {
        !self.lock().unsigned.contains_key(digest)
    }

    /// What lies beside an image that is signed, or is not in this way.
    pub fn beside(&self, digest: &Digest, unsigned: Option<Unsigned>) -> Vec<Claim> {
        let other = BlobRef::of(digest.as_str().as_bytes()).0;
        // A fault put in on purpose: a signature of whatever image counts as one of this.
        let copied = if self.hole == Some(Hole::AnySignature) { digest } else { &other };
        let envelope = match unsigned {
            Some(Unsigned::Bare) => return Vec::new(),
            None if digest.hex().ends_with(['0', '2', '4', '6', '8']) => simple(&PENS[0], digest),
            None => bundle(&PENS[0], digest, "https://sigstore.dev/cosign/sign/v1"),
            Some(Unsigned::Copied) => simple(&PENS[0], copied),
            Some(Unsigned::Attested) => bundle(&PENS[0], digest, "https://cyclonedx.org/bom"),
            Some(Unsigned::Strange) => simple(&PENS[1], digest),
        };
        vec![Claim { place: "the tag .sig".into(), envelope }]
    }
}

fn simple(pen: &Pen, digest: &Digest) -> Envelope {
    let payload = format!(
        r#"{{"critical":{{"identity":{{"docker-reference":"sim"}},"image":{{"docker-manifest-digest":"{digest}"}},"type":"cosign container image signature"}},"optional":null}}"#
    );
    Envelope::Simple { signature: BASE64_STANDARD.encode(pen.sign(payload.as_bytes())), payload }
}

fn bundle(pen: &Pen, digest: &Digest, predicate: &str) -> Envelope {
    let kind = "application/vnd.in-toto+json";
    let statement = format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"digest":{{"sha256":"{}"}}}}],"predicateType":"{predicate}","predicate":{{}}}}"#,
        digest.hex()
    );
    let message = format!("DSSEv1 {} {kind} {} {statement}", kind.len(), statement.len());
    let signature = BASE64_STANDARD.encode(pen.sign(message.as_bytes()));
    let mut text = String::new();
    let _ = write!(
        text,
        r#"{{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","dsseEnvelope":{{"payload":"{}","payloadType":"{kind}","signatures":[{{"sig":"{signature}"}}]}}}}"#,
        BASE64_STANDARD.encode(statement)
    );
    Envelope::Bundle(text)
}

#[async_trait]
impl Signatures for FakeSignatures {
    async fn claims(&self, _: &ImageName, digest: &Digest) -> Result<Vec<Claim>, PortError> {
        let act = || {
            let stale = self.air.chance(|faults| faults.stale);
            let unsigned = self.lock().unsigned.get(digest).copied();
            if !self.lock().beside.contains_key(digest) {
                // Whoever signs is done at times before somebody looks, and at times long after.
                let late = if self.air.below(2) == 0 { 0 } else { self.air.below(10_000) };
                let claims = self.beside(digest, unsigned);
                self.lock().beside.insert(digest.clone(), (self.air.after(late), claims));
            }
            let state = self.lock();
            let there = state.beside.get(digest).filter(|(from, _)| !stale && *from <= self.air.now());
            Ok(there.map(|(_, claims)| claims.clone()).unwrap_or_default())
        };
        self.air.call("signatures claims", act).await
    }
}
