//! Base images that are brought from one registry to another.

use longshore_oci::Reference;
use longshore_oci::image::{INDEX, MANIFEST};
use longshore_oci::server::BringError;

use crate::harness::{Port, reference, repository};

#[tokio::test]
async fn an_image_of_another_registry_is_brought_and_follows_its_tag() {
    let (other, port) = (Port::open().await, Port::open().await);
    let (there, here, main) = (repository("base"), repository("mirror/other/base"), reference("main"));
    let bring = async || port.store.bring(&other.client, &there, &main, &here).await;
    assert!(!bring().await.unwrap());
    let (one, two) = (other.pack("one"), other.pack("two"));
    for image in [&one, &two] {
        other.client.push(&there, &main, image).await.unwrap();
        assert!(bring().await.unwrap());
        assert_eq!(port.store.base(&here, &main).unwrap().unwrap().config, image.config);
        let pulled = port.client.manifest(&here, &main).await.unwrap().unwrap();
        assert_eq!(pulled.digest, image.digest);
    }
    assert_eq!(port.uploads(), 0);
    assert!(port.witness.take().is_empty(), "nobody pushed it");
}

#[tokio::test]
async fn of_an_index_the_image_for_this_host_comes() {
    let (other, port) = (Port::open().await, Port::open().await);
    let (there, here) = (repository("base"), repository("mirror/other/base"));
    let (mine, foreign) = (other.pack("mine"), other.pack("foreign"));
    let mut manifests = Vec::new();
    for (image, architecture) in [(&foreign, "pdp11"), (&mine, mine.platform.architecture.as_str())] {
        let digest = Reference::Digest(image.digest.clone());
        other.client.push(&there, &digest, image).await.unwrap();
        manifests.push(serde_json::json!({
            "mediaType": MANIFEST, "digest": image.digest, "size": image.manifest.len(),
            "platform": {"os": "linux", "architecture": architecture},
        }));
    }
    let put = async |tag: &str, manifests: &[serde_json::Value]| {
        let index = serde_json::json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        let bytes = serde_json::to_vec(&index).unwrap();
        other.client.put_manifest(&there, &reference(tag), INDEX, &bytes).await.unwrap()
    };
    let index = Reference::Digest(put("all", &manifests).await);
    for name in [&reference("all"), &index] {
        assert!(port.store.bring(&other.client, &there, name, &here).await.unwrap());
        assert_eq!(port.store.base(&here, name).unwrap().unwrap().config, mine.config);
    }
    assert!(!port.store.has_blob(&foreign.layers[0].descriptor.digest));
    put("foreign", &manifests[..1]).await;
    let error = port.store.bring(&other.client, &there, &reference("foreign"), &here).await.unwrap_err();
    assert!(matches!(error, BringError::Platform(..)), "{error}");
}

#[tokio::test]
async fn an_image_that_cannot_be_brought_whole_does_not_appear() {
    let (other, port) = (Port::open().await, Port::open().await);
    let (there, here, main) = (repository("base"), repository("mirror/other/base"), reference("main"));
    let image = other.pack("one");
    other.client.push(&there, &main, &image).await.unwrap();
    let layer = &image.layers[0].descriptor.digest;
    std::fs::write(other.store.blob_path(layer), "damaged").unwrap();
    let error = port.store.bring(&other.client, &there, &main, &here).await.unwrap_err();
    assert!(matches!(&error, BringError::Client(error) if error.is_temporary()), "{error}");
    assert!(port.store.manifest(&here, &main).unwrap().is_none() && !port.store.has_blob(layer));
    assert_eq!(port.uploads(), 0);
}
