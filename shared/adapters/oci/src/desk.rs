//! Scans by key, for scanners that this host runs: each is begun once, one goes on at a time, and an image is looked into
//! once for each version of what it is compared with.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use longshore_events::types::{ScanScope, ScanStatus};
use longshore_ports::{
    BlobRef, Blobs, Findings, Hints, Key, PortError, ScanOrder, ScanReport, ScanState, Scanner,
    ScannerVersion,
};
use tokio::sync::Semaphore;

/// So many scans that ended are remembered; the journal remembers what was said of the others.
const REMEMBERED: usize = 1_000;

/// What looks into an image.
#[async_trait]
pub(crate) trait Look: Send + Sync + 'static {
    /// Its name in events.
    const NAME: &'static str;

    /// The version of its rules and advisories together; else why it cannot be told.
    async fn version(&self) -> Result<String, String>;

    /// Looks through an image.
    async fn look(&self, order: &ScanOrder) -> Result<Looked, Broken>;
}

/// What came of a look through all of an image.
pub(crate) struct Looked {
    pub(crate) scope: Vec<ScanScope>,
    pub(crate) findings: Findings,
    /// `None` where it would be too long for a blob.
    pub(crate) sbom: Option<Vec<u8>>,
}

/// Why an image could not be looked through.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) status: ScanStatus,
    pub(crate) why: String,
}

impl Broken {
    #[expect(clippy::needless_pass_by_value, reason = "it maps errors")]
    pub(crate) fn failed(why: impl ToString) -> Self {
        Self { status: ScanStatus::Failed, why: why.to_string() }
    }

    #[expect(clippy::needless_pass_by_value, reason = "it maps errors")]
    pub(crate) fn unsupported(why: impl ToString) -> Self {
        Self { status: ScanStatus::Unsupported, why: why.to_string() }
    }
}

/// A scanner. Clones are one scanner.
pub struct Desk<L>(Arc<Inner<L>>);

impl<L> Clone for Desk<L> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Inner<L> {
    look: L,
    blobs: Arc<dyn Blobs>,
    hints: Arc<dyn Hints>,
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

impl<L> Desk<L> {
    /// `blobs` takes the findings, `hints` is told when a scan has ended.
    pub(crate) fn of(look: L, blobs: Arc<dyn Blobs>, hints: Arc<dyn Hints>) -> Self {
        Self(Arc::new(Inner { look, blobs, hints, turn: Semaphore::new(1), scans: Mutex::default() }))
    }
}

impl<L: Look> Inner<L> {
    fn scans(&self) -> MutexGuard<'_, Scans> {
        self.scans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks into an image, and remembers what was seen. What could not be stored must be begun again.
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
        self.hints.hint(&key.function, &key.unit);
    }

    async fn report(self: &Arc<Self>, order: &ScanOrder) -> Result<ScanReport, PortError> {
        let Ok(_turn) = self.turn.acquire().await else {
            return Err(PortError::unavailable("scan", "the scanner has ended"));
        };
        let unknown = |status, why: &str| Ok(ScanReport::unknown(L::NAME, status, one_line(why)));
        let version = match self.look.version().await {
            Ok(version) => version,
            Err(why) => return unknown(ScanStatus::Failed, &why),
        };
        if let Some(known) = self.scans().whole.get(&(order.image.digest.to_string(), version.clone())) {
            return Ok(known.clone());
        }
        let (scanner, image) = (self.clone(), order.clone());
        // Of its own, so that a look that panics has failed, and does not go on for ever.
        let looked = tokio::spawn(async move { scanner.look.look(&image).await }).await;
        let broke_off = |error| Err(Broken::failed(format!("the scan broke off: {error}")));
        let looked = match looked.unwrap_or_else(broke_off) {
            Ok(looked) => looked,
            Err(broken) => return unknown(broken.status, &broken.why),
        };
        let counts = looked.findings.counts;
        let listed = match looked.findings.into_json() {
            Ok(listed) => listed,
            Err(error) => return unknown(ScanStatus::Failed, &error.to_string()),
        };
        let BlobRef(findings) = self.blobs.put(listed).await?;
        let sbom = match looked.sbom {
            Some(sbom) => Some(self.blobs.put(sbom).await?.0.to_string()),
            None => None,
        };
        Ok(ScanReport {
            scanner: L::NAME.into(),
            database: Some(version),
            scope: looked.scope,
            status: ScanStatus::Complete,
            reason: None,
            counts,
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

fn one_line(text: &str) -> String {
    text.split(char::is_control).collect::<Vec<_>>().join(" ")
}

#[async_trait]
impl<L: Look> Scanner for Desk<L> {
    async fn version(&self) -> Result<ScannerVersion, PortError> {
        // Advisories that cannot be read are a reason to scan anew: the scan says why it fails.
        let database = self.0.look.version().await.unwrap_or_else(|_| "unreadable".into());
        Ok(ScannerVersion { scanner: L::NAME.into(), database: Some(database) })
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
