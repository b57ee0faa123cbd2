//! Manifests, tags, referrers and names.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use longshore_oci::Reference;
use longshore_oci::image::{INDEX, MANIFEST};
use reqwest::{StatusCode, header};

use crate::harness::{Port, digest, fault, reference, repository};

#[tokio::test]
async fn a_manifest_needs_its_blobs_and_its_shape() {
    let port = Port::open().await;
    let shop = repository("shop");
    let image = port.pack("one");
    let put = async |media_type: &str, bytes: &[u8], name: &str| {
        let response =
            port.raw("PUT", &format!("shop/manifests/{name}")).header(header::CONTENT_TYPE, media_type);
        fault(response.body(bytes.to_vec()).send().await.unwrap()).await
    };
    assert_eq!(put(MANIFEST, &image.manifest, "main").await, (404, "MANIFEST_BLOB_UNKNOWN".to_owned()));
    let invalid = (400, "MANIFEST_INVALID".to_owned());
    assert_eq!(put(MANIFEST, b"not json", "main").await, invalid);
    assert_eq!(put("text/plain", &image.manifest, "main").await, invalid);
    assert_eq!(put(INDEX, &image.manifest, "main").await, invalid);
    assert_eq!(put(MANIFEST, &"[".repeat(100_000).into_bytes(), "main").await, invalid);
    let digest = digest(b"other").to_string();
    assert_eq!(put(MANIFEST, &image.manifest, &digest).await, (400, "DIGEST_INVALID".to_owned()));
    assert_eq!(put(MANIFEST, &image.manifest, ".x").await, (400, "TAG_INVALID".to_owned()));
    let long = vec![b' '; (4 << 20) + 1];
    assert_eq!(put(MANIFEST, &long, "main").await.0, 413);
    assert!(port.client.manifest(&shop, &reference("main")).await.unwrap().is_none());
    assert!(port.witness.take().is_empty());
}

#[tokio::test]
async fn ten_thousand_layers_are_taken_and_one_that_is_missing_among_them_is_named() {
    let port = Port::open().await;
    let (shop, image) = (repository("shop"), port.pack("one"));
    port.client.push(&shop, &reference("main"), &image).await.unwrap();
    let mut manifest: serde_json::Value = serde_json::from_slice(&image.manifest).unwrap();
    manifest["layers"] = vec![manifest["layers"][0].clone(); 10_000].into();
    let bytes = serde_json::to_vec(&manifest).unwrap();
    port.client.put_manifest(&shop, &reference("many"), MANIFEST, &bytes).await.unwrap();
    let missing = digest(b"missing").to_string();
    manifest["layers"][9_999]["digest"] = missing.clone().into();
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let refused = port.client.put_manifest(&shop, &reference("more"), MANIFEST, &bytes).await.unwrap_err();
    assert!(refused.to_string().contains(&missing), "{refused}");
    assert!(port.client.manifest(&shop, &reference("more")).await.unwrap().is_none());
}

#[tokio::test]
async fn an_index_is_resolved_by_platform() {
    let port = Port::open().await;
    let shop = repository("shop");
    let image = port.pack("one");
    let size = image.manifest.len();
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{
        "mediaType": MANIFEST, "digest": image.digest, "size": size,
        "platform": {"os": "linux", "architecture": image.platform.architecture},
    }]});
    let bytes = serde_json::to_vec(&index).unwrap();
    let error = port.client.put_manifest(&shop, &reference("all"), INDEX, &bytes).await.unwrap_err();
    assert!(error.to_string().contains("MANIFEST_BLOB_UNKNOWN"), "{error}");
    port.client.push(&shop, &Reference::Digest(image.digest.clone()), &image).await.unwrap();
    port.client.put_manifest(&shop, &reference("all"), INDEX, &bytes).await.unwrap();
    let resolved = port.client.resolve(&shop, &reference("all")).await.unwrap().unwrap();
    assert_eq!(resolved.media_type, INDEX);
    assert_eq!(resolved.platforms[0].platform, image.platform.to_string());
    assert_eq!(resolved.platforms[0].digest, image.digest);
    let told = port.witness.take();
    assert_eq!((told[0].1.tag.as_deref(), &told[1].1.platforms), (None, &resolved.platforms));
    assert_eq!(port.client.tags(&shop).await.unwrap(), ["all"]);
    let base = port.store.base(&shop, &reference("all")).unwrap().unwrap();
    assert_eq!(base.config, image.config);
}

#[tokio::test]
async fn tags_come_in_pages() {
    let port = Port::open().await;
    let shop = repository("shop");
    assert!(port.client.tags(&shop).await.unwrap().is_empty());
    let image = port.pack("one");
    for tag in ["b", "a", "d", "c", "e"] {
        port.client.push(&shop, &reference(tag), &image).await.unwrap();
    }
    assert_eq!(port.client.tags(&shop).await.unwrap(), ["a", "b", "c", "d", "e"]);
    let mut next = Some("shop/tags/list?n=2".to_owned());
    let mut pages = Vec::new();
    while let Some(path) = next.take() {
        let response = port.raw("GET", &path).send().await.unwrap();
        let link = response.headers().get(header::LINK).map(|link| link.to_str().unwrap().to_owned());
        next = link.map(|link| link.split(['<', '>']).nth(1).unwrap().trim_start_matches("/v2/").to_owned());
        let body: serde_json::Value = response.json().await.unwrap();
        pages.push(body["tags"].clone());
    }
    assert_eq!(serde_json::json!(pages), serde_json::json!([["a", "b"], ["c", "d"], ["e"]]));
    let unknown = port.raw("GET", "nobody/tags/list").send().await.unwrap();
    assert_eq!(fault(unknown).await, (404, "NAME_UNKNOWN".to_owned()));
}

#[tokio::test]
async fn a_deleted_manifest_takes_its_tags_along() {
    let port = Port::open().await;
    let shop = repository("shop");
    let (one, two) = (port.pack("one"), port.pack("two"));
    for (tag, image) in [("a", &one), ("b", &one), ("c", &two)] {
        port.client.push(&shop, &reference(tag), image).await.unwrap();
    }
    port.witness.take();
    assert!(port.client.delete(&shop, &reference("a")).await.unwrap());
    assert_eq!(port.client.tags(&shop).await.unwrap(), ["b", "c"]);
    let digest = Reference::Digest(one.digest.clone());
    assert!(port.client.manifest(&shop, &digest).await.unwrap().is_some(), "only the tag is gone");
    assert!(port.client.delete(&shop, &digest).await.unwrap());
    assert_eq!(port.client.tags(&shop).await.unwrap(), ["c"]);
    assert!(port.client.manifest(&shop, &digest).await.unwrap().is_none());
    assert!(!port.client.delete(&shop, &digest).await.unwrap());
    let told = port.witness.take().into_iter().map(|(what, change)| (what, change.tag, change.digest));
    let deleted = |tag: Option<&str>| ("deleted", tag.map(ToOwned::to_owned), one.digest.clone());
    assert_eq!(told.collect::<Vec<_>>(), [deleted(Some("a")), deleted(Some("b")), deleted(None)]);
}

#[tokio::test]
async fn what_is_about_an_image_is_listed() {
    let port = Port::open().await;
    let shop = repository("shop");
    let image = port.pack("one");
    let empty = port.client.push_bytes(&shop, b"{}").await.unwrap();
    let subject =
        serde_json::json!({"mediaType": MANIFEST, "digest": image.digest, "size": image.manifest.len()});
    let artifact = serde_json::json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/x-signature",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 2},
        "layers": [], "subject": subject, "annotations": {"by": "me"},
    });
    let bytes = serde_json::to_vec(&artifact).unwrap();
    let name = digest(&bytes);
    let put = port.raw("PUT", &format!("shop/manifests/{name}")).header(header::CONTENT_TYPE, MANIFEST);
    let put = put.body(bytes).send().await.unwrap();
    assert_eq!(
        (put.status(), put.headers()["oci-subject"].to_str().unwrap()),
        (StatusCode::CREATED, image.digest.as_str())
    );
    let list = async |query: &str| {
        let response =
            port.raw("GET", &format!("shop/referrers/{}{query}", image.digest)).send().await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], INDEX);
        response.json::<serde_json::Value>().await.unwrap()["manifests"].clone()
    };
    let found = list("").await;
    assert_eq!(found[0]["digest"], name.as_str());
    assert_eq!(
        (&found[0]["artifactType"], &found[0]["annotations"]["by"]),
        (&"application/x-signature".into(), &"me".into())
    );
    assert_eq!(list("?artifactType=application%2Fx-signature").await.as_array().unwrap().len(), 1);
    assert_eq!(list("?artifactType=other").await, serde_json::json!([]));
    port.client.delete(&shop, &Reference::Digest(name)).await.unwrap();
    assert_eq!(list("").await, serde_json::json!([]));
}

#[tokio::test]
async fn names_that_are_paths_are_refused() {
    let port = Port::open().await;
    for path in [
        "..%2f..%2fetc/manifests/x",
        "a/..%2fb/tags/list",
        "%2e%2e/tags/list",
        "a%00/tags/list",
        "A/manifests/x",
    ] {
        let address = port.address;
        let request = format!("GET /v2/{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = tokio::task::spawn_blocking(move || {
            let mut socket = TcpStream::connect(address).unwrap();
            socket.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            socket.read_to_string(&mut answer).unwrap();
            answer
        });
        let answer = answer.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("NAME_INVALID"), "{path}: {answer}");
    }
    let version = port.raw("GET", "").send().await.unwrap();
    assert_eq!(
        (version.status(), &version.headers()["docker-distribution-api-version"]),
        (StatusCode::OK, &header::HeaderValue::from_static("registry/2.0"))
    );
    let nothing = port.raw("GET", "shop/nothing").send().await.unwrap();
    assert_eq!(nothing.status(), StatusCode::NOT_FOUND);
}
