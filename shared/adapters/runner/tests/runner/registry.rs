//! A registry with images of the tests' service.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use longshore_events::{ImageName, ImageRef};
use longshore_oci::client::Client;
use longshore_oci::packer::{self, NoBases, Request};
use longshore_oci::server::{Store, router};
use longshore_oci::{Reference, Repository};

/// A registry on a free port of the loopback.
pub(crate) struct Registry {
    folder: PathBuf,
    pub(crate) address: String,
}

impl Registry {
    pub(crate) async fn open(folder: &Path) -> Self {
        let store = Store::open(&folder.join("registry")).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router(store, Arc::new(()))).await.unwrap() });
        Self { folder: folder.into(), address }
    }

    /// An image of the service that says `version` and starts `program`.
    pub(crate) async fn image(&self, version: &str, program: &str) -> ImageRef {
        let context = self.folder.join(format!("context-{version}"));
        let work = self.folder.join(format!("work-{version}"));
        fs::create_dir_all(&context).unwrap();
        fs::create_dir_all(&work).unwrap();
        fs::copy(service(), context.join("service")).unwrap();
        let text = format!(
            "FROM scratch\nCOPY service /service\nENV VERSION={version}\nENTRYPOINT [\"{program}\"]\n"
        );
        fs::write(context.join("Dockerfile"), text).unwrap();
        let none = BTreeMap::new();
        let request = Request {
            context: &context,
            dockerfile: Path::new("Dockerfile"),
            args: &none,
            epoch: 1_700_000_000,
            labels: &none,
            work: &work,
        };
        let image = packer::pack(&request, &NoBases).unwrap();
        let repository: Repository = "shop".parse().unwrap();
        let client = Client::new(&self.address, None).unwrap();
        client.push(&repository, &Reference::Digest(image.digest.clone()), &image).await.unwrap();
        ImageRef::new(ImageName::new("shop").unwrap(), image.digest)
    }
}

/// The service's program, compiled once for all tests, and again only when its source has changed.
fn service() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/runner/service.rs");
        let mut hasher = DefaultHasher::new();
        (fs::read(&source).unwrap(), env!("CARGO_PKG_RUST_VERSION")).hash(&mut hasher);
        let name = format!("runner-service-{:016x}", hasher.finish());
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        if program.exists() {
            return program;
        }
        // Each test is a process of its own, and the linker's own files stand beside the output: a folder for each,
        // and renamed when it is whole.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let aside = folder.path().join("service");
        let compiled = Command::new("rustc")
            .args(["--edition", "2024", "-C", "target-feature=+crt-static", "-C", "strip=symbols", "-o"])
            .args([&aside, &source])
            .status();
        assert!(compiled.unwrap().success(), "the service does not compile");
        fs::rename(&aside, &program).unwrap();
        program
    })
}
