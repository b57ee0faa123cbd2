//! The Kubernetes manifests of a build: rendered by helm or kustomize, or taken as they are, and kept in Blobs.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use longshore_policy::{MAX_MANIFESTS, Manifests};

use super::run::{Run, empty};

/// Writes what the words after it say into the two files before them, and no longer files than these blocks of 512 bytes.
const SHIM: &str = "ulimit -f \"$1\" && exec >\"$2\" 2>\"$3\" && shift 3 && exec \"$@\"";
/// Of what a renderer says when it fails, so much is in the reason, in bytes from the end; all of it is in the log.
const SAID: usize = 1_000;
/// Folders deeper than these are not looked into.
const DEPTH: usize = 32;

impl Run<'_> {
    /// Renders the manifests, if the service has any; where they lie. They are bounded, and hold something.
    pub(super) async fn render(
        &self,
        environment: &BTreeMap<String, String>,
    ) -> Result<Option<String>, String> {
        let Some(manifests) = &self.source.manifests else { return Ok(None) };
        let checkout = self.folder.join("src");
        for path in manifests.paths() {
            stays_inside(&checkout, path)?;
        }
        let work = self.folder.join("render");
        empty(&work).await.map_err(|error| format!("cannot empty {}: {error}", work.display()))?;
        let text = self.rendered(manifests, &checkout, &work, environment).await?;
        let bytes = text.len();
        let kept = self.inner.blobs.put(text).await.map_err(|error| error.to_string())?;
        self.note(&format!("rendered manifests of {bytes} bytes, {}", kept.0));
        Ok(Some(kept.0.to_string()))
    }

    async fn rendered(
        &self,
        manifests: &Manifests,
        checkout: &Path,
        work: &Path,
        environment: &BTreeMap<String, String>,
    ) -> Result<Vec<u8>, String> {
        let command = manifests.command(&self.service.name);
        let program = command[0].clone();
        self.note(&format!("render: {}", command.join(" ")));
        let file = |name: &str| work.join(name).to_string_lossy().into_owned();
        let (out, said, blocks) = (file("out"), file("said"), MAX_MANIFESTS / 512 + 1);
        let shim = ["sh", "-c", SHIM, "sh", &blocks.to_string(), &out, &said].map(str::to_owned);
        let mut environment = environment.clone();
        // Nothing of whoever runs the host: neither plugins nor repositories that are known to it.
        for place in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "XDG_CONFIG_HOME"] {
            environment.insert(place.into(), file("home"));
        }
        let status = self.ended("render", &[&shim[..], &command].concat(), checkout, &environment).await?;
        let words = fs::read(&said).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).into_owned();
        words.lines().for_each(|line| self.note(&format!("render: {line}")));
        let text = fs::read(&out).map_err(|error| format!("cannot read what was rendered: {error}"))?;
        if text.len() > MAX_MANIFESTS {
            return Err(format!("the rendered manifests have more than {MAX_MANIFESTS} bytes"));
        }
        match status {
            Some(0) => {}
            Some(127) => {
                return Err(format!(
                    "{program} is not installed here, and renders the manifests of {}: put it on the host's PATH",
                    self.service.name
                ));
            }
            Some(status) => return Err(format!("{program} failed with status {status}: {}", tail(&words))),
            None => return Err(format!("{program} was ended by a signal: {}", tail(&words))),
        }
        if std::str::from_utf8(&text).is_err() {
            return Err(format!("{program} rendered something that is not UTF-8"));
        }
        if !text.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"kind:") || line.contains(&b'{')) {
            return Err(format!("{program} rendered no manifest: what the configuration names holds none"));
        }
        Ok(text)
    }
}

/// The last words of a program.
fn tail(words: &str) -> &str {
    let words = words.trim();
    let mut from = words.len().saturating_sub(SAID);
    while !words.is_char_boundary(from) {
        from += 1;
    }
    if words.is_empty() { "it says nothing" } else { &words[from..] }
}

/// Refuses a path whose file is not there, or that leads out of the checkout by a link, itself or by what lies in it: what
/// lies elsewhere on this machine does not become part of a manifest.
fn stays_inside(checkout: &Path, path: &str) -> Result<(), String> {
    let root = checkout.canonicalize().map_err(|error| format!("cannot read the checkout: {error}"))?;
    match leads_out(&root, &checkout.join(path), DEPTH) {
        Ok(None) => Ok(()),
        Ok(Some(link)) => {
            let link = Path::new(&link).strip_prefix(checkout).unwrap_or(Path::new(&link)).to_owned();
            Err(format!("{}, of the manifests, is a link that leads out of the commit", link.display()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(format!("the commit has no {path:?}, which `manifests` names"))
        }
        Err(error) => Err(format!("cannot read {path:?} of the manifests: {error}")),
    }
}

/// The first path at or below `path` that leads out of `root`.
fn leads_out(root: &Path, path: &Path, depth: usize) -> io::Result<Option<String>> {
    if !path.canonicalize()?.starts_with(root) {
        return Ok(Some(path.to_string_lossy().into_owned()));
    }
    let is_folder = fs::symlink_metadata(path)?.is_dir();
    if !is_folder || depth == 0 || path.file_name().is_some_and(|name| name == ".git") {
        return Ok(None);
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?.path();
        match leads_out(root, &entry, depth - 1) {
            // A link to nothing brings nothing.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(None) => {}
            found => return found,
        }
    }
    Ok(None)
}
