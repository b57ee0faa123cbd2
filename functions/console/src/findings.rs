//! What scans found in what runs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use longshore_events::types::ImageScanned;
use longshore_events::{Fact as _, ImageRef};
use longshore_ports::{Findings, PortError, running};

use crate::api::{FindingsOfImages, FindingsQuery, ImageFindings, KnownFinding, LastScan};
use crate::{Console, Refused};

/// Findings of one image in an answer, at most.
const LISTED: usize = 1_000;

impl Console {
    pub(crate) async fn findings(&self, asked: &FindingsQuery) -> Result<FindingsOfImages, Refused> {
        self.named(asked.environment.as_deref(), asked.service.as_deref())?;
        let now = self.clock.now();
        let mut images = Vec::new();
        for (image, runs_in) in self.images_that_run(asked).await? {
            images.push(self.of_image(&image, runs_in, asked, now).await?);
        }
        Ok(FindingsOfImages { at: now, images })
    }

    /// The images of the last rollouts, and who runs each.
    async fn images_that_run(
        &self,
        asked: &FindingsQuery,
    ) -> Result<BTreeMap<ImageRef, Vec<String>>, PortError> {
        let wanted = |given: &Option<String>, name: &str| given.as_ref().is_none_or(|given| given == name);
        let mut images: BTreeMap<ImageRef, Vec<String>> = BTreeMap::new();
        for environment in
            self.policy.environments.iter().filter(|one| wanted(&asked.environment, one.name.as_str()))
        {
            for name in environment.services.iter().filter(|name| wanted(&asked.service, name.as_str())) {
                let Some(service) = self.policy.service(name) else { continue };
                if let Some(digest) = running(&*self.journal, &environment.name, name).await? {
                    let runs_in = images.entry(ImageRef::new(service.image.clone(), digest)).or_default();
                    runs_in.push(format!("{}/{name}", environment.name));
                }
            }
        }
        Ok(images)
    }

    async fn of_image(
        &self,
        image: &ImageRef,
        runs_in: Vec<String>,
        asked: &FindingsQuery,
        now: Timestamp,
    ) -> Result<ImageFindings, PortError> {
        let last = self.journal.latest(ImageScanned::KIND, &image.to_string()).await?;
        let said = last.and_then(|event| Some((ImageScanned::from_data(&event.data)?.clone(), event.time)));
        let mut found = ImageFindings {
            image: image.to_string(),
            runs_in,
            scan: None,
            findings: Vec::new(),
            total: 0,
            mended: 0,
        };
        let Some((scan, at)) = said else { return Ok(found) };
        let mut findings = Findings::of(&*self.blobs, &scan).await?.findings;
        findings.retain(|finding| asked.severity.is_none_or(|least| finding.severity >= least));
        findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.id.cmp(&b.id)));
        found.total = findings.len();
        found.mended = findings.iter().filter(|finding| finding.fixed.is_some()).count();
        findings.truncate(LISTED);
        let known = findings.into_iter().map(|finding| {
            let waivers =
                self.policy.waivers.iter().filter(|waiver| waiver.id == finding.id && waiver.until > now);
            KnownFinding { waived_until: waivers.map(|waiver| waiver.until).max(), finding }
        });
        found.findings = known.collect();
        let ImageScanned { scanner, database, status, reason, counts, .. } = scan;
        found.scan = Some(LastScan { scanner, database, at, status, reason, counts });
        Ok(found)
    }
}
