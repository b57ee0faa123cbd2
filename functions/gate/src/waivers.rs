//! Findings that somebody has accepted for a while.

use std::collections::BTreeMap;

use longshore_events::{
    Digest,
    types::{ImageScanned, Severity},
};
use longshore_ports::{BlobRef, ErrorKind, Findings, PortError};
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
        let listed = scan.findings_ref.as_ref().and_then(|listed| Digest::new(listed).ok());
        let Some(listed) = listed.filter(|_| !self.policy.waivers.is_empty()) else { return Ok(Vec::new()) };
        let text = match self.blobs.get(&BlobRef(listed)).await {
            Ok(text) => text,
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        // A list that cannot be read waives nothing.
        let findings: Findings = serde_json::from_slice(&text).unwrap_or_default();
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
