//! The distribution specification 1.1, sentence by sentence, where no other test here does it.

use longshore_oci::Reference;
use longshore_oci::image::{DOCKER_MANIFEST, INDEX, MANIFEST};
use reqwest::{Response, StatusCode, header};

use crate::harness::{Port, digest, fault, reference, repository};

fn text<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_manifest_is_pulled_by_tag_and_digest_as_it_was_pushed() {
    let port = Port::open().await;
    let image = port.pack("one");
    port.client.push(&repository("shop"), &reference("main"), &image).await.unwrap();
    for name in ["main", image.digest.as_str()] {
        for method in ["GET", "HEAD"] {
            let response = port.raw(method, &format!("shop/manifests/{name}")).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(text(&response, "content-type"), MANIFEST);
            assert_eq!(text(&response, "docker-content-digest"), image.digest.as_str());
            assert_eq!(text(&response, "content-length"), image.manifest.len().to_string());
            let body = response.bytes().await.unwrap();
            assert_eq!(body, if method == "GET" { image.manifest.clone() } else { Vec::new() });
        }
    }
    for name in ["other", digest(b"other").as_str()] {
        let path = format!("shop/manifests/{name}");
        let head = port.raw("HEAD", &path).send().await.unwrap();
        assert_eq!(head.status(), StatusCode::NOT_FOUND);
        let get = port.raw("GET", &path).send().await.unwrap();
        assert_eq!(fault(get).await, (404, "MANIFEST_UNKNOWN".to_owned()));
    }
    let other = port.raw("GET", &format!("other/manifests/{}", image.digest)).send().await.unwrap();
    assert_eq!(other.status(), StatusCode::NOT_FOUND, "a manifest belongs to its repository");
}

#[tokio::test]
async fn a_blob_is_pulled_whole_and_in_parts() {
    let port = Port::open().await;
    let blob = port.client.push_bytes(&repository("shop"), b"0123456789").await.unwrap();
    let path = format!("shop/blobs/{blob}");
    for method in ["GET", "HEAD"] {
        let response = port.raw(method, &path).send().await.unwrap();
        assert_eq!((response.status(), text(&response, "content-length")), (StatusCode::OK, "10"));
        assert_eq!(text(&response, "docker-content-digest"), blob.as_str());
        assert_eq!(text(&response, "accept-ranges"), "bytes");
        let body = response.bytes().await.unwrap();
        assert_eq!(body, if method == "GET" { "0123456789" } else { "" });
    }
    for (range, content, part) in [("2-4", "bytes 2-4/10", "234"), ("7-", "bytes 7-9/10", "789")] {
        let response = port.raw("GET", &path).header(header::RANGE, format!("bytes={range}")).send();
        let response = response.await.unwrap();
        assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(text(&response, "content-range"), content);
        assert_eq!(response.bytes().await.unwrap(), part);
    }
    let beyond = port.raw("GET", &path).header(header::RANGE, "bytes=10-12").send().await.unwrap();
    assert_eq!(text(&beyond, "content-range"), "bytes */10");
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    let path = format!("shop/blobs/{}", digest(b"other"));
    assert_eq!(port.raw("HEAD", &path).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    let get = port.raw("GET", &path).send().await.unwrap();
    assert_eq!(fault(get).await, (404, "BLOB_UNKNOWN".to_owned()));
}

#[tokio::test]
async fn a_blob_is_pushed_in_one_request_or_two() {
    let port = Port::open().await;
    let one = digest(b"one");
    let post = port.raw("POST", &format!("shop/blobs/uploads/?digest={one}")).body("one").send();
    let post = post.await.unwrap();
    assert_eq!(post.status(), StatusCode::CREATED);
    assert_eq!(text(&post, "location"), format!("/v2/shop/blobs/{one}"));
    let (upload, two) = (port.begin("shop").await, digest(b"two"));
    let put = port.raw("PUT", &format!("{upload}?digest={two}")).body("two").send().await.unwrap();
    assert_eq!((put.status(), text(&put, "docker-content-digest")), (StatusCode::CREATED, two.as_str()));
    assert_eq!(port.raw("GET", &upload).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    for bad in ["", "?digest=", "?digest=md5:12", "?digest=sha256:zz"] {
        let path = format!("{}{bad}", port.begin("shop").await);
        let put = port.raw("PUT", &path).body("x").send().await.unwrap();
        assert_eq!(fault(put).await, (400, "DIGEST_INVALID".to_owned()), "{bad:?}");
    }
}

#[tokio::test]
async fn an_upload_is_gone_on_with_after_a_gap_was_refused_and_its_last_chunk_may_close_it() {
    let port = Port::open().await;
    let upload = port.begin("shop").await;
    let patch = port.raw("PATCH", &upload).header(header::CONTENT_RANGE, "0-2").body("abc").send();
    let patch = patch.await.unwrap();
    assert_eq!((patch.status(), text(&patch, "range")), (StatusCode::ACCEPTED, "0-2"));
    let gap = port.raw("PATCH", &upload).header(header::CONTENT_RANGE, "4-5").body("ef").send();
    let gap = gap.await.unwrap();
    assert_eq!(text(&gap, "range"), "0-2");
    assert_eq!(fault(gap).await, (416, "BLOB_UPLOAD_INVALID".to_owned()));
    let status = port.raw("GET", &upload).send().await.unwrap();
    assert_eq!((status.status(), text(&status, "range")), (StatusCode::NO_CONTENT, "0-2"));
    assert_eq!(text(&status, "location"), format!("/v2/{upload}"));
    let whole = digest(b"abcdef");
    let put = |range: &str, body: &'static str| {
        let request = port.raw("PUT", &format!("{upload}?digest={whole}"));
        request.header(header::CONTENT_RANGE, range).body(body).send()
    };
    assert_eq!(put("4-5", "ef").await.unwrap().status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(put("3-5", "def").await.unwrap().status(), StatusCode::CREATED);
}

#[tokio::test]
async fn nothing_of_an_upload_is_visible_before_its_end() {
    let port = Port::open().await;
    let (upload, whole) = (port.begin("shop").await, digest(b"all of it"));
    port.raw("PATCH", &upload).body("all of it").send().await.unwrap();
    let head = port.raw("HEAD", &format!("shop/blobs/{whole}")).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::NOT_FOUND);
    let mount = port.raw("POST", &format!("b/blobs/uploads/?mount={whole}&from=shop"));
    let mount = mount.header(header::CONTENT_LENGTH, 0).send().await.unwrap();
    assert_eq!(mount.status(), StatusCode::ACCEPTED, "an upload is begun instead");
    assert!(text(&mount, "location").starts_with("/v2/b/blobs/uploads/"));
    port.raw("PUT", &format!("{upload}?digest={whole}")).send().await.unwrap();
    let mount = port.raw("POST", &format!("b/blobs/uploads/?mount={whole}&from=shop"));
    let mount = mount.header(header::CONTENT_LENGTH, 0).send().await.unwrap();
    assert_eq!(mount.status(), StatusCode::CREATED);
    assert_eq!(text(&mount, "location"), format!("/v2/b/blobs/{whole}"));
}

#[tokio::test]
async fn of_more_uploads_than_there_may_be_the_oldest_gives_way() {
    let port = Port::open().await;
    let first = port.begin("shop").await;
    let second = port.begin("shop").await;
    for _ in 2..=1000 {
        port.begin("shop").await;
    }
    assert_eq!(port.uploads(), 1000);
    assert_eq!(port.raw("GET", &first).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(port.raw("GET", &second).send().await.unwrap().status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_manifest_may_come_before_its_subject_and_types_are_told() {
    let port = Port::open().await;
    let (shop, image) = (repository("shop"), port.pack("one"));
    let empty = port.client.push_bytes(&shop, b"{}").await.unwrap();
    let subject =
        serde_json::json!({"mediaType": MANIFEST, "digest": image.digest, "size": image.manifest.len()});
    let config = serde_json::json!({"mediaType": "application/x-config", "digest": empty, "size": 2});
    let by_config = serde_json::json!({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "",
        "config": config, "layers": [], "subject": subject});
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [],
        "artifactType": "application/x-index", "subject": subject, "annotations": {"a": "b"}});
    for (manifest, media_type) in [(&by_config, MANIFEST), (&index, INDEX)] {
        let bytes = serde_json::to_vec(manifest).unwrap();
        let put = port.raw("PUT", &format!("shop/manifests/{}", digest(&bytes)));
        let put = put.header(header::CONTENT_TYPE, media_type).body(bytes).send().await.unwrap();
        assert_eq!((put.status(), text(&put, "oci-subject")), (StatusCode::CREATED, image.digest.as_str()));
    }
    port.client.push(&shop, &reference("main"), &image).await.unwrap();
    let list = async |query: &str| {
        let path = format!("shop/referrers/{}{query}", image.digest);
        let response = port.raw("GET", &path).send().await.unwrap();
        let filters = text(&response, "oci-filters-applied").to_owned();
        let body: serde_json::Value = response.json().await.unwrap();
        let types = body["manifests"].as_array().unwrap().iter();
        let mut types: Vec<String> =
            types.map(|entry| entry["artifactType"].as_str().unwrap().to_owned()).collect();
        types.sort();
        (filters, types)
    };
    let both = ["application/x-config", "application/x-index"];
    assert_eq!(list("").await, (String::new(), both.map(ToOwned::to_owned).to_vec()));
    let one = list("?artifactType=application%2Fx-index").await;
    assert_eq!(one, ("artifactType".to_owned(), vec!["application/x-index".to_owned()]));
    let bad = port.raw("GET", "shop/referrers/main").send().await.unwrap();
    assert_eq!(fault(bad).await, (400, "DIGEST_INVALID".to_owned()));
    let none = port.raw("GET", &format!("shop/referrers/{}", digest(b"x"))).send().await.unwrap();
    assert_eq!((none.status(), text(&none, "content-type")), (StatusCode::OK, INDEX));
}

#[tokio::test]
async fn tags_go_on_after_the_last_one_and_none_may_be_asked_for() {
    let port = Port::open().await;
    let (shop, image) = (repository("shop"), port.pack("one"));
    for tag in ["v1", "v10", "v2", "Z"] {
        port.client.push(&shop, &reference(tag), &image).await.unwrap();
    }
    let list = async |query: &str| {
        let response = port.raw("GET", &format!("shop/tags/list{query}")).send().await.unwrap();
        let link = text(&response, "link").to_owned();
        let body: serde_json::Value = response.json().await.unwrap();
        assert_eq!(body["name"], "shop");
        (body["tags"].clone(), link)
    };
    assert_eq!(list("").await, (serde_json::json!(["Z", "v1", "v10", "v2"]), String::new()));
    let next = "</v2/shop/tags/list?n=1&last=v10>; rel=\"next\"".to_owned();
    assert_eq!(list("?n=1&last=v1").await, (serde_json::json!(["v10"]), next));
    assert_eq!(list("?last=v10").await, (serde_json::json!(["v2"]), String::new()));
    assert_eq!(list("?n=0").await, (serde_json::json!([]), String::new()));
    assert_eq!(list("?last=w").await, (serde_json::json!([]), String::new()));
    let bad = port.raw("GET", "shop/tags/list?n=x").send().await.unwrap();
    assert_eq!(fault(bad).await, (400, "PAGINATION_NUMBER_INVALID".to_owned()));
}

#[tokio::test]
async fn what_is_not_there_is_not_deleted_and_what_cannot_be_done_is_refused() {
    let port = Port::open().await;
    let (shop, image) = (repository("shop"), port.pack("one"));
    port.client.push(&shop, &reference("main"), &image).await.unwrap();
    for (path, code) in [
        ("shop/manifests/other".to_owned(), "MANIFEST_UNKNOWN"),
        (format!("shop/manifests/{}", digest(b"x")), "MANIFEST_UNKNOWN"),
        (format!("shop/blobs/{}", digest(b"x")), "BLOB_UNKNOWN"),
        ("shop/blobs/uploads/1".to_owned(), "BLOB_UPLOAD_UNKNOWN"),
    ] {
        let response = port.raw("DELETE", &path).send().await.unwrap();
        assert_eq!(fault(response).await, (404, code.to_owned()), "{path}");
    }
    for (method, path) in
        [("PUT", "shop/tags/list"), ("PATCH", "shop/manifests/main"), ("PUT", "shop/blobs/uploads/")]
    {
        let response = port.raw(method, path).send().await.unwrap();
        assert_eq!(fault(response).await, (405, "UNSUPPORTED".to_owned()), "{method} {path}");
    }
    let tag = port.raw("DELETE", "shop/manifests/main").send().await.unwrap();
    assert_eq!(tag.status(), StatusCode::ACCEPTED);
    let by_digest = Reference::Digest(image.digest.clone());
    assert!(port.client.manifest(&shop, &by_digest).await.unwrap().is_some());
    assert!(port.client.delete(&shop, &by_digest).await.unwrap());
}

#[tokio::test]
async fn a_manifest_of_four_mebibytes_is_taken_and_docker_s_are_too() {
    let port = Port::open().await;
    let (shop, image) = (repository("shop"), port.pack("one"));
    port.client.push(&shop, &reference("main"), &image).await.unwrap();
    let mut manifest: serde_json::Value = serde_json::from_slice(&image.manifest).unwrap();
    manifest["mediaType"] = DOCKER_MANIFEST.into();
    manifest["annotations"] = serde_json::json!({"padding": ""});
    let short = serde_json::to_vec(&manifest).unwrap().len();
    manifest["annotations"]["padding"] = "x".repeat((4 << 20) - short).into();
    let bytes = serde_json::to_vec(&manifest).unwrap();
    assert_eq!(bytes.len(), 4 << 20);
    let pushed = port.client.put_manifest(&shop, &reference("big"), DOCKER_MANIFEST, &bytes).await.unwrap();
    let fetched = port.client.manifest(&shop, &reference("big")).await.unwrap().unwrap();
    assert_eq!((fetched.digest, fetched.media_type.as_str()), (pushed, DOCKER_MANIFEST));
}
