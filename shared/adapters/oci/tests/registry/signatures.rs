//! What lies beside an image, as cosign puts it there; and what makes no sense.

use std::collections::BTreeMap;

use longshore_events::{Digest, ImageName};
use longshore_oci::client::Registries;
use longshore_oci::image::{INDEX, MANIFEST};
use longshore_ports::{Envelope, MAX_CLAIM, Signatures as _, suite};
use reqwest::header;
use serde_json::{Value, json};

use crate::harness::{Port, digest, reference, repository};

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// A registry with the images `one` and `two`.
struct Bench {
    port: Port,
    one: Value,
    two: Value,
}

impl Bench {
    async fn open() -> Self {
        let port = Port::open().await;
        let mut images = Vec::new();
        for text in ["one", "two"] {
            let image = port.pack(text);
            let shop = repository("shop");
            port.client.push(&shop, &reference(text), &image).await.unwrap();
            images
                .push(json!({ "mediaType": MANIFEST, "digest": image.digest, "size": image.manifest.len() }));
        }
        let two = images.pop().unwrap();
        Self { port, one: images.pop().unwrap(), two }
    }

    async fn blob(&self, kind: &str, content: &str) -> Value {
        let digest = self.port.client.push_bytes(&repository("shop"), content.as_bytes()).await.unwrap();
        json!({ "mediaType": kind, "digest": digest, "size": content.len() })
    }

    /// Puts a manifest there, under a tag, or by its digest.
    async fn put(&self, tag: Option<&str>, kind: &str, manifest: &Value) -> Value {
        let bytes = manifest.to_string().into_bytes();
        let (name, size) = (digest(&bytes), bytes.len());
        let path = format!("shop/manifests/{}", tag.unwrap_or(name.as_str()));
        let put = self.port.raw("PUT", &path).header(header::CONTENT_TYPE, kind).body(bytes).send().await;
        assert!(put.unwrap().status().is_success());
        json!({ "mediaType": kind, "digest": name, "size": size })
    }

    /// Something that refers to an image, as a bundle does.
    async fn refers(&self, subject: &Value, kind: &str, content: &str) -> Value {
        let config = self.blob("application/vnd.oci.empty.v1+json", "{}").await;
        let layer = self.blob(kind, content).await;
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer], "subject": subject,
        });
        self.put(None, MANIFEST, &manifest).await
    }

    /// Payloads under the tag of an image, each with its signature.
    async fn tags(&self, image: &Value, signed: &[(&str, Option<&str>)]) {
        let config = self.blob("application/vnd.oci.image.config.v1+json", "{}").await;
        let mut layers = Vec::new();
        for (payload, signature) in signed {
            let mut layer = self.blob(SIMPLE, payload).await;
            if let Some(signature) = signature {
                layer["annotations"] = json!({ "dev.cosignproject.cosign/signature": signature });
            }
            layers.push(layer);
        }
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        self.put(Some(&format!("sha256-{}.sig", of(image).hex())), MANIFEST, &manifest).await;
    }

    fn registries(&self) -> Registries {
        Registries::new(BTreeMap::new()).with_own(self.port.address.to_string())
    }

    async fn envelopes(&self, image: &Value) -> Vec<Envelope> {
        let claims = self.registries().claims(&shop(), &of(image)).await.unwrap();
        claims.into_iter().map(|claim| claim.envelope).collect()
    }
}

fn of(descriptor: &Value) -> Digest {
    Digest::new(descriptor["digest"].as_str().unwrap()).unwrap()
}

fn shop() -> ImageName {
    ImageName::new("shop").unwrap()
}

fn unreadable(envelopes: &[Envelope]) -> String {
    let [Envelope::Unreadable(why)] = envelopes else { panic!("{envelopes:?}") };
    why.clone()
}

#[tokio::test]
async fn the_contract() {
    let bench = Bench::open().await;
    bench.tags(&bench.one, &[("payload 1", Some("MQ==")), ("payload 2", Some("Mg=="))]).await;
    bench.refers(&bench.one, BUNDLE, "a bundle").await;
    bench.refers(&bench.one, "application/spdx+json", "{}").await;
    let simple = |payload: &str, signature: &str| Envelope::Simple {
        payload: payload.to_owned(),
        signature: signature.to_owned(),
    };
    let expected =
        vec![simple("payload 1", "MQ=="), simple("payload 2", "Mg=="), Envelope::Bundle("a bundle".into())];
    suite::signatures::run(&suite::signatures::Bench {
        signatures: bench.registries(),
        image: shop(),
        signed: (of(&bench.one), expected),
        unsigned: of(&bench.two),
    })
    .await;
}

#[tokio::test]
async fn what_makes_no_sense_is_told_and_hides_nothing() {
    let bench = Bench::open().await;
    bench.tags(&bench.one, &[("payload", None)]).await;
    assert!(unreadable(&bench.envelopes(&bench.one).await).contains("has no annotation"));
    let long = "x".repeat(MAX_CLAIM + 1);
    bench.refers(&bench.two, BUNDLE, &long).await;
    assert!(unreadable(&bench.envelopes(&bench.two).await).contains("65537 bytes"));
    bench.refers(&bench.two, BUNDLE, "a bundle").await;
    assert!(bench.envelopes(&bench.two).await.contains(&Envelope::Bundle("a bundle".into())));
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] });
    bench.put(Some(&format!("sha256-{}.sig", of(&bench.one).hex())), INDEX, &index).await;
    assert_eq!(bench.envelopes(&bench.one).await, [], "an index has no layers");
}

#[tokio::test]
async fn a_registry_that_is_away_is_no_image_without_signatures() {
    let registries = Registries::new(BTreeMap::new()).with_own("127.0.0.1:1");
    let digest = Digest::new(format!("sha256:{}", "a".repeat(64))).unwrap();
    let error = registries.claims(&shop(), &digest).await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
}
