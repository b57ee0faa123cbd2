//! The client and the server, over a real socket.

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use longshore_events::{Digest, ImageName};
use longshore_oci::{
    Reference, Repository,
    client::{Client, ClientError, Registries},
    image::{Descriptor, INDEX, LAYER_GZIP, MANIFEST},
    packer::{self, Bases, Image, NoBases, Request},
    server::{Change, Store, Watcher, router},
};
use longshore_ports::Registry as _;
use reqwest::{Method, RequestBuilder, StatusCode, header};
use tempfile::TempDir;

/// Notes what it is told; says no when asked to.
#[derive(Default)]
struct Witness {
    told: Mutex<Vec<(&'static str, Change)>>,
    refuses: AtomicBool,
}

impl Witness {
    fn note(&self, what: &'static str, change: &Change) -> Result<(), Box<dyn Error + Send + Sync>> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err("the journal is full".into());
        }
        self.told.lock().unwrap().push((what, change.clone()));
        Ok(())
    }

    fn take(&self) -> Vec<(&'static str, Change)> {
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

#[async_trait]
impl Watcher for Witness {
    async fn stored(&self, change: &Change) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.note("stored", change)
    }

    async fn deleted(&self, change: &Change) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.note("deleted", change)
    }
}

/// A registry on a free port of the loopback, and a folder.
struct Port {
    folder: TempDir,
    address: SocketAddr,
    store: Store,
    witness: Arc<Witness>,
    client: Client,
    http: reqwest::Client,
}

impl Port {
    async fn open() -> Self {
        let folder = TempDir::new().unwrap();
        let store = Store::open(&folder.path().join("registry")).unwrap();
        let witness = Arc::new(Witness::default());
        let app = router(store.clone(), witness.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let client = Client::new(&address.to_string(), None).unwrap();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        Self { folder, address, store, witness, client, http }
    }

    fn pack(&self, text: &str) -> Image {
        let context = TempDir::new_in(self.folder.path()).unwrap();
        let work = TempDir::new_in(self.folder.path()).unwrap().keep();
        fs::write(context.path().join("Dockerfile"), "FROM scratch\nCOPY a /a\nCMD [\"/a\"]\n").unwrap();
        fs::write(context.path().join("a"), text).unwrap();
        pack(context.path(), &work, &NoBases)
    }

    fn file(&self, bytes: &[u8]) -> (Descriptor, std::path::PathBuf) {
        let path =
            tempfile::NamedTempFile::new_in(self.folder.path()).unwrap().into_temp_path().keep().unwrap();
        fs::write(&path, bytes).unwrap();
        (Descriptor::new(LAYER_GZIP, digest(bytes), bytes.len() as u64), path)
    }

    fn raw(&self, method: &str, path: &str) -> RequestBuilder {
        let method: Method = method.parse().unwrap();
        self.http.request(method, format!("http://{}/v2/{path}", self.address))
    }

    async fn begin(&self, repository: &str) -> String {
        let response = self.raw("POST", &format!("{repository}/blobs/uploads/")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        response.headers()[header::LOCATION].to_str().unwrap().trim_start_matches("/v2/").to_owned()
    }

    fn uploads(&self) -> usize {
        fs::read_dir(self.folder.path().join("registry/uploads")).unwrap().count()
    }
}

fn pack(context: &Path, work: &Path, bases: &dyn Bases) -> Image {
    let none = BTreeMap::new();
    let dockerfile = Path::new("Dockerfile");
    let request = Request { context, dockerfile, args: &none, epoch: 1_700_000_000, labels: &none, work };
    packer::pack(&request, bases).unwrap()
}

fn digest(bytes: &[u8]) -> Digest {
    use sha2::Digest as _;
    let hex: String = sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    Digest::new(format!("sha256:{hex}")).unwrap()
}

fn repository(text: &str) -> Repository {
    text.parse().unwrap()
}

fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

async fn fault(response: reqwest::Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: serde_json::Value = response.json().await.unwrap();
    (status, body["errors"][0]["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn an_image_is_pushed_resolved_and_pulled() {
    let port = Port::open().await;
    let (shop, main) = (repository("shop/api"), reference("main"));
    let image = port.pack("one");
    assert_eq!(port.client.push(&shop, &main, &image).await.unwrap(), image.digest);

    let told = port.witness.take();
    assert_eq!(told.len(), 1);
    let (what, change) = &told[0];
    assert_eq!(
        (*what, change.repository.as_str(), change.tag.as_deref()),
        ("stored", "shop/api", Some("main"))
    );
    assert_eq!((&change.digest, change.media_type.as_str()), (&image.digest, MANIFEST));

    let resolved = port.client.resolve(&shop, &main).await.unwrap().unwrap();
    assert_eq!((&resolved.digest, resolved.media_type.as_str()), (&image.digest, MANIFEST));
    let fetched =
        port.client.manifest(&shop, &Reference::Digest(image.digest.clone())).await.unwrap().unwrap();
    assert_eq!(fetched.bytes, image.manifest);
    let layer = &image.layers[0];
    let copy = port.folder.path().join("copy");
    port.client.pull_blob(&shop, &layer.descriptor, &copy).await.unwrap();
    assert_eq!(fs::read(&copy).unwrap(), fs::read(&layer.path).unwrap());
    assert_eq!(port.client.tags(&shop).await.unwrap(), ["main"]);

    let stored = port.store.manifest(&shop, &main).unwrap().unwrap();
    assert_eq!(stored.digest, image.digest);
    assert!(port.store.has_blob(&image.config_descriptor.digest));
    assert_eq!(port.uploads(), 0);
}

#[tokio::test]
async fn the_port_resolves_an_image_by_its_name() {
    let port = Port::open().await;
    let image = port.pack("one");
    port.client.push(&repository("shop"), &reference("main"), &image).await.unwrap();
    let registries = Registries::default();
    let name = ImageName::new(format!("{}/shop", port.address)).unwrap();
    let resolved = registries.resolve(&name, "main").await.unwrap().unwrap();
    assert_eq!(resolved.digest, image.digest);
    assert!(registries.resolve(&name, "other").await.unwrap().is_none());
    assert!(registries.resolve(&name, image.digest.as_str()).await.unwrap().is_some());
    assert!(!registries.resolve(&name, "../x").await.unwrap_err().is_temporary());
    // A port that was free a moment ago, and that nobody listens on.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = ImageName::new(format!("{free}/shop")).unwrap();
    assert!(registries.resolve(&nobody, "main").await.unwrap_err().is_temporary());
}

#[tokio::test]
async fn a_blob_goes_up_in_chunks() {
    let port = Port::open().await;
    let bytes: Vec<u8> = (0..1_000_003_u32).map(|n| n.to_le_bytes()[1]).collect();
    let (blob, path) = port.file(&bytes);
    let shop = repository("shop");
    port.client.clone().in_chunks_of(300_000).push_blob(&shop, &blob, &path).await.unwrap();
    assert_eq!(fs::read(port.store.blob_path(&blob.digest)).unwrap(), bytes);

    let part = port.raw("GET", &format!("shop/blobs/{}", blob.digest)).header(header::RANGE, "bytes=10-19");
    let part = part.send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.headers()[header::CONTENT_RANGE], "bytes 10-19/1000003");
    assert_eq!(part.bytes().await.unwrap(), bytes[10..20]);
    let head = port.raw("HEAD", &format!("shop/blobs/{}", blob.digest)).send().await.unwrap();
    assert_eq!(head.headers()[header::CONTENT_LENGTH], "1000003");
}

#[tokio::test]
async fn chunks_must_follow_each_other() {
    let port = Port::open().await;
    let upload = port.begin("shop").await;
    let patch = |range: &str, body: &'static str| {
        port.raw("PATCH", &upload).header(header::CONTENT_RANGE, range).body(body).send()
    };
    let first = patch("0-4", "hello").await.unwrap();
    assert_eq!(
        (first.status(), &first.headers()[header::RANGE]),
        (StatusCode::ACCEPTED, &header::HeaderValue::from_static("0-4"))
    );
    let again = patch("0-4", "hello").await.unwrap();
    assert_eq!(again.headers()[header::RANGE], "0-4");
    assert_eq!(again.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(patch("9-9", "x").await.unwrap().status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(fault(patch("5-6", "much longer").await.unwrap()).await, (400, "SIZE_INVALID".to_owned()));
    assert_eq!(fault(patch("5-9", "x").await.unwrap()).await, (400, "SIZE_INVALID".to_owned()));
    assert_eq!(fault(patch("9-5", "x").await.unwrap()).await, (400, "BLOB_UPLOAD_INVALID".to_owned()));
    let status = port.raw("GET", &upload).send().await.unwrap();
    assert_eq!((status.status(), &status.headers()[header::RANGE]), (StatusCode::NO_CONTENT, &first_range()));
    assert_eq!(patch("5-6", " w").await.unwrap().status(), StatusCode::ACCEPTED);
    let done = port
        .raw("PUT", &format!("{upload}?digest={}", digest(b"hello world")))
        .body("orld")
        .send()
        .await
        .unwrap();
    assert_eq!(done.status(), StatusCode::CREATED);
    assert_eq!(fs::read(port.store.blob_path(&digest(b"hello world"))).unwrap(), b"hello world");
}

fn first_range() -> header::HeaderValue {
    header::HeaderValue::from_static("0-4")
}

#[tokio::test]
async fn a_broken_chunk_is_gone_on_from() {
    let port = Port::open().await;
    let upload = port.begin("shop").await;
    let (address, path) = (port.address, upload.clone());
    let answer = tokio::task::spawn_blocking(move || {
        let mut socket = TcpStream::connect(address).unwrap();
        write!(
            socket,
            "PATCH /v2/{path} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{}",
            "a".repeat(400)
        )
        .unwrap();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = answer.await.unwrap();
    assert!(answer.is_empty() || answer.contains("BLOB_UPLOAD_INVALID"), "{answer}");
    let status = port.raw("GET", &upload).send().await.unwrap();
    assert_eq!(status.headers()[header::RANGE], "0-399");
    let rest = port
        .raw("PATCH", &upload)
        .header(header::CONTENT_RANGE, "400-999")
        .body("b".repeat(600))
        .send()
        .await;
    assert_eq!(rest.unwrap().status(), StatusCode::ACCEPTED);
    let whole = format!("{}{}", "a".repeat(400), "b".repeat(600));
    let done =
        port.raw("PUT", &format!("{upload}?digest={}", digest(whole.as_bytes()))).send().await.unwrap();
    assert_eq!(done.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_wrong_digest_is_refused_and_invisible() {
    let port = Port::open().await;
    let promised = digest(b"good");
    for path in [
        format!("shop/blobs/uploads/?digest={promised}"),
        format!("{}?digest={promised}", port.begin("shop").await),
    ] {
        let method = if path.contains("/?") { "POST" } else { "PUT" };
        let response = port.raw(method, &path).body("evil").send().await.unwrap();
        assert_eq!(fault(response).await, (400, "DIGEST_INVALID".to_owned()));
    }
    assert!(!port.client.has_blob(&repository("shop"), &promised).await.unwrap());
    assert!(!port.store.has_blob(&digest(b"evil")));
    assert_eq!(port.uploads(), 0, "nothing is left behind");

    let (mut blob, path) = port.file(b"evil");
    blob.digest = promised;
    let error = port.client.push_blob(&repository("shop"), &blob, &path).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { status: 400, .. }) && !error.is_temporary(), "{error}");
}

#[tokio::test]
async fn what_was_pulled_wrong_does_not_appear() {
    let port = Port::open().await;
    let shop = repository("shop");
    let (blob, path) = port.file(b"content");
    port.client.push_blob(&shop, &blob, &path).await.unwrap();
    fs::write(port.store.blob_path(&blob.digest), b"damaged").unwrap();
    let target = port.folder.path().join("target");
    let error = port.client.pull_blob(&shop, &blob, &target).await.unwrap_err();
    assert!(matches!(error, ClientError::Mismatch { .. }) && error.is_temporary(), "{error}");
    assert!(!target.exists() && !port.folder.path().join("target.part").exists());
    let unknown = Descriptor::new(LAYER_GZIP, digest(b"x"), 1);
    let error = port.client.pull_blob(&shop, &unknown, &target).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { status: 404, .. }), "{error}");
}

#[tokio::test]
async fn a_blob_is_mounted_from_another_repository() {
    let port = Port::open().await;
    let (blob, path) = port.file(b"shared");
    let (from, to) = (repository("a"), repository("b/c"));
    assert!(!port.client.mount(&to, &blob.digest, &from).await.unwrap());
    assert_eq!(port.uploads(), 0, "the upload begun instead was ended");
    port.client.push_blob(&from, &blob, &path).await.unwrap();
    assert!(port.client.mount(&to, &blob.digest, &from).await.unwrap());
}

#[tokio::test]
async fn an_upload_belongs_to_its_repository_and_can_be_cancelled() {
    let port = Port::open().await;
    let upload = port.begin("shop").await;
    let other = upload.replace("shop/", "evil/");
    for method in ["GET", "PATCH", "DELETE"] {
        let answer = port.raw(method, &other).send().await.unwrap();
        assert_eq!(fault(answer).await, (404, "BLOB_UPLOAD_UNKNOWN".to_owned()));
    }
    assert_eq!(port.raw("DELETE", &upload).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(port.raw("GET", &upload).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(port.uploads(), 0);
}

#[tokio::test]
async fn many_push_the_same_blob_at_once() {
    let port = Port::open().await;
    let (blob, path) = port.file(&vec![7; 2_000_000]);
    let pushes = (0..8).map(|n| {
        let (client, blob, path) = (port.client.clone(), blob.clone(), path.clone());
        tokio::spawn(async move { client.push_blob(&repository(&format!("r{}", n % 2)), &blob, &path).await })
    });
    for push in pushes.collect::<Vec<_>>() {
        push.await.unwrap().unwrap();
    }
    assert_eq!(fs::metadata(port.store.blob_path(&blob.digest)).unwrap().len(), 2_000_000);
    assert_eq!(port.uploads(), 0);
}

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
async fn when_the_watcher_fails_the_push_is_repeated() {
    let port = Port::open().await;
    let (shop, main) = (repository("shop"), reference("main"));
    let image = port.pack("one");
    port.witness.refuses.store(true, Ordering::SeqCst);
    let error = port.client.push(&shop, &main, &image).await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    assert!(!error.to_string().contains("journal"), "what is wrong inside is not told outside");
    port.witness.refuses.store(false, Ordering::SeqCst);
    port.client.push(&shop, &main, &image).await.unwrap();
    assert_eq!(port.witness.take().len(), 1);

    port.witness.refuses.store(true, Ordering::SeqCst);
    assert!(port.client.delete(&shop, &main).await.unwrap_err().is_temporary());
    assert!(port.client.resolve(&shop, &main).await.unwrap().is_some(), "nothing was deleted");
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

/// Bases from the store, as the host gives them.
struct Held(Store);

impl Bases for Held {
    fn base(&self, name: &str) -> Result<Option<packer::Base>, Box<dyn Error + Send + Sync>> {
        self.0.base(&name.parse()?, &"latest".parse()?)
    }
}

#[tokio::test]
async fn an_image_in_the_registry_is_the_base_of_another() {
    let port = Port::open().await;
    let base = port.pack("one");
    port.client.push(&repository("base"), &reference("latest"), &base).await.unwrap();
    let context = TempDir::new().unwrap();
    fs::write(context.path().join("Dockerfile"), "FROM base\nCOPY Dockerfile /b\n").unwrap();
    let work = TempDir::new().unwrap();
    let image = pack(context.path(), work.path(), &Held(port.store.clone()));
    assert_eq!(image.layers.len(), 2);
    assert_eq!(image.layers[0].descriptor, base.layers[0].descriptor);
    port.client.push(&repository("shop"), &reference("main"), &image).await.unwrap();
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
    let told: Vec<_> =
        port.witness.take().into_iter().map(|(what, change)| (what, change.tag, change.digest)).collect();
    assert_eq!(told, [("deleted", Some("a".to_owned()), one.digest.clone()), ("deleted", None, one.digest)]);
    let blob = format!("shop/blobs/{}", two.config_descriptor.digest);
    assert_eq!(port.raw("DELETE", &blob).send().await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
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

#[tokio::test]
async fn a_store_opened_again_has_what_it_had() {
    let port = Port::open().await;
    let (shop, main) = (repository("shop"), reference("main"));
    let image = port.pack("one");
    port.client.push(&shop, &main, &image).await.unwrap();
    port.begin("shop").await;
    assert_eq!(port.uploads(), 1);
    let again = Store::open(&port.folder.path().join("registry")).unwrap();
    assert_eq!(again.manifest(&shop, &main).unwrap().unwrap().bytes, image.manifest);
    assert_eq!(port.uploads(), 0);
}
