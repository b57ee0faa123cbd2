//! Findings that somebody has accepted for a while.

use std::collections::BTreeMap;

use longshore_events::types::{ImageScanned, Severity};
use longshore_ports::{Findings, PortError};
use serde::{Deserialize, Serialize};

use crate::Gate;

/// So many findings of a scan that a waiver names, whatever its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waivable {
    /// The finding's id.
    pub id: String,
    /// Its severity.
    pub severity: Severity,
    /// How many there are.
    pub count: u64,
}

impl Gate {
    /// The findings of a scan that a waiver names. Of a list that is cut, only what is listed can be waived.
    pub(crate) async fn waivable(&self, scan: &ImageScanned) -> Result<Vec<Waivable>, PortError> {
        if self.policy.waivers.is_empty() {
            return Ok(Vec::new());
        }
        // A list that cannot be read waives nothing.
        let findings = Findings::of(&*self.blobs, scan).await?;
        let mut found: BTreeMap<(&str, Severity), u64> = BTreeMap::new();
        for finding in &findings.findings {
            if self.policy.waivers.iter().any(|waiver| waiver.id == finding.id) {
                *found.entry((&finding.id, finding.severity)).or_default() += 1;
            }
        }
        let waivable = found.into_iter();
        Ok(waivable.map(|((id, severity), count)| Waivable { id: id.to_owned(), severity, count }).collect())
    }
}
