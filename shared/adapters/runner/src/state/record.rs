//! What is durable of a release that exists.

use std::collections::BTreeMap;

use longshore_events::{Digest, ImageName, ImageRef};
use longshore_ports::{DesiredRelease, Health, ProbeTarget, RunSpec, Workload};
use serde::{Deserialize, Serialize};

use super::Stored;
use crate::process::Incarnation;

/// What is durable of a release that exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The release as it was ordered last: no order names it any more while it waits for its successor.
    pub(crate) wanted: DesiredRelease,
    /// How often a process was started for it.
    pub(crate) starts: u32,
    /// The process that was started last.
    pub(crate) process: Option<Incarnation>,
    /// The port given to it.
    pub(crate) port: u16,
    /// Whether this process has been ready.
    pub(crate) ready: bool,
    /// How long it took to listen, in milliseconds.
    pub(crate) boot_ms: Option<u64>,
}

impl Record {
    /// A release that has no process yet; `starts` is how often one was started for it in the past.
    pub(crate) fn new(wanted: &DesiredRelease, starts: Option<u32>) -> Self {
        let starts = starts.unwrap_or(0);
        Self { wanted: wanted.clone(), starts, process: None, port: 0, ready: false, boot_ms: None }
    }
}

/// A record as it may be in a file: earlier versions wrote the number and the digest instead of the whole release.
#[derive(Deserialize)]
pub(super) struct Written {
    wanted: Option<DesiredRelease>,
    release: Option<u64>,
    digest: Option<Digest>,
    starts: u32,
    process: Option<Incarnation>,
    port: u16,
    ready: bool,
    boot_ms: Option<u64>,
}

impl Written {
    pub(super) fn record(self, stored: &Stored) -> Option<Record> {
        let Self { starts, process, port, ready, boot_ms, .. } = self;
        let wanted = self.wanted.or_else(|| {
            let (release, digest) = (self.release?, self.digest?);
            stored.named(release).cloned().or_else(|| stray(release, digest, &stored.desired.workload))
        });
        Some(Record { wanted: wanted?, starts, process, port, ready, boot_ms })
    }
}

/// A release of an earlier version that no order names: how it runs is not known, and it only has to end.
fn stray(release: u64, digest: Digest, workload: &Workload) -> Option<DesiredRelease> {
    let image = ImageRef::new(ImageName::new(workload.service.as_str()).ok()?, digest);
    let ready = Health { target: ProbeTarget::Tcp, interval_ms: 1000, timeout_ms: 1000, failures: 1 };
    let (env, args, health) = (BTreeMap::new(), None, None);
    let run = RunSpec { env, args, ready, health, drain_ms: 0, stop_ms: 10_000 };
    Some(DesiredRelease { release, image, weight: 0, run, manifests: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{desired, release};

    #[test]
    fn a_record_of_an_earlier_version_is_read() {
        let stored = Stored::new(desired(3, 1, vec![release(3, 'a', 100)]));
        let [stray, named] = [2, 3].map(|number| {
            let digest = &stored.desired.releases[0].image.digest;
            let old = serde_json::json!({
                "release": number, "digest": digest, "starts": 1, "process": { "pid": 7, "started": 8 },
                "port": 9, "ready": true, "boot_ms": 10
            });
            serde_json::from_value::<Written>(old).unwrap().record(&stored).unwrap()
        });
        assert_eq!((named.wanted, named.port), (stored.desired.releases[0].clone(), 9));
        assert_eq!((stray.wanted.release, stray.process.map(|process| process.pid)), (2, Some(7)));
    }
}
