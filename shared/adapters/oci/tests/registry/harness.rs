//! A registry on a free port, its witness, and images to push.

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use longshore_events::Digest;
use longshore_oci::{
    Reference, Repository,
    client::Client,
    image::{Descriptor, LAYER_GZIP},
    packer::{self, Bases, Image, NoBases, Request},
    server::{Change, Store, Watcher, router},
};
use reqwest::{Method, RequestBuilder, StatusCode, header};
use tempfile::TempDir;

/// Notes what it is told; says no when asked to.
#[derive(Default)]
pub(crate) struct Witness {
    pub(crate) told: Mutex<Vec<(&'static str, Change)>>,
    pub(crate) refuses: AtomicBool,
}

impl Witness {
    fn note(&self, what: &'static str, change: &Change) -> Result<(), Box<dyn Error + Send + Sync>> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err("the journal is full".into());
        }
        self.told.lock().unwrap().push((what, change.clone()));
        Ok(())
    }

    pub(crate) fn take(&self) -> Vec<(&'static str, Change)> {
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
pub(crate) struct Port {
    pub(crate) folder: TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) store: Store,
    pub(crate) witness: Arc<Witness>,
    pub(crate) client: Client,
    pub(crate) http: reqwest::Client,
}

impl Port {
    pub(crate) async fn open() -> Self {
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

    pub(crate) fn pack(&self, text: &str) -> Image {
        let context = TempDir::new_in(self.folder.path()).unwrap();
        let work = TempDir::new_in(self.folder.path()).unwrap().keep();
        fs::write(context.path().join("Dockerfile"), "FROM scratch\nCOPY a /a\nCMD [\"/a\"]\n").unwrap();
        fs::write(context.path().join("a"), text).unwrap();
        pack(context.path(), &work, &NoBases)
    }

    pub(crate) fn file(&self, bytes: &[u8]) -> (Descriptor, std::path::PathBuf) {
        let path =
            tempfile::NamedTempFile::new_in(self.folder.path()).unwrap().into_temp_path().keep().unwrap();
        fs::write(&path, bytes).unwrap();
        (Descriptor::new(LAYER_GZIP, digest(bytes), bytes.len() as u64), path)
    }

    pub(crate) fn raw(&self, method: &str, path: &str) -> RequestBuilder {
        let method: Method = method.parse().unwrap();
        self.http.request(method, format!("http://{}/v2/{path}", self.address))
    }

    pub(crate) async fn begin(&self, repository: &str) -> String {
        let response = self.raw("POST", &format!("{repository}/blobs/uploads/")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        response.headers()[header::LOCATION].to_str().unwrap().trim_start_matches("/v2/").to_owned()
    }

    pub(crate) fn uploads(&self) -> usize {
        fs::read_dir(self.folder.path().join("registry/uploads")).unwrap().count()
    }
}

pub(crate) fn pack(context: &Path, work: &Path, bases: &dyn Bases) -> Image {
    let none = BTreeMap::new();
    let dockerfile = Path::new("Dockerfile");
    let request = Request { context, dockerfile, args: &none, epoch: 1_700_000_000, labels: &none, work };
    packer::pack(&request, bases).unwrap()
}

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(bytes);
    Digest::new(hash.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))).unwrap()
}

pub(crate) fn repository(text: &str) -> Repository {
    text.parse().unwrap()
}

pub(crate) fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

pub(crate) async fn fault(response: reqwest::Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: serde_json::Value = response.json().await.unwrap();
    (status, body["errors"][0]["code"].as_str().unwrap().to_owned())
}
