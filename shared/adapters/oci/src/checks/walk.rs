//! Through an image: its configuration, and each layer's files as they stream by. Nothing is unpacked.
//!
//! A secret counts wherever a layer holds it: what a higher layer hides can still be read. Set-id files and lock files
//! count as the whole image shows them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::ops::Bound;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use longshore_events::Digest;
use longshore_ports::{Finding, Findings};
use serde::de::DeserializeOwned;

use super::locks::{self, Ecosystem, Package};
use super::{secrets, setup};
use crate::desk::Broken;
use crate::image::{self, Config, Descriptor, MANIFEST_LIMIT, Manifest};
use crate::layer::{Bounded, Entry, Kind, LayerError, decoder, for_each};
use crate::names::{Reference, Repository};
use crate::server::Store;

/// How much of an image is looked at, all its layers together: uncompressed bytes, and entries.
const MAX_BYTES: u64 = 8 << 30;
const MAX_ENTRIES: u64 = 1_000_000;
/// Larger files hold no settings.
const MAX_TEXT: u64 = 1 << 20;
/// The longest lock file, in bytes.
const MAX_LOCK: u64 = 16 << 20;
/// The most set-id and lock files that are remembered of an image, and the most packages.
const MAX_KNOWN: usize = 50_000;
const MAX_PACKAGES: usize = 500_000;
/// The most manifests of an index.
const MAX_MANIFESTS: usize = 64;

/// What was seen of an image.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) findings: Findings,
    /// The packages, and where they are named.
    pub(super) packages: BTreeMap<Package, BTreeSet<String>>,
}

/// What a path shows.
#[derive(Default)]
struct Shown {
    set_id: Option<Finding>,
    packages: BTreeSet<Package>,
}

/// A walk through one image, or all images of an index.
pub(super) struct Walk<'a> {
    store: &'a Store,
    repository: Repository,
    seen: Seen,
    /// Layers whose secrets were looked for: images of an index share some.
    layers: HashSet<Digest>,
    bytes: u64,
    entries: u64,
}

/// Looks through the image of a repository.
pub(super) fn walk(store: &Store, repository: Repository, digest: &Digest) -> Result<Seen, Broken> {
    let mut walk = Walk {
        store,
        repository,
        seen: Seen::default(),
        layers: HashSet::new(),
        bytes: MAX_BYTES,
        entries: MAX_ENTRIES,
    };
    let (media_type, manifest) = walk.manifest(digest)?;
    if !image::is_index(&media_type) {
        walk.image(&manifest)?;
        return Ok(walk.seen);
    }
    // Build tools keep their attestations as manifests of no platform: those are no images.
    let is_image = |one: &&Descriptor| {
        one.platform
            .as_ref()
            .is_none_or(|platform| platform.os != "unknown" || platform.architecture != "unknown")
    };
    let children: Vec<_> = manifest.manifests.iter().flatten().filter(is_image).collect();
    if children.is_empty() || children.len() > MAX_MANIFESTS {
        return Err(Broken::unsupported(format!(
            "the index names {} images: 1 to {MAX_MANIFESTS} can be scanned",
            children.len()
        )));
    }
    for child in children {
        let (media_type, manifest) = walk.manifest(&child.digest)?;
        if image::is_index(&media_type) {
            return Err(Broken::unsupported("the index names another index"));
        }
        walk.image(&manifest)?;
    }
    Ok(walk.seen)
}

impl Walk<'_> {
    fn manifest(&self, digest: &Digest) -> Result<(String, Manifest), Broken> {
        let reference = Reference::Digest(digest.clone());
        let stored = self.store.manifest(&self.repository, &reference).map_err(Broken::failed)?;
        let gone =
            || Broken::unsupported(format!("{}@{digest} is not in the host's registry", self.repository));
        let stored = stored.ok_or_else(gone)?;
        let manifest = stored
            .parse()
            .map_err(|error| Broken::failed(format!("the manifest {digest} is damaged: {error}")))?;
        Ok((stored.media_type, manifest))
    }

    fn blob<T: DeserializeOwned>(&self, descriptor: &Descriptor) -> Result<T, Broken> {
        let path = self.store.blob_path(&descriptor.digest);
        let length = fs::metadata(&path).map_err(Broken::failed)?.len();
        if length > MANIFEST_LIMIT as u64 {
            return Err(Broken::unsupported("its configuration is longer than 4 MiB"));
        }
        let bytes = fs::read(path).map_err(Broken::failed)?;
        let other =
            |error| Broken::unsupported(format!("its configuration is not that of an image: {error}"));
        serde_json::from_slice(&bytes).map_err(other)
    }

    fn image(&mut self, manifest: &Manifest) -> Result<(), Broken> {
        let config = manifest
            .config
            .as_ref()
            .ok_or_else(|| Broken::unsupported("the manifest names no configuration"))?;
        if manifest.artifact_type.is_some() || !is_image_config(&config.media_type) {
            return Err(Broken::unsupported(format!("it is no image, but {}", config.media_type)));
        }
        let (parsed, history): (Config, setup::History) = (self.blob(config)?, self.blob(config)?);
        self.seen.findings.extend(setup::find(&parsed, &history));
        let mut shown = BTreeMap::new();
        for layer in manifest.layers.iter().flatten() {
            self.layer(layer, &mut shown)?;
        }
        self.collect(shown);
        Ok(())
    }

    /// What the whole image shows. Beside a go.mod, go.sum names versions that are not linked.
    fn collect(&mut self, shown: BTreeMap<PathBuf, Shown>) {
        let has_mod: BTreeSet<PathBuf> = shown
            .keys()
            .filter(|path| path.ends_with("go.mod"))
            .filter_map(|path| Some(path.parent()?.to_owned()))
            .collect();
        for (path, Shown { set_id, packages }) in shown {
            self.seen.findings.extend(set_id);
            let is_sum =
                path.ends_with("go.sum") && path.parent().is_some_and(|folder| has_mod.contains(folder));
            let place = path.to_string_lossy().into_owned();
            for package in packages.into_iter().filter(|one| !(is_sum && one.ecosystem == Ecosystem::Go)) {
                self.seen.packages.entry(package).or_default().insert(place.clone());
            }
        }
    }

    fn layer(&mut self, layer: &Descriptor, shown: &mut BTreeMap<PathBuf, Shown>) -> Result<(), Broken> {
        let opened = self.store.open_blob(&layer.digest).map_err(Broken::failed)?;
        let Some((file, _)) = opened else {
            return Err(Broken::failed(format!("the layer {} is not in the host's registry", layer.digest)));
        };
        let is_new = self.layers.insert(layer.digest.clone());
        let decoder = decoder(&layer.media_type, io::BufReader::new(file)).map_err(Broken::unsupported)?;
        let mut tar = Bounded { inner: decoder, left: self.bytes, over: false };
        let mut reader = LayerReader {
            is_new,
            entries: self.entries,
            below: shown,
            here: BTreeMap::new(),
            packages: 0,
            hidden: Vec::new(),
            findings: &mut self.seen.findings,
        };
        let read = for_each(&mut tar, |entry, data| reader.entry(entry, data));
        let LayerReader { entries, here, hidden, .. } = reader;
        self.entries = entries;
        let to_its_end =
            |()| io::copy(&mut tar, &mut io::sink()).map_err(LayerError::io("read the layer to its end"));
        let read = read.and_then(to_its_end);
        if tar.over {
            let why =
                format!("the image unpacks to more than {MAX_BYTES} bytes, which are not looked through");
            return Err(Broken::failed(why));
        }
        self.bytes = tar.left;
        read.map_err(Broken::failed)?;
        for hidden in &hidden {
            hidden.apply(shown);
        }
        shown.extend(here);
        Ok(())
    }
}

fn is_image_config(media_type: &str) -> bool {
    matches!(media_type, image::CONFIG | "application/vnd.docker.container.image.v1+json")
}

/// What a layer hides of those below it.
enum Hidden {
    /// A path, and all below it.
    Path(PathBuf),
    /// All below a path.
    Below(PathBuf),
}

impl Hidden {
    fn path(&self) -> &Path {
        match self {
            Self::Path(path) | Self::Below(path) => path,
        }
    }

    /// What it hides; paths below another stand together, in order.
    fn hides<'a>(&'a self, shown: &'a BTreeMap<PathBuf, Shown>) -> impl Iterator<Item = &'a PathBuf> {
        let path = self.path();
        let below = shown.range::<Path, _>((Bound::Included(path), Bound::Unbounded)).map(|(known, _)| known);
        let below = below.take_while(move |known| known.starts_with(path));
        below.filter(move |known| matches!(self, Self::Path(_)) || known.as_path() != path)
    }

    fn apply(&self, shown: &mut BTreeMap<PathBuf, Shown>) {
        let hidden: Vec<_> = self.hides(shown).cloned().collect();
        for path in &hidden {
            shown.remove(path);
        }
    }
}

struct LayerReader<'a> {
    is_new: bool,
    entries: u64,
    /// What the layers below show.
    below: &'a BTreeMap<PathBuf, Shown>,
    /// What this one shows.
    here: BTreeMap<PathBuf, Shown>,
    packages: usize,
    hidden: Vec<Hidden>,
    findings: &'a mut Findings,
}

impl LayerReader<'_> {
    fn entry(&mut self, entry: &Entry, data: &mut dyn Read) -> Result<(), LayerError> {
        self.entries = self.entries.checked_sub(1).ok_or(LayerError::TooMany { limit: MAX_ENTRIES })?;
        let (Some(parent), Some(name)) = (entry.path.parent(), entry.path.file_name()) else { return Ok(()) };
        if let Some(hidden) = name.as_bytes().strip_prefix(b".wh.") {
            match hidden {
                b".wh..opq" => self.hide(Hidden::Below(parent.to_owned())),
                other => self.hide(Hidden::Path(parent.join(OsStr::from_bytes(other)))),
            }
            return Ok(());
        }
        match &entry.kind {
            Kind::File { size } => {
                let shown = self.file(entry, *size, data)?;
                self.hide(Hidden::Path(entry.path.clone()));
                self.remember(&entry.path, shown)
            }
            // The content of a link is that of another path, which is looked at there.
            Kind::Link { .. } | Kind::HardLink { .. } | Kind::Other(_) => {
                self.hide(Hidden::Path(entry.path.clone()));
                self.here.remove(&entry.path);
                Ok(())
            }
            Kind::Folder => Ok(()),
        }
    }

    /// Only what hides something is kept.
    fn hide(&mut self, hidden: Hidden) {
        if hidden.hides(self.below).next().is_some() {
            self.hidden.push(hidden);
        }
    }

    fn remember(&mut self, path: &Path, shown: Shown) -> Result<(), LayerError> {
        if shown.set_id.is_none() && shown.packages.is_empty() {
            self.here.remove(path);
            return Ok(());
        }
        self.packages += shown.packages.len();
        if self.here.len() + self.below.len() >= MAX_KNOWN || self.packages > MAX_PACKAGES {
            return Err(LayerError::TooMany { limit: MAX_KNOWN as u64 });
        }
        self.here.insert(path.to_owned(), shown);
        Ok(())
    }

    fn file(&mut self, entry: &Entry, size: u64, data: &mut dyn Read) -> Result<Shown, LayerError> {
        let path = entry.path.to_string_lossy().into_owned();
        let name = entry.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut shown = Shown { set_id: setup::set_id(&path, entry.mode), ..Shown::default() };
        let is_lock = locks::is_lock(&name);
        let limit = if is_lock { MAX_LOCK } else { MAX_TEXT };
        if size > limit {
            return if is_lock {
                Err(LayerError::refused(&entry.path, "the lock file is longer than 16 MiB"))
            } else {
                Ok(shown)
            };
        }
        let mut content = Vec::new();
        data.take(limit).read_to_end(&mut content).map_err(LayerError::io(format!("read {path}")))?;
        if content.len() as u64 != size {
            return Err(LayerError::refused(&entry.path, "the layer ends within it"));
        }
        if is_lock {
            let packages = locks::packages(&path, &content);
            shown.packages = packages.map_err(|error| LayerError::refused(&entry.path, error.why))?;
        }
        if self.is_new && !content.iter().take(8192).any(|byte| *byte == 0) {
            self.findings.extend(secrets::find(&path, &content));
        }
        Ok(shown)
    }
}
