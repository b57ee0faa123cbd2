//! The contract of [`Signatures`].

use longshore_events::{Digest, ImageName};

use crate::{Claim, Envelope, Signatures};

/// A registry, and what lies in it.
pub struct Bench<S> {
    /// The port.
    pub signatures: S,
    /// The image.
    pub image: ImageName,
    /// One beside which these lie, and something that is no signature.
    pub signed: (Digest, Vec<Envelope>),
    /// One beside which nothing lies.
    pub unsigned: Digest,
}

/// Runs the contract.
///
/// # Panics
/// When it is broken.
pub async fn run(bench: &Bench<impl Signatures>) {
    let ask =
        async |image: &ImageName, digest: &Digest| bench.signatures.claims(image, digest).await.unwrap();
    let (digest, expected) = &bench.signed;
    let claims = ask(&bench.image, digest).await;
    let mut found: Vec<Envelope> = claims.iter().map(|claim| claim.envelope.clone()).collect();
    let mut expected = expected.clone();
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "each as it was put there, and nothing else");
    let mut places: Vec<&String> = claims.iter().map(|claim| &claim.place).collect();
    places.sort();
    places.dedup();
    assert_eq!(places.len(), claims.len(), "each has a place of its own");
    assert_eq!(ask(&bench.image, &bench.unsigned).await, Vec::<Claim>::new(), "nothing of another image");
    let nowhere = ImageName::new("nothing/of/this/name").unwrap();
    assert_eq!(ask(&nowhere, &bench.unsigned).await, Vec::<Claim>::new(), "nothing where there is no image");
}
