//! The built-in packer: a Dockerfile without `RUN` becomes an image, without a daemon and without privileges.
//!
//! It serves what needs no command to be run: `FROM` scratch or a base image at hand, `COPY`, `ADD` of local files,
//! `ENV`, `ARG`, `WORKDIR`, `EXPOSE`, `USER`, `LABEL`, `VOLUME`, `STOPSIGNAL`, `ENTRYPOINT`, `CMD`. Anything else is
//! refused by name, never left out. The same files give the same digest: times come from the request, files are
//! sorted, modes normalised. Build arguments get into the image only where an instruction uses them.

mod base;
mod copy;
mod error;
mod expand;
mod ignore;
mod line;
mod source;
mod stage;
#[cfg(test)]
mod tests;
mod tree;

use std::{
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
};

pub use error::PackError;
use longshore_events::Digest;

use crate::{
    digest,
    image::{CONFIG, Config, Descriptor, MANIFEST, Manifest, Platform},
    layer::Root,
};

/// The longest Dockerfile or ignore file, in bytes.
const TEXT_LIMIT: u64 = 1 << 20;

/// What to pack.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The folder that `COPY` copies from; nothing outside is read.
    pub context: &'a Path,
    /// The Dockerfile, relative to the context.
    pub dockerfile: &'a Path,
    /// Build arguments (`ARG`).
    pub args: &'a BTreeMap<String, String>,
    /// The time of every file and of the image, in seconds since 1970 (`SOURCE_DATE_EPOCH`).
    pub epoch: u64,
    /// Labels to add to those of the Dockerfile; they win.
    pub labels: &'a BTreeMap<String, String>,
    /// An existing folder for the layers' files.
    pub work: &'a Path,
}

/// Where base images come from.
pub trait Bases {
    /// The image that `reference` names, for the platform of this host; `None` when it is not at hand.
    ///
    /// # Errors
    /// When it cannot be read.
    fn base(&self, reference: &str) -> Result<Option<Base>, Box<dyn std::error::Error + Send + Sync>>;
}

/// No base image is at hand: only `FROM scratch` can be packed.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoBases;

impl Bases for NoBases {
    fn base(&self, _: &str) -> Result<Option<Base>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(None)
    }
}

/// A base image.
#[derive(Debug, Clone)]
pub struct Base {
    /// Its configuration's bytes.
    pub config: Vec<u8>,
    /// Its layers, the lowest first.
    pub layers: Vec<StoredLayer>,
}

/// A layer in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLayer {
    /// Its media type, digest and length.
    pub descriptor: Descriptor,
    /// The file with its bytes.
    pub path: PathBuf,
}

/// A packed image: two documents and the files of its layers.
#[derive(Debug, Clone)]
pub struct Image {
    /// The manifest's bytes, an OCI manifest.
    pub manifest: Vec<u8>,
    /// The manifest's digest: the image's identity.
    pub digest: Digest,
    /// The configuration's bytes.
    pub config: Vec<u8>,
    /// As the manifest names the configuration.
    pub config_descriptor: Descriptor,
    /// The layers, the lowest first: the base image's own, then those in the work folder.
    pub layers: Vec<StoredLayer>,
    /// What it runs on.
    pub platform: Platform,
}

impl Image {
    /// The media type of [`Image::manifest`].
    pub const MEDIA_TYPE: &'static str = MANIFEST;

    fn assemble(config: &Config, layers: Vec<StoredLayer>) -> Result<Self, PackError> {
        let platform = Platform {
            architecture: config.architecture.clone(),
            os: config.os.clone(),
            variant: config.variant.clone(),
        };
        let config = serde_json::to_vec(config).map_err(PackError::json)?;
        let config_descriptor = Descriptor::new(CONFIG, digest::of(&config), config.len() as u64);
        let manifest = serde_json::to_vec(&Manifest {
            schema_version: 2,
            media_type: Some(MANIFEST.to_owned()),
            artifact_type: None,
            config: Some(config_descriptor.clone()),
            layers: Some(layers.iter().map(|layer| layer.descriptor.clone()).collect()),
            manifests: None,
            subject: None,
            annotations: None,
        });
        let manifest = manifest.map_err(PackError::json)?;
        let digest = digest::of(&manifest);
        Ok(Self { manifest, digest, config, config_descriptor, layers, platform })
    }
}

/// Packs an image. It reads and compresses files: call it where blocking is allowed.
///
/// ```no_run
/// # use longshore_oci::packer::{self, NoBases, PackError, Request};
/// # use std::{collections::BTreeMap, path::Path};
/// let image = packer::pack(
///     &Request {
///         context: Path::new("checkout"),
///         dockerfile: Path::new("Dockerfile"),
///         args: &BTreeMap::new(),
///         epoch: 1_700_000_000,
///         labels: &BTreeMap::new(),
///         work: Path::new("work"),
///     },
///     &NoBases,
/// )?;
/// println!("{}", image.digest);
/// # Ok::<(), PackError>(())
/// ```
///
/// # Errors
/// [`PackError`], which names the instruction and its line.
pub fn pack(request: &Request<'_>, bases: &dyn Bases) -> Result<Image, PackError> {
    let root = Root::open(request.context)?;
    let text = read_text(&root, request.dockerfile)?
        .ok_or_else(|| PackError::Missing { path: request.dockerfile.to_path_buf() })?;
    stage::run(request, bases, &root, &text)
}

/// The first `RUN` of a Dockerfile's last stage, as the packer refuses it: told before anything is packed or brought.
///
/// # Errors
/// When the Dockerfile cannot be read or parsed.
pub fn refused_run(context: &Path, dockerfile: &Path) -> Result<Option<PackError>, PackError> {
    let missing = || PackError::Missing { path: dockerfile.to_path_buf() };
    let text = read_text(&Root::open(context)?, dockerfile)?.ok_or_else(missing)?;
    stage::refused_run(&text)
}

/// The text of a small file of the context; `None` when there is none.
fn read_text(root: &Root, path: &Path) -> Result<Option<String>, PackError> {
    if root.find(path)?.is_none() {
        return Ok(None);
    }
    let mut text = String::new();
    let io = |source| PackError::Text { path: path.to_path_buf(), source };
    let read = root.read(path)?.take(TEXT_LIMIT + 1).read_to_string(&mut text).map_err(io)?;
    if read as u64 > TEXT_LIMIT {
        return Err(io(std::io::Error::other("it is longer than 1 MiB")));
    }
    Ok(Some(text))
}
