//! Orders for this crate's unit tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use longshore_events::{Digest, EnvironmentName, ImageName, ImageRef, ServiceName};
use longshore_ports::{Desired, DesiredRelease, Health, ProbeTarget, RunSpec, Workload};
use tokio::sync::Notify;

use crate::changes::Changes;
use crate::release::cell::Cell;

/// The workload `prod/shop`.
pub(crate) fn workload() -> Workload {
    workload_of("prod", "shop")
}

/// A workload by its names.
pub(crate) fn workload_of(environment: &str, service: &str) -> Workload {
    Workload {
        environment: EnvironmentName::new(environment).unwrap(),
        service: ServiceName::new(service).unwrap(),
    }
}

/// An order for `prod/shop`.
pub(crate) fn desired(generation: u64, step: u32, releases: Vec<DesiredRelease>) -> Desired {
    Desired { workload: workload(), generation, step, releases }
}

/// A release of the image whose digest is 64 times `digit`.
pub(crate) fn release(release: u64, digit: char, weight: u8) -> DesiredRelease {
    let digest = Digest::new(format!("sha256:{}", digit.to_string().repeat(64))).unwrap();
    DesiredRelease {
        release,
        image: ImageRef::new(ImageName::new("shop").unwrap(), digest),
        weight,
        run: RunSpec {
            env: BTreeMap::new(),
            args: None,
            ready: Health { target: ProbeTarget::Tcp, interval_ms: 100, timeout_ms: 500, failures: 1 },
            health: None,
            drain_ms: 1000,
            stop_ms: 1000,
        },
        manifests: None,
    }
}

/// A release that exists only here.
pub(crate) fn cell(number: u64) -> Arc<Cell> {
    let digest = release(number, 'a', 0).image.digest;
    let (changes, wake) = (Arc::new(Changes::new(0)), Arc::new(Notify::new()));
    Arc::new(Cell::new(workload(), number, digest, "log".into(), changes, wake))
}
