//! What an image is made of, as CycloneDX 1.6 JSON. The same image gives the same bytes: no time and no random number.
//!
//! Source: "CycloneDX v1.6 JSON Reference"; "Package URL specification".

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use longshore_events::ImageRef;
use serde_json::{Value, json};

use super::locks::Package;

/// The bill of materials of an image, whose packages lie in these places.
pub(super) fn write(image: &ImageRef, packages: &BTreeMap<Package, BTreeSet<String>>) -> Vec<u8> {
    let components: Vec<Value> =
        packages.iter().map(|(package, places)| component(package, places)).collect();
    let bom = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "tools": { "components": [{ "type": "application", "name": "longshore" }] },
            "component": {
                "type": "container",
                "bom-ref": image.to_string(),
                "name": image.name.to_string(),
                "version": image.digest.to_string(),
            },
        },
        "components": components,
    });
    bom.to_string().into_bytes()
}

fn component(package: &Package, places: &BTreeSet<String>) -> Value {
    let purl = purl(package);
    let places: Vec<_> =
        places.iter().map(|place| json!({ "name": "longshore:place", "value": place })).collect();
    json!({
        "type": "library",
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        "purl": purl,
        "properties": places,
    })
}

fn purl(package: &Package) -> String {
    let (name, version) = (encoded(&package.name), encoded(&package.version));
    format!("pkg:{}/{name}@{version}", package.ecosystem.purl())
}

/// A slash stays: it parts a namespace from a name.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}"); // writing to a string cannot fail
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use longshore_events::{Digest, ImageName};

    use super::*;
    use crate::checks::locks::Ecosystem;

    #[test]
    fn each_package_has_a_url_and_its_places() {
        let digest = Digest::new(format!("sha256:{}", "a".repeat(64))).unwrap();
        let image = ImageRef::new(ImageName::new("shop").unwrap(), digest);
        let package =
            |ecosystem, name: &str| Package { ecosystem, name: name.into(), version: "1.0.0+x".into() };
        let places = BTreeSet::from(["app/package-lock.json".to_owned()]);
        let packages = BTreeMap::from([
            (package(Ecosystem::Npm, "@a/b"), places.clone()),
            (package(Ecosystem::Go, "github.com/c/d"), places),
        ]);
        let bytes = write(&image, &packages);
        assert_eq!(bytes, write(&image, &packages));
        let bom: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(bom["specVersion"], "1.6");
        assert_eq!(bom["components"][0]["purl"], "pkg:npm/%40a/b@1.0.0%2Bx");
        assert_eq!(bom["components"][1]["purl"], "pkg:golang/github.com/c/d@1.0.0%2Bx");
        assert_eq!(bom["components"][1]["properties"][0]["value"], "app/package-lock.json");
    }
}
