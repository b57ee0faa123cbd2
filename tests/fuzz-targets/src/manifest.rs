//! Manifests and indexes: a letter that stands for the content type, then the document. It is pushed to a registry that
//! has two blobs and a manifest; where it is taken it must come back as it was, and go again.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use longshore_events::Digest;
use longshore_oci::image::{
    CONFIG, DOCKER_LIST, DOCKER_MANIFEST, Descriptor, INDEX, LAYER_GZIP, MANIFEST, MANIFEST_LIMIT, Manifest,
};
use longshore_oci::server::{Store, router};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

use crate::Seed;

const CONFIG_BLOB: &[u8] = b"{}";
const LAYER_BLOB: &[u8] = b"a layer";

/// What the letters from `a` stand for.
const TYPES: [&str; 6] = ["", MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_LIST, "application/json"];

struct Registry {
    runtime: Runtime,
    router: Router,
    _folder: TempDir,
}

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let router = router(Store::open(folder.path()).unwrap(), Arc::new(()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let registry = Registry { runtime, router, _folder: folder };
    for blob in [CONFIG_BLOB, LAYER_BLOB] {
        let path = format!("/v2/a/blobs/uploads/?digest={}", digest(blob));
        assert_eq!(registry.ask("POST", &path, "application/octet-stream", blob).0, StatusCode::CREATED);
    }
    let known = inner().to_string();
    assert_eq!(
        registry.ask("PUT", "/v2/a/manifests/inner", MANIFEST, known.as_bytes()).0,
        StatusCode::CREATED
    );
    registry
});

impl Registry {
    fn ask(&self, method: &str, path: &str, media: &str, body: &[u8]) -> (StatusCode, Vec<u8>) {
        let mut request = Request::builder().method(method).uri(path);
        if !media.is_empty() {
            request = request.header(header::CONTENT_TYPE, media);
        }
        let request = request.body(Body::from(body.to_vec())).unwrap();
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
            let status = response.status();
            (status, to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec())
        })
    }
}

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(bytes);
    Digest::new(hash.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))).unwrap()
}

fn descriptor(media: &str, bytes: &[u8]) -> serde_json::Value {
    serde_json::to_value(Descriptor::new(media, digest(bytes), bytes.len() as u64)).unwrap()
}

fn inner() -> serde_json::Value {
    let layers = [descriptor(LAYER_GZIP, LAYER_BLOB)];
    json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(CONFIG, CONFIG_BLOB), "layers": layers })
}

/// A manifest, an index and a referrer, ours and Docker's, and two that must be refused.
pub(crate) fn seeds() -> Vec<Seed> {
    let inner_bytes = inner().to_string().into_bytes();
    let mut platform = descriptor(MANIFEST, &inner_bytes);
    platform["platform"] = json!({ "architecture": "arm", "os": "linux", "variant": "v7" });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [platform] });
    let mut list = index.clone();
    list["mediaType"] = DOCKER_LIST.into();
    let mut referrer = inner();
    referrer["subject"] = descriptor(MANIFEST, &inner_bytes);
    referrer["artifactType"] = "application/vnd.example".into();
    referrer["annotations"] = json!({ "a": "b" });
    let mut docker = inner();
    docker["mediaType"] = DOCKER_MANIFEST.into();
    let mut missing = inner();
    missing["layers"] = json!([descriptor(LAYER_GZIP, b"another")]);
    let all = [
        ("manifest", 'b', inner()),
        ("index", 'c', index),
        ("referrer", 'a', referrer),
        ("docker", 'd', docker),
        ("docker-list", 'e', list),
        ("missing", 'b', missing),
        ("none", 'f', json!({ "schemaVersion": 1 })),
    ];
    all.map(|(name, letter, value)| (name.to_owned(), format!("{letter}{value}").into_bytes())).into()
}

pub(crate) fn run(input: &[u8]) {
    let Some((&letter, document)) = input.split_first() else { return };
    let registry = &*REGISTRY;
    let media = TYPES[usize::from(letter.wrapping_sub(b'a')) % TYPES.len()];
    let name = digest(document);
    let path = format!("/v2/a/manifests/{name}");
    let (status, said) = registry.ask("PUT", &path, media, document);
    if status != StatusCode::CREATED {
        assert!(status.is_client_error() && said.starts_with(b"{\"errors\":"), "{status}: {said:?}");
        return;
    }
    assert!(document.len() <= MANIFEST_LIMIT);
    assert_eq!(registry.ask("GET", &path, "", b""), (StatusCode::OK, document.to_vec()));
    let manifest: Manifest = serde_json::from_slice(document).expect("what was taken can be read");
    if let Some(subject) = &manifest.subject {
        let (status, list) = registry.ask("GET", &format!("/v2/a/referrers/{}", subject.digest), "", b"");
        let list: Manifest = serde_json::from_slice(&list).expect("a list of referrers is an index");
        assert!(status == StatusCode::OK && list.manifests.iter().flatten().any(|one| one.digest == name));
    }
    if document != inner().to_string().as_bytes() {
        assert_eq!(registry.ask("DELETE", &path, "", b"").0, StatusCode::ACCEPTED);
        assert_eq!(registry.ask("DELETE", &format!("/v2/a/blobs/{name}"), "", b"").0, StatusCode::ACCEPTED);
    }
}
