//! A registry with an image of a small service, compiled for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use longshore_oci::client::Client;
use longshore_oci::packer::{NoBases, Request, pack};

use crate::outside;
use crate::stage::{Stage, ask};

/// Listens, and answers everyone with nothing.
const SERVICE: &str = r#"
fn main() {
    let address = format!("127.0.0.1:{}", std::env::var("PORT").unwrap());
    for stream in std::net::TcpListener::bind(address).unwrap().incoming() {
        drop(stream);
    }
}
"#;

/// Serves a registry to the stage, with the image `shop:latest` in it. Answers the image's digest.
pub(crate) fn with_image(stage: &mut Stage) -> String {
    stage.registry = outside::registry(&stage.path("registry"));
    let context = context(stage);
    let work = stage.path("pack");
    std::fs::create_dir_all(&work).unwrap();
    let none = BTreeMap::new();
    let request = Request {
        context: &context,
        dockerfile: Path::new("Dockerfile"),
        args: &none,
        epoch: 1_700_000_000,
        labels: &none,
        work: &work,
    };
    let image = pack(&request, &NoBases).unwrap();
    let client = Client::new(&stage.registry, None).unwrap();
    ask(client.push(&"shop".parse().unwrap(), &"latest".parse().unwrap(), &image)).unwrap();
    image.digest.to_string()
}

fn context(stage: &Stage) -> PathBuf {
    let context = stage.path("context");
    std::fs::create_dir_all(&context).unwrap();
    std::fs::write(stage.path("service.rs"), SERVICE).unwrap();
    let compiled = Command::new("rustc")
        .args(["--edition", "2024", "-C", "target-feature=+crt-static", "-C", "strip=symbols", "-o"])
        .args([context.join("service"), stage.path("service.rs")])
        .status();
    assert!(compiled.unwrap().success(), "the service does not compile");
    std::fs::write(
        context.join("Dockerfile"),
        "FROM scratch\nCOPY service /service\nENTRYPOINT [\"/service\"]\n",
    )
    .unwrap();
    context
}
