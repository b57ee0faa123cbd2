//! The host's own scanner: looks into the images of the host's registry by rules, without anything to install.
//!
//! It finds secrets in files, images that run as root or hold secrets in their variables, set-id files, and, where there
//! are advisories in OSV's JSON, packages with known vulnerabilities that lock files of Cargo, npm, PyPI and Go name. It
//! knows no packages of Linux distributions. What it cannot look through, it never calls clean.

mod locks;
mod osv;
mod sbom;
mod secrets;
mod setup;
#[cfg(test)]
mod tests;
mod walk;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use longshore_events::types::ScanScope;
use longshore_ports::{Blobs, Hints, ScanOrder};

use crate::desk::{Broken, Desk, Look, Looked};
use crate::names::Repository;
use crate::server::Store;

/// The version of the rules: another, when an image may show something else to them.
const RULES: &str = "1";
/// The longest bill of materials, in bytes: a blob holds it.
pub(crate) const MAX_SBOM: usize = 48 << 20;

/// What the scanner is made of.
pub struct Parts {
    /// The images.
    pub store: Store,
    /// Where findings go.
    pub blobs: Arc<dyn Blobs>,
    /// Who is told when a scan has ended.
    pub hints: Arc<dyn Hints>,
    /// The folder of advisories, where there is one.
    pub advisories: Option<PathBuf>,
}

/// The host's own scanner. It looks into one image at a time.
pub type Checks = Desk<Rules>;

/// The host's own rules, and the advisories beside them.
pub struct Rules {
    store: Store,
    advisories: Option<PathBuf>,
}

impl Checks {
    /// A scanner of these parts.
    pub fn new(parts: Parts) -> Self {
        let Parts { store, blobs, hints, advisories } = parts;
        Self::of(Rules { store, advisories }, blobs, hints)
    }
}

#[async_trait]
impl Look for Rules {
    const NAME: &'static str = "built-in";

    async fn version(&self) -> Result<String, String> {
        version(self.advisories.clone()).await
    }

    async fn look(&self, order: &ScanOrder) -> Result<Looked, Broken> {
        let (store, advisories, image) = (self.store.clone(), self.advisories.clone(), order.clone());
        let looked = tokio::task::spawn_blocking(move || look(&store, advisories.as_deref(), &image)).await;
        looked.unwrap_or_else(|error| Err(Broken::failed(format!("the scan broke off: {error}"))))
    }
}

/// The version of the rules and the advisories together. Where the advisories cannot be read, why.
async fn version(advisories: Option<PathBuf>) -> Result<String, String> {
    let Some(folder) = advisories else { return Ok(RULES.to_owned()) };
    let read = tokio::task::spawn_blocking(move || osv::version(&folder)).await;
    let read = read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    Ok(format!("{RULES}+{read}"))
}

fn look(store: &Store, advisories: Option<&Path>, order: &ScanOrder) -> Result<Looked, Broken> {
    let name = order.image.name.as_str();
    let repository: Repository = name.parse().map_err(|_| {
        let why = "lies in another registry, and only images of the host's own can be looked into";
        Broken::unsupported(format!("{name} {why}"))
    })?;
    let mut seen = walk::walk(store, repository, &order.image.digest)?;
    let mut scope = vec![ScanScope::Secrets, ScanScope::Configuration];
    if let Some(folder) = advisories {
        let found = osv::find(folder, &seen.packages);
        seen.findings.extend(found.map_err(Broken::failed)?);
        scope.insert(0, ScanScope::Vulnerabilities);
    }
    let sbom = Some(sbom::write(&order.image, &seen.packages)).filter(|sbom| sbom.len() <= MAX_SBOM);
    Ok(Looked { scope, findings: seen.findings, sbom })
}
