//! Trivy as the scanner of a host: its command looks into each image, alone or as the client of a Trivy server.
//!
//! An image of the host's own registry is handed over as a folder in OCI's image layout; any other one Trivy pulls by
//! itself. What Trivy does not look through is never called clean: no answer, an answer that is none, a distribution that it
//! knows no advisories of or that gets none any more, advisories that are too old.
//!
//! Source: Trivy's "Command line reference" and its JSON report, schema version 2.

mod command;
mod layout;
mod report;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use longshore_events::types::{ScanScope, ScanStatus};
use longshore_events::{Digest, ImageName};
use longshore_ports::{Blobs, Clock, Findings, Hints, ScanOrder};
use serde::Deserialize;

use crate::checks::MAX_SBOM;
use crate::desk::{Broken, Desk, Look, Looked};
use crate::names::Repository;
use crate::server::Store;
use command::Command;

/// How long what Trivy says of its database is believed.
const BELIEVED: SignedDuration = SignedDuration::from_secs(30);
/// How long fetching a database may take.
const FETCHING: Duration = Duration::from_mins(10);
/// How long Trivy may take to say its version.
const ASKING: Duration = Duration::from_secs(30);

/// What the scanner is made of.
pub struct Parts {
    /// The images of the host's own registry.
    pub store: Store,
    /// Where findings go.
    pub blobs: Arc<dyn Blobs>,
    /// Who is told when a scan has ended.
    pub hints: Arc<dyn Hints>,
    /// The time that the age of advisories is counted by.
    pub clock: Arc<dyn Clock>,
    /// Trivy's program: a path, or a name on the PATH of `environment`.
    pub program: String,
    /// The folder with a database that is used as it is; without it Trivy has its own, and fetches a newer one.
    pub cache: Option<PathBuf>,
    /// The server that has the database, and its token.
    pub server: Option<(String, Option<String>)>,
    /// How old advisories may be.
    pub max_age: Duration,
    /// How long one look may take.
    pub within: Duration,
    /// The environment of the command: nothing else of the host's is passed on.
    pub environment: BTreeMap<String, String>,
    /// A folder for what is handed over and answered, emptied after each scan.
    pub folder: PathBuf,
}

/// Trivy, one image at a time.
pub type TrivyScanner = Desk<Trivy>;

/// How Trivy is asked.
pub struct Trivy {
    store: Store,
    clock: Arc<dyn Clock>,
    command: Command,
    cache: Option<PathBuf>,
    server: Option<String>,
    max_age: Duration,
    within: Duration,
    folder: PathBuf,
    /// What was said of the database, and when.
    known: Mutex<Option<(Timestamp, Version)>>,
}

impl TrivyScanner {
    /// A scanner of these parts.
    pub fn new(parts: Parts) -> Self {
        let Parts { store, blobs, hints, clock, program, cache, server, max_age, within, folder, .. } = parts;
        let mut environment = parts.environment;
        let (server, token) = server.unzip();
        environment.extend(token.flatten().map(|token| ("TRIVY_TOKEN".to_owned(), token)));
        let command = Command { program, environment, folder: folder.clone() };
        let known = Mutex::default();
        Self::of(Trivy { store, clock, command, cache, server, max_age, within, folder, known }, blobs, hints)
    }
}

/// What `trivy version` says.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    version: String,
    #[serde(rename = "VulnerabilityDB")]
    database: Option<Database>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Database {
    updated_at: Timestamp,
    next_update: Timestamp,
}

impl Version {
    fn name(&self) -> String {
        let updated =
            self.database.as_ref().map_or_else(|| "none".to_owned(), |db| db.updated_at.to_string());
        format!("{} with {updated}", self.version)
    }
}

/// What a server says of itself, to anybody.
async fn asked_of(server: &str) -> reqwest::Result<Vec<u8>> {
    // Another part of the process may have installed it: either way one is there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().timeout(ASKING).build()?;
    let answer = client.get(format!("{}/version", server.trim_end_matches('/'))).send().await?;
    Ok(answer.error_for_status()?.bytes().await?.to_vec())
}

impl Trivy {
    /// Its version, and that of its database, which is fetched where it is old and Trivy's own.
    async fn asked(&self) -> Result<Version, String> {
        let now = self.clock.now();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, version)) = known
            && now.duration_since(at) < BELIEVED
        {
            return Ok(version);
        }
        let mut version = self.says().await?;
        let is_old = version.database.as_ref().is_none_or(|database| database.next_update <= now);
        if is_old && self.cache.is_none() && self.server.is_none() {
            let fetch = ["image", "--download-db-only", "--no-progress", "--disable-telemetry"];
            // Without the net an old database counts until it is too old.
            match self.command.run(&fetch.map(str::to_owned), FETCHING).await {
                Ok(()) => version = self.says().await?,
                Err(why) => tracing::warn!(%why, "Trivy could not fetch its database"),
            }
        }
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, version.clone()));
        Ok(version)
    }

    async fn says(&self) -> Result<Version, String> {
        let said = if let Some(server) = &self.server {
            asked_of(server).await.map_err(|error| format!("{server} says no version: {error}"))?
        } else {
            let words = ["version", "--format", "json"].map(str::to_owned).into_iter();
            let words: Vec<String> = words.chain(self.cache_words()).collect();
            self.command.say(&words, ASKING).await?
        };
        serde_json::from_slice(&said).map_err(|error| format!("trivy says no version: {error}"))
    }

    fn cache_words(&self) -> Vec<String> {
        let cache = self.cache.as_ref();
        cache
            .map(|cache| vec!["--cache-dir".to_owned(), cache.to_string_lossy().into_owned()])
            .unwrap_or_default()
    }

    /// Refuses to look by advisories that are too old, or by none.
    async fn fresh(&self) -> Result<(), Broken> {
        let version = self.asked().await.map_err(Broken::failed)?;
        let Some(database) = version.database else {
            return Err(Broken::failed(
                "trivy has no database of advisories; `trivy image --download-db-only` fetches one",
            ));
        };
        let age = self.clock.now().duration_since(database.updated_at).unsigned_abs();
        if age > self.max_age {
            let why = format!(
                "trivy's advisories are of {}, {} days old",
                database.updated_at,
                age.as_secs() / 86_400
            );
            return Err(Broken { status: ScanStatus::Expired, why });
        }
        Ok(())
    }

    /// Looks through one manifest; what is found goes to `findings`.
    async fn one(&self, name: &ImageName, digest: &Digest, found: &mut Found) -> Result<(), Broken> {
        let (layout, answer) = (self.folder.join("image"), self.folder.join("report.json"));
        command::emptied(&self.folder).await.map_err(Broken::failed)?;
        let mut words: Vec<String> = ["image", "--format", "json", "--output"].map(str::to_owned).to_vec();
        words.push(answer.to_string_lossy().into_owned());
        words.extend(report::WANTED.map(str::to_owned));
        words.extend(["--timeout".to_owned(), format!("{}s", self.within.as_secs().max(1))]);
        if let Some(server) = &self.server {
            words.extend(["--server".to_owned(), server.clone()]);
        } else {
            words.extend(["--skip-db-update", "--cache-backend", "memory"].map(str::to_owned));
            words.extend(self.cache_words());
            if self.cache.is_some() {
                words.extend(["--skip-java-db-update", "--offline-scan"].map(str::to_owned));
            }
        }
        let own = name.as_str().parse::<Repository>().ok();
        match &own {
            Some(repository) => {
                layout::write(&self.store, repository, digest, &layout)?;
                words.extend(["--input".to_owned(), layout.to_string_lossy().into_owned()]);
            }
            // In another registry.
            None => words.extend(
                ["--image-src", "remote"].map(str::to_owned).into_iter().chain([format!("{name}@{digest}")]),
            ),
        }
        self.command.run(&words, self.within).await.map_err(Broken::failed)?;
        let report = report::read(&answer)?;
        report.is_whole()?;
        if let (Some(repository), false) = (own, report.names_distribution()) {
            let (store, digest) = (self.store.clone(), digest.clone());
            let named =
                tokio::task::spawn_blocking(move || layout::distribution(&store, &repository, &digest));
            if let Some(name) = named.await.map_err(Broken::failed)?? {
                return Err(Broken::unsupported(format!("trivy knows no advisories of {name}")));
            }
        }
        for finding in report.findings() {
            let one =
                (finding.id.clone(), finding.package.clone(), finding.version.clone(), finding.place.clone());
            if found.seen.insert(one) {
                found.findings.add(finding);
            }
        }
        if found.sbom.is_none() {
            found.sbom = self.sbom(&answer).await;
        }
        Ok(())
    }

    /// The bill of materials of a report, unless it is too long.
    async fn sbom(&self, answer: &std::path::Path) -> Option<Vec<u8>> {
        let bill = self.folder.join("sbom.json");
        let words = ["convert", "--format", "cyclonedx", "--output"].map(str::to_owned).into_iter();
        let words: Vec<String> =
            words.chain([&bill, answer].map(|path| path.to_string_lossy().into_owned())).collect();
        match self.command.run(&words, self.within).await {
            Ok(()) => {}
            Err(why) => {
                tracing::warn!(%why, "trivy wrote no bill of materials");
                return None;
            }
        }
        let length = tokio::fs::metadata(&bill).await.ok()?.len();
        if length > MAX_SBOM as u64 {
            return None;
        }
        tokio::fs::read(&bill).await.ok()
    }
}

/// A finding, by what it is, the package with its version, and the place.
type Name = (String, Option<String>, Option<String>, Option<String>);

/// What was found so far in the manifests of an image. A finding in several of them counts once.
#[derive(Default)]
struct Found {
    findings: Findings,
    seen: HashSet<Name>,
    sbom: Option<Vec<u8>>,
}

#[async_trait]
impl Look for Trivy {
    const NAME: &'static str = "trivy";

    async fn version(&self) -> Result<String, String> {
        self.asked().await.map(|version| version.name())
    }

    async fn look(&self, order: &ScanOrder) -> Result<Looked, Broken> {
        self.fresh().await?;
        let mut found = Found::default();
        let mut looked = Ok(());
        for digest in order.manifests() {
            looked = self.one(&order.image.name, digest, &mut found).await;
            if looked.is_err() {
                break;
            }
        }
        let _ = command::emptied(&self.folder).await;
        looked?;
        let scope = vec![ScanScope::Vulnerabilities, ScanScope::Secrets];
        Ok(Looked { scope, findings: found.findings, sbom: found.sbom })
    }
}
