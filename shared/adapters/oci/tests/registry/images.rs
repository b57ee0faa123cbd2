//! Whole images, pushed and pulled.

use std::{error::Error, fs, sync::atomic::Ordering};

use longshore_events::ImageName;
use longshore_oci::Reference;
use longshore_oci::client::Registries;
use longshore_oci::image::MANIFEST;
use longshore_oci::packer::{self, Bases};
use longshore_oci::server::Store;
use longshore_ports::Registry as _;
use tempfile::TempDir;

use crate::harness::{Port, pack, reference, repository};

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
