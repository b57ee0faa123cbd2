//! What the collection takes, and what it must not.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use longshore_events::Digest;
use longshore_oci::Reference;
use longshore_oci::image::{INDEX, MANIFEST};
use longshore_oci::packer::Image;
use longshore_oci::server::Collected;
use reqwest::{StatusCode, header};

use crate::harness::{Port, digest, fault, reference, repository};

/// Between what is old and what is new in these tests.
fn before() -> Timestamp {
    "2020-01-01T00:00:00Z".parse().unwrap()
}

impl Port {
    /// Makes everything in the registry old.
    fn age(&self) {
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        for path in files(self.folder.path().join("registry")) {
            File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
        }
    }

    fn collect(&self, keep: &[&Digest]) -> Collected {
        let keep: BTreeSet<Digest> = keep.iter().copied().cloned().collect();
        self.store.collect(&keep, before()).unwrap()
    }

    /// Whether an image is here whole.
    fn whole(&self, image: &Image) -> bool {
        let layers = image.layers.iter().map(|layer| &layer.descriptor.digest);
        layers
            .chain([&image.digest, &image.config_descriptor.digest])
            .all(|digest| self.store.has_blob(digest))
    }
}

fn files(folder: PathBuf) -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![folder], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}

#[tokio::test]
async fn what_a_manifest_refers_to_stays_and_the_rest_goes_when_it_is_old() {
    let port = Port::open().await;
    let shop = repository("shop/api");
    let (tagged, untagged, deleted) = (port.pack("one"), port.pack("two"), port.pack("three"));
    port.client.push(&shop, &reference("main"), &tagged).await.unwrap();
    for image in [&untagged, &deleted] {
        port.client.push(&shop, &Reference::Digest(image.digest.clone()), image).await.unwrap();
    }
    let loose = port.client.push_bytes(&shop, b"loose").await.unwrap();
    port.client.delete(&shop, &Reference::Digest(deleted.digest.clone())).await.unwrap();
    assert_eq!(port.collect(&[]), Collected::default(), "everything is new");

    port.age();
    let taken = port.collect(&[]);
    // The deleted image's manifest, configuration and layer, and the loose blob.
    assert_eq!((taken.blobs, taken.uploads), (4, 0));
    assert!(taken.bytes > 5);
    assert!(port.whole(&tagged) && port.whole(&untagged));
    assert!(!port.store.has_blob(&loose) && !port.store.has_blob(&deleted.digest));
    assert_eq!(port.collect(&[]), Collected::default());
}

#[tokio::test]
async fn what_a_release_refers_to_stays_though_its_manifest_was_deleted() {
    let port = Port::open().await;
    let (shop, image) = (repository("shop"), port.pack("one"));
    port.client.push(&shop, &reference("main"), &image).await.unwrap();
    port.client.delete(&shop, &Reference::Digest(image.digest.clone())).await.unwrap();
    let elsewhere = digest(b"an image of another registry");
    let loose = port.client.push_bytes(&shop, b"no manifest").await.unwrap();
    port.age();
    assert_eq!(port.collect(&[&image.digest, &elsewhere, &loose]), Collected::default());
    assert!(port.whole(&image));
    assert_eq!(port.collect(&[]).blobs, 4);
}

#[tokio::test]
async fn an_index_keeps_what_its_manifests_name() {
    let port = Port::open().await;
    let (shop, image) = (repository("shop"), port.pack("one"));
    let inner = Reference::Digest(image.digest.clone());
    port.client.push(&shop, &inner, &image).await.unwrap();
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{
        "mediaType": MANIFEST, "digest": image.digest, "size": image.manifest.len(),
    }]});
    let bytes = serde_json::to_vec(&index).unwrap();
    port.client.put_manifest(&shop, &reference("all"), INDEX, &bytes).await.unwrap();
    port.client.delete(&shop, &inner).await.unwrap();
    port.age();
    assert_eq!(port.collect(&[]), Collected::default());
    assert!(port.whole(&image));
}

#[tokio::test]
async fn a_manifest_that_another_calls_a_layer_keeps_its_own_layers() {
    let port = Port::open().await;
    let (shop, image) = (repository("shop"), port.pack("one"));
    port.client.push(&shop, &reference("main"), &image).await.unwrap();
    let mut sly: serde_json::Value = serde_json::from_slice(&image.manifest).unwrap();
    sly["layers"] = serde_json::json!([{"mediaType": "x", "digest": image.digest, "size": 1}]);
    for repository in ["a", "z"] {
        let bytes = serde_json::to_vec(&sly).unwrap();
        let repository = repository.parse().unwrap();
        port.client.put_manifest(&repository, &reference("sly"), MANIFEST, &bytes).await.unwrap();
    }
    port.age();
    assert_eq!(port.collect(&[]), Collected::default());
    assert!(port.whole(&image));
}

#[tokio::test]
async fn what_a_push_was_told_is_here_stays_until_its_manifest_comes() {
    let port = Port::open().await;
    let (shop, image) = (repository("shop"), port.pack("one"));
    port.client.push(&shop, &reference("main"), &image).await.unwrap();
    port.client.delete(&shop, &Reference::Digest(image.digest.clone())).await.unwrap();
    port.age();
    // The client asks for each blob, and leaves it out since it is here.
    for blob in [&image.config_descriptor.digest, &image.layers[0].descriptor.digest] {
        assert!(port.client.has_blob(&shop, blob).await.unwrap());
    }
    assert_eq!(port.collect(&[]).blobs, 1, "the old manifest");
    port.client.put_manifest(&shop, &reference("again"), MANIFEST, &image.manifest).await.unwrap();
    port.age();
    assert_eq!(port.collect(&[]), Collected::default());
    assert!(port.whole(&image));
}

#[tokio::test]
async fn an_upload_that_nothing_comes_for_is_swept_and_another_is_not() {
    let port = Port::open().await;
    let (idle, untouched) = (port.begin("shop").await, port.begin("shop").await);
    port.age();
    let busy = port.begin("shop").await;
    assert_eq!(port.collect(&[]), Collected { uploads: 2, ..Collected::default() });
    assert_eq!(port.uploads(), 1);
    let patch = port.raw("PATCH", &idle).body("late").send().await.unwrap();
    assert_eq!(fault(patch).await, (404, "BLOB_UPLOAD_UNKNOWN".to_owned()));
    let path = format!("{untouched}?digest={}", digest(b""));
    let put = port.raw("PUT", &path).header(header::CONTENT_LENGTH, 0).send().await.unwrap();
    assert_eq!(fault(put).await, (404, "BLOB_UPLOAD_UNKNOWN".to_owned()));
    let put = port.raw("PUT", &format!("{busy}?digest={}", digest(b"x"))).body("x").send().await.unwrap();
    assert_eq!(put.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_damaged_manifest_stops_the_collection_before_it_takes_anything() {
    let port = Port::open().await;
    let (shop, image) = (repository("shop"), port.pack("one"));
    port.client.push(&shop, &reference("main"), &image).await.unwrap();
    let loose = port.client.push_bytes(&shop, b"loose").await.unwrap();
    fs::write(port.store.blob_path(&image.digest), "damaged").unwrap();
    port.age();
    let error = port.store.collect(&BTreeSet::new(), before()).unwrap_err();
    assert!(error.to_string().contains(image.digest.hex()), "{error}");
    assert!(port.store.has_blob(&loose));
}

#[tokio::test]
async fn pushes_and_collections_at_once_lose_nothing() {
    let port = Port::open().await;
    let images: Vec<Image> = (0..8).map(|n| port.pack(&format!("image {}", n / 2))).collect();
    let store = port.store.clone();
    let collecting = tokio::task::spawn_blocking(move || {
        for _ in 0..100 {
            store.collect(&BTreeSet::new(), before()).unwrap();
        }
    });
    for (n, image) in images.iter().enumerate() {
        let repository = repository(&format!("r{n}"));
        port.client.push(&repository, &reference("main"), image).await.unwrap();
        port.client.delete(&repository, &Reference::Digest(image.digest.clone())).await.unwrap();
        port.age();
        port.client.push(&repository, &reference("main"), image).await.unwrap();
    }
    collecting.await.unwrap();
    assert!(images.iter().all(|image| port.whole(image)));
}

#[tokio::test]
async fn a_blob_is_deleted_only_when_nothing_refers_to_it() {
    let port = Port::open().await;
    let (shop, image) = (repository("shop"), port.pack("one"));
    port.client.push(&shop, &reference("main"), &image).await.unwrap();
    let delete = async |repository: &str, blob: &Digest| {
        port.raw("DELETE", &format!("{repository}/blobs/{blob}")).send().await.unwrap()
    };
    let layer = &image.layers[0].descriptor.digest;
    for blob in [layer, &image.config_descriptor.digest, &image.digest] {
        assert_eq!(fault(delete("other", blob).await).await, (405, "UNSUPPORTED".to_owned()));
    }
    port.client.delete(&shop, &Reference::Digest(image.digest.clone())).await.unwrap();
    assert_eq!(delete("shop", layer).await.status(), StatusCode::ACCEPTED);
    assert_eq!(fault(delete("shop", layer).await).await, (404, "BLOB_UNKNOWN".to_owned()));
    assert!(!port.client.has_blob(&shop, layer).await.unwrap());
}
