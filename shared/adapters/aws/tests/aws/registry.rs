//! ECR: moto holds images and indexes, as PutImage gives them.

use longshore_aws::{EcrRegistry, code};
use longshore_events::ImageName;
use longshore_ports::{ErrorKind, Registry};
use serde_json::json;

use crate::stack::Cloud;
use longshore_aws::testing::Fault;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn shop() -> ImageName {
    ImageName::new("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/shop").unwrap()
}

fn digest(digit: &str) -> String {
    format!("sha256:{}", digit.repeat(64))
}

/// A repository with a manifest under `single` and an index under `index`; their digests.
async fn images(cloud: &Cloud) -> Vec<String> {
    let client = aws_sdk_ecr::Client::new(cloud.aws.config());
    client.create_repository().repository_name("team/shop").send().await.unwrap();
    let config =
        json!({ "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest("c"), "size": 2 });
    let single = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [] });
    let entry = |digit, platform| json!({ "mediaType": MANIFEST, "size": 2, "digest": digest(digit), "platform": platform });
    let entries = [
        entry("a", json!({ "os": "linux", "architecture": "amd64" })),
        entry("b", json!({ "os": "linux", "architecture": "arm", "variant": "v7" })),
        json!({ "mediaType": MANIFEST, "size": 2, "digest": digest("d") }),
    ];
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
    let mut digests = Vec::new();
    for (tag, kind, manifest) in [("single", MANIFEST, single), ("index", INDEX, index)] {
        let put = client.put_image().repository_name("team/shop").image_tag(tag);
        let put = put.image_manifest(manifest.to_string()).image_manifest_media_type(kind);
        let image = put.send().await.unwrap().image.unwrap();
        digests.push(image.image_id.unwrap().image_digest.unwrap());
    }
    digests
}

#[tokio::test]
async fn a_tag_and_a_digest_are_resolved_and_an_index_names_its_platforms() {
    let cloud = Cloud::start().await;
    let digests = images(&cloud).await;
    let registry = EcrRegistry::new(&cloud.aws);
    let single = registry.resolve(&shop(), "single").await.unwrap().unwrap();
    assert_eq!((single.digest.as_str(), single.media_type.as_str()), (digests[0].as_str(), MANIFEST));
    assert!(single.platforms.is_empty());
    let index = registry.resolve(&shop(), &digests[1]).await.unwrap().unwrap();
    assert_eq!(Some(index.clone()), registry.resolve(&shop(), "index").await.unwrap());
    assert_eq!(index.media_type, INDEX);
    let platforms: Vec<_> =
        index.platforms.iter().map(|one| (one.platform.as_str(), one.digest.to_string())).collect();
    assert_eq!(platforms, [("linux/amd64", digest("a")), ("linux/arm/v7", digest("b"))]);
    for nothing in ["nothing", digest("e").as_str()] {
        assert_eq!(registry.resolve(&shop(), nothing).await.unwrap(), None, "{nothing}");
    }
}

#[tokio::test]
async fn what_is_not_in_the_registry_of_this_region_is_named() {
    let cloud = Cloud::start().await;
    let registry = EcrRegistry::new(&cloud.aws);
    let cases = [
        (
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/nowhere",
            ErrorKind::NotFound,
            "the repository nowhere of",
            Some("LS0606"),
        ),
        (
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/shop",
            ErrorKind::Invalid,
            "lies in us-east-1, and eu-west-1",
            Some("LS0607"),
        ),
        ("ghcr.io/acme/shop", ErrorKind::Invalid, "is not an image of ECR", None),
    ];
    for (name, kind, text, stable) in cases {
        let error = registry.resolve(&ImageName::new(name).unwrap(), "tag").await.unwrap_err();
        assert_eq!((error.kind, code(&error)), (kind, stable), "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
    cloud.proxy.next("BatchGetImage", Fault::Refused(400, "ThrottlingException", "rate exceeded"));
    assert!(registry.resolve(&shop(), "tag").await.unwrap_err().is_temporary());
}

#[tokio::test]
async fn a_registry_is_logged_in_to_with_its_own_token() {
    let cloud = Cloud::start().await;
    let registry = EcrRegistry::new(&cloud.aws);
    let (host, user, password) = registry.login(&shop()).await.unwrap();
    assert_eq!((host.as_str(), user.as_str()), ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "AWS"));
    assert!(!password.is_empty());
    let elsewhere = ImageName::new("123456789012.dkr.ecr.us-east-1.amazonaws.com/shop").unwrap();
    assert_eq!(code(&registry.login(&elsewhere).await.unwrap_err()), Some("LS0607"));
    let stranger = registry.login(&ImageName::new("ghcr.io/acme/shop").unwrap()).await.unwrap_err();
    assert!(stranger.to_string().contains("is not an image of ECR"), "{stranger}");
}
