//! What looks into images: the host's own scanner, or Trivy.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use longshore_oci::checks::{Checks, Parts};
use longshore_oci::server::Store;
use longshore_oci::trivy::{Parts as TrivyParts, TrivyScanner};
use longshore_policy::Trivy;
use longshore_ports::{Scanner, Secrets as _};

use super::assemble::build_environment;
use super::system::System;

/// What looks into images.
pub(super) async fn scanner(system: &System, store: &Store) -> Result<Arc<dyn Scanner>> {
    let System { policy, blobs, clock, secrets, bus, ready, .. } = system;
    let (store, blobs, hints) = (store.clone(), blobs.clone(), Arc::new(bus.clone()));
    let Some(Trivy { program, cache, server, token, max_age_ms }) = policy.scan.trivy.clone() else {
        let advisories = policy.scan.advisories.clone().map(PathBuf::from);
        return Ok(Arc::new(Checks::new(Parts { store, blobs, hints, advisories })));
    };
    let token = match &token {
        Some(name) => secrets
            .get(name)
            .await?
            .first()
            .map(|token| String::from_utf8_lossy(token.expose()).trim().to_owned()),
        None => None,
    };
    Ok(Arc::new(TrivyScanner::new(TrivyParts {
        store,
        blobs,
        hints,
        clock: clock.clone(),
        program,
        cache: cache.map(PathBuf::from),
        server: server.map(|server| (server, token)),
        max_age: Duration::from_millis(max_age_ms),
        within: Duration::from_millis(policy.scan.timeout_ms),
        environment: build_environment(),
        folder: ready.data.join("trivy"),
    })))
}
