//! An image of the host's own registry in OCI's image layout, of links to its blobs, or copies where the file system has none.
//!
//! Source: the OCI image specification, "Image Layout Specification".

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use longshore_events::Digest;
use serde_json::json;

use crate::desk::Broken;
use crate::image::{self, Config, MANIFEST_LIMIT, Manifest};
use crate::layer::{Bounded, decoder, for_each};
use crate::names::{Reference, Repository};
use crate::server::Store;

/// Where a distribution names itself.
const RELEASES: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];
/// The longest such file, in bytes.
const RELEASE: u64 = 64 << 10;
/// So much of an image is unpacked to look for it, in bytes.
const UNPACKED: u64 = 8 << 30;

fn manifest(store: &Store, repository: &Repository, digest: &Digest) -> Result<(String, Manifest), Broken> {
    let stored = store.manifest(repository, &Reference::Digest(digest.clone())).map_err(Broken::failed)?;
    let gone = || Broken::unsupported(format!("{repository}@{digest} is not in the host's registry"));
    let stored = stored.ok_or_else(gone)?;
    if image::is_index(&stored.media_type) {
        return Err(Broken::unsupported("the index names another index, or its images are not known"));
    }
    let manifest = stored
        .parse()
        .map_err(|error| Broken::failed(format!("the manifest {digest} is damaged: {error}")))?;
    Ok((stored.media_type, manifest))
}

/// The distribution that an image names, if it does: by its files, whatever a scanner knows.
pub(super) fn distribution(
    store: &Store,
    repository: &Repository,
    digest: &Digest,
) -> Result<Option<String>, Broken> {
    let (_, manifest) = manifest(store, repository, digest)?;
    let (mut named, mut left) = (None, UNPACKED);
    for layer in manifest.layers.iter().flatten() {
        let Some((file, _)) = store.open_blob(&layer.digest).map_err(Broken::failed)? else {
            return Err(Broken::failed(format!("the layer {} is not in the host's registry", layer.digest)));
        };
        let decoder = decoder(&layer.media_type, io::BufReader::new(file)).map_err(Broken::unsupported)?;
        let mut tar = Bounded { inner: decoder, left, over: false };
        let read = for_each(&mut tar, |entry, data| {
            if RELEASES
                .iter()
                .any(|release| entry.path.ends_with(release) && entry.path.components().count() <= 4)
            {
                let mut text = String::new();
                let _ = data.take(RELEASE).read_to_string(&mut text);
                named = named.take().or_else(|| release(&text));
            }
            Ok(())
        });
        left = tar.left;
        read.map_err(Broken::failed)?;
    }
    Ok(named)
}

/// The name and version of an `os-release`.
fn release(text: &str) -> Option<String> {
    let value = |key: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value.map(|value| value.trim_matches(['"', '\'', ' ']).to_owned())
    };
    let name = value("ID")?;
    Some(value("VERSION_ID").map_or_else(|| name.clone(), |version| format!("{name} {version}")))
}

/// Trivy looks into the layers that the configuration names, each once: one that it leaves out, or names as another, would
/// be hidden.
fn names_its_layers(store: &Store, manifest: &Manifest) -> Result<(), Broken> {
    let config =
        manifest.config.as_ref().ok_or_else(|| Broken::unsupported("the manifest names no configuration"))?;
    let path = store.blob_path(&config.digest);
    let length = fs::metadata(&path)
        .map_err(|_| Broken::failed("its configuration is not in the host's registry"))?
        .len();
    if length > MANIFEST_LIMIT as u64 {
        return Err(Broken::unsupported("its configuration is longer than 4 MiB"));
    }
    let other = |error| Broken::unsupported(format!("its configuration is not that of an image: {error}"));
    let config: Config = serde_json::from_slice(&fs::read(path).map_err(Broken::failed)?).map_err(other)?;
    let layers: Vec<&Digest> = manifest.layers.iter().flatten().map(|layer| &layer.digest).collect();
    let (named, mut known) = (&config.rootfs.diff_ids, HashMap::new());
    let one_to_one =
        layers.iter().zip(named).all(|(layer, diff)| *known.entry(diff).or_insert(*layer) == *layer);
    if layers.len() != named.len() || !one_to_one {
        let why = "its configuration names other layers than its manifest: some would not be looked into";
        return Err(Broken::unsupported(why));
    }
    Ok(())
}

/// Writes the layout of one image to a folder that is not there yet.
pub(super) fn write(
    store: &Store,
    repository: &Repository,
    digest: &Digest,
    folder: &Path,
) -> Result<(), Broken> {
    let (media_type, manifest) = manifest(store, repository, digest)?;
    let parts =
        manifest.config.iter().chain(manifest.layers.iter().flatten()).map(|part| part.digest.clone());
    let blobs: Vec<Digest> = parts.chain([digest.clone()]).collect();
    names_its_layers(store, &manifest)?;
    if let Some(missing) = blobs.iter().find(|blob| !store.has_blob(blob)) {
        return Err(Broken::failed(format!("the blob {missing} is not in the host's registry")));
    }
    let length = fs::metadata(store.blob_path(digest)).map_err(Broken::failed)?.len();
    let index = json!({
        "schemaVersion": 2,
        "manifests": [{ "mediaType": media_type, "digest": digest, "size": length }],
    });
    let written = || -> io::Result<()> {
        let at = folder.join("blobs/sha256");
        fs::create_dir_all(&at)?;
        fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
        fs::write(folder.join("index.json"), index.to_string())?;
        for blob in &blobs {
            let (from, to) = (store.blob_path(blob), at.join(blob.hex()));
            // A layer may be there twice. Trivy takes no symbolic links.
            if !to.exists() && fs::hard_link(&from, &to).is_err() {
                fs::copy(&from, &to)?;
            }
        }
        Ok(())
    };
    written().map_err(|error| Broken::failed(format!("cannot hand the image over: {error}")))
}
