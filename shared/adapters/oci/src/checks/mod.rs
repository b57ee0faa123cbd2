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

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use longshore_events::types::{ScanScope, ScanStatus};
use longshore_ports::{
    BlobRef, Blobs, Hints, Key, PortError, ScanOrder, ScanReport, ScanState, Scanner, ScannerVersion,
};
use tokio::sync::Semaphore;

use crate::names::Repository;
use crate::server::Store;

/// Its name in events.
const NAME: &str = "built-in";
/// The version of the rules: another, when an image may show something else to them.
const RULES: &str = "1";
/// The longest bill of materials, in bytes: a blob holds it.
const MAX_SBOM: usize = 48 << 20;
/// So many scans that ended are remembered; the journal remembers what was said of the others.
const REMEMBERED: usize = 1_000;

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

/// The host's own scanner. Clones are one scanner. It looks into one image at a time.
#[derive(Clone)]
pub struct Checks(Arc<Inner>);

struct Inner {
    parts: Parts,
    turn: Semaphore,
    scans: Mutex<Scans>,
}

#[derive(Default)]
struct Scans {
    /// By key; `None` while it goes on.
    by_key: HashMap<String, Option<ScanReport>>,
    /// By digest and version: an image under another name is the same image.
    whole: HashMap<(String, String), ScanReport>,
    /// Keys of scans that ended, the oldest first.
    ended: VecDeque<(String, Option<(String, String)>)>,
}

impl Checks {
    /// A scanner of these parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner { parts, turn: Semaphore::new(1), scans: Mutex::default() }))
    }
}

impl Inner {
    fn scans(&self) -> MutexGuard<'_, Scans> {
        self.scans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks into an image, and remembers what it saw. What could not be stored must be begun again.
    async fn scan(self: Arc<Self>, key: Key, order: ScanOrder) {
        let report = self.report(&order).await;
        let name = key.to_string();
        match report {
            Ok(report) => self.scans().end(name, &order, report),
            Err(error) => {
                tracing::warn!(image = %order.image, %error, "the scan is begun again");
                self.scans().by_key.remove(&name);
            }
        }
        self.parts.hints.hint(&key.function, &key.unit);
    }

    async fn report(&self, order: &ScanOrder) -> Result<ScanReport, PortError> {
        let Ok(_turn) = self.turn.acquire().await else {
            return Err(PortError::unavailable("scan", "the scanner has ended"));
        };
        let version = version(self.parts.advisories.clone()).await;
        if let Ok(version) = &version
            && let Some(known) = self.scans().whole.get(&(order.image.digest.to_string(), version.clone()))
        {
            return Ok(known.clone());
        }
        let (store, advisories, image) =
            (self.parts.store.clone(), self.parts.advisories.clone(), order.clone());
        let looked = tokio::task::spawn_blocking(move || look(&store, advisories.as_deref(), &image)).await;
        let looked = looked.unwrap_or_else(|error| {
            Err(walk::Broken { status: ScanStatus::Failed, why: format!("the scan broke off: {error}") })
        });
        let (looked, version) = match (looked, version) {
            (Ok(looked), Ok(version)) => (looked, version),
            (Err(broken), _) => return Ok(ScanReport::unknown(NAME, broken.status, one_line(&broken.why))),
            (_, Err(why)) => return Ok(ScanReport::unknown(NAME, ScanStatus::Failed, one_line(&why))),
        };
        let BlobRef(findings) = self.parts.blobs.put(looked.listed).await?;
        let sbom = match looked.sbom {
            Some(sbom) => Some(self.parts.blobs.put(sbom).await?.0.to_string()),
            None => None,
        };
        Ok(ScanReport {
            scanner: NAME.into(),
            database: Some(version),
            scope: looked.scope,
            status: ScanStatus::Complete,
            reason: None,
            counts: looked.counts,
            findings_ref: Some(findings.to_string()),
            sbom_ref: sbom,
        })
    }
}

impl Scans {
    fn end(&mut self, key: String, order: &ScanOrder, report: ScanReport) {
        let version = report.database.clone().filter(|_| report.status == ScanStatus::Complete);
        let whole = version.map(|version| (order.image.digest.to_string(), version));
        if let Some(whole) = &whole {
            self.whole.insert(whole.clone(), report.clone());
        }
        self.by_key.insert(key.clone(), Some(report));
        self.ended.push_back((key, whole));
        if self.ended.len() > REMEMBERED
            && let Some((key, whole)) = self.ended.pop_front()
        {
            self.by_key.remove(&key);
            whole.and_then(|whole| self.whole.remove(&whole));
        }
    }
}

/// The version of the rules and the advisories together. Where the advisories cannot be read, why.
async fn version(advisories: Option<PathBuf>) -> Result<String, String> {
    let Some(folder) = advisories else { return Ok(RULES.to_owned()) };
    let read = tokio::task::spawn_blocking(move || osv::version(&folder)).await;
    let read = read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    Ok(format!("{RULES}+{read}"))
}

/// What came of a look.
struct Looked {
    scope: Vec<ScanScope>,
    counts: longshore_events::types::SeverityCounts,
    listed: Vec<u8>,
    /// `None` where it would be too long.
    sbom: Option<Vec<u8>>,
}

fn look(store: &Store, advisories: Option<&Path>, order: &ScanOrder) -> Result<Looked, walk::Broken> {
    let broken = |status, why: String| walk::Broken { status, why };
    let name = order.image.name.as_str();
    let repository: Repository = name.parse().map_err(|_| {
        let why =
            format!("{name} lies in another registry, and only images of the host's own can be looked into");
        broken(ScanStatus::Unsupported, why)
    })?;
    let mut seen = walk::walk(store, repository, &order.image.digest)?;
    let mut scope = vec![ScanScope::Secrets, ScanScope::Configuration];
    if let Some(folder) = advisories {
        let found = osv::find(folder, &seen.packages);
        let found = found.map_err(|error| broken(ScanStatus::Failed, error.to_string()))?;
        seen.findings.extend(found);
        scope.insert(0, ScanScope::Vulnerabilities);
    }
    let counts = seen.findings.counts;
    let listed = seen.findings.into_json().map_err(|error| broken(ScanStatus::Failed, error.to_string()))?;
    let sbom = Some(sbom::write(&order.image, &seen.packages)).filter(|sbom| sbom.len() <= MAX_SBOM);
    Ok(Looked { scope, counts, listed, sbom })
}

fn one_line(text: &str) -> String {
    text.split(char::is_control).collect::<Vec<_>>().join(" ")
}

#[async_trait]
impl Scanner for Checks {
    async fn version(&self) -> Result<ScannerVersion, PortError> {
        // Advisories that cannot be read are a reason to scan anew: the scan says why it fails.
        let database = version(self.0.parts.advisories.clone()).await;
        let database = database.unwrap_or_else(|_| format!("{RULES}+unreadable"));
        Ok(ScannerVersion { scanner: NAME.into(), database: Some(database) })
    }

    async fn start(&self, key: &Key, order: &ScanOrder) -> Result<(), PortError> {
        order.stands_under(key)?;
        let name = key.to_string();
        {
            let mut scans = self.0.scans();
            if scans.by_key.contains_key(&name) {
                return Ok(());
            }
            scans.by_key.insert(name, None);
        }
        tokio::spawn(self.0.clone().scan(key.clone(), order.clone()));
        Ok(())
    }

    async fn find(&self, key: &Key, _order: &ScanOrder) -> Result<Option<ScanState>, PortError> {
        let scans = self.0.scans();
        let found = scans.by_key.get(&key.to_string());
        Ok(found.map(|report| report.clone().map_or(ScanState::Running, ScanState::Ended)))
    }
}
