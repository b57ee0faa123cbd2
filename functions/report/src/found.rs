//! New findings in what runs, of which people are told with what mends them.

use std::collections::BTreeSet;

use longshore_events::Fact as _;
use longshore_events::types::{ImageScanned, ScanStatus, Severity};
use longshore_policy::Policy;
use longshore_ports::{Findings, Notice, PortError, running};
use serde::{Deserialize, Serialize};

use crate::Report;

/// What begins the units of images.
pub(crate) const PREFIX: &str = "findings/";
/// So many findings of an image are known; whoever has more needs no list of new ones.
const KNOWN: usize = 2_000;
/// So many are named in a notice.
const NAMED: usize = 10;

/// What is seen of an image that was scanned.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Scanned {
    /// Who runs it: `environment/service`.
    pub runs_in: Vec<String>,
    /// What was found whole, and blocks where it runs.
    pub blocking: Vec<Blocking>,
}

/// A finding that keeps images out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Blocking {
    /// How bad it is.
    pub severity: Severity,
    /// The finding's id.
    pub id: String,
    /// The package and its version, or the place.
    pub what: String,
    /// The version that mends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<String>,
}

impl Blocking {
    fn name(&self) -> String {
        format!("{} {}", self.id, self.what)
    }
}

/// The unit of an image that some service may run.
pub(crate) fn unit(policy: &Policy, scan: &ImageScanned) -> Option<String> {
    let known = policy.services.iter().any(|service| service.image == scan.image);
    known.then(|| format!("{PREFIX}{}@{}", scan.image, scan.digest))
}

impl Report {
    /// What was said last of an image, and who runs it; `None` when the last scan did not look through all of it.
    pub(crate) async fn scanned(&self, image: &str) -> Result<Option<Scanned>, PortError> {
        let said = self.facts.latest(ImageScanned::KIND, image).await?;
        let Some(scan) = said.as_ref().and_then(|event| ImageScanned::from_data(&event.data)) else {
            return Ok(None);
        };
        if scan.status != ScanStatus::Complete {
            return Ok(None);
        }
        let (mut runs_in, mut block) = (Vec::new(), BTreeSet::new());
        for (environment, service) in self.policy.places_of(&scan.image) {
            let digest = running(&*self.facts, &environment.name, &service.name).await?;
            if digest.as_ref() == Some(&scan.digest) {
                runs_in.push(format!("{}/{}", environment.name, service.name));
                block.extend(environment.gate.block.iter().copied());
            }
        }
        let mut blocking = self.blocking(scan, &block).await?;
        blocking.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.cmp(b)));
        blocking.dedup_by_key(|finding| finding.name());
        blocking.truncate(KNOWN);
        Ok(Some(Scanned { runs_in, blocking }))
    }

    /// The findings of these severities that no waiver names.
    async fn blocking(
        &self,
        scan: &ImageScanned,
        block: &BTreeSet<Severity>,
    ) -> Result<Vec<Blocking>, PortError> {
        let findings = Findings::of(&*self.blobs, scan).await?;
        let counts = |id: &str| !self.policy.waivers.iter().any(|waiver| waiver.id == id);
        let bad =
            findings.findings.into_iter().filter(|one| block.contains(&one.severity) && counts(&one.id));
        let blocking = bad.map(|finding| {
            let package = finding.package.map(|package| match finding.version {
                Some(version) => format!("{package} {version}"),
                None => package,
            });
            let what = package.or(finding.place).unwrap_or_default();
            Blocking { severity: finding.severity, id: finding.id, what, fixed: finding.fixed }
        });
        Ok(blocking.collect())
    }
}

/// What is new since the last look; the first look knows nothing that is new, and what does not run concerns nobody.
/// Answers what is known from now on, too.
pub(crate) fn news(
    known: Option<&BTreeSet<String>>,
    scanned: &Scanned,
) -> (BTreeSet<String>, Option<Notice>) {
    let names: BTreeSet<String> = scanned.blocking.iter().map(Blocking::name).collect();
    let is_new = |finding: &&Blocking| known.is_some_and(|known| !known.contains(&finding.name()));
    let new: Vec<&Blocking> = scanned.blocking.iter().filter(is_new).collect();
    let notice = (!new.is_empty() && !scanned.runs_in.is_empty()).then(|| notice(&new, &scanned.runs_in));
    (names, notice)
}

fn notice(new: &[&Blocking], runs_in: &[String]) -> Notice {
    let places = runs_in.join(", ");
    let mut lines: Vec<String> = new.iter().take(NAMED).map(|finding| line(finding)).collect();
    if new.len() > NAMED {
        lines.push(format!("and {} more", new.len() - NAMED));
    }
    let mended = new.iter().filter(|finding| finding.fixed.is_some()).count();
    if mended > 0 {
        lines.push(format!(
            "{mended} of {} are mended in newer versions: take them up, and push, to rebuild.",
            new.len()
        ));
    }
    let service = runs_in[0].split('/').next_back().unwrap_or_default();
    lines.push(format!("longshore findings {service} lists all."));
    let findings =
        if new.len() == 1 { "1 new finding".to_owned() } else { format!("{} new findings", new.len()) };
    Notice { title: format!("{findings} in what runs as {places}"), text: lines.join("\n") }
}

fn line(finding: &Blocking) -> String {
    let Blocking { severity, id, what, fixed } = finding;
    let severity = format!("{severity:?}").to_lowercase();
    let mended = fixed.as_ref().map(|fixed| format!(", mended in {fixed}")).unwrap_or_default();
    format!("{id} ({severity}) in {what}{mended}")
}
