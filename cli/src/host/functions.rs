//! The functions that the host runs, without their types, and the routing table made from them.

use std::sync::Arc;

use async_trait::async_trait;
use longshore_events::{Event, Takes};
use longshore_frame::{Call, Frame, Function, handle};
use longshore_ports::{PortError, journal::Routes};

/// A function that the host can run.
#[async_trait]
pub(crate) trait Runs: Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;
    /// The units that an event concerns; none when it is not the function's.
    fn units(&self, event: &Event) -> Vec<String>;
    /// Runs it for one call.
    async fn run(&self, invocation: &str, call: Call) -> Result<(), PortError>;
}

/// A function with what it needs to run.
struct Hosted<F> {
    function: F,
    frame: Frame,
}

/// Hides a function's types.
pub(crate) fn hosted<F: Function>(function: F, frame: &Frame) -> Arc<dyn Runs> {
    Arc::new(Hosted { function, frame: frame.clone() })
}

#[async_trait]
impl<F: Function> Runs for Hosted<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn units(&self, event: &Event) -> Vec<String> {
        F::Input::from_data(&event.data).map(|input| self.function.units(&input)).unwrap_or_default()
    }

    async fn run(&self, invocation: &str, call: Call) -> Result<(), PortError> {
        handle(&self.function, &self.frame, invocation, call).await
    }
}

/// What a function takes, for the routing table.
pub(crate) fn route<F: Function>() -> (&'static str, &'static [&'static str]) {
    (F::NAME, F::Input::KINDS)
}

/// Which function is owed which event types. The journal writes deliveries by it, in the commit of the event.
pub(crate) fn routes() -> Routes {
    Routes(vec![
        route::<longshore_build::Build>(),
        route::<longshore_deploy::Deploy>(),
        route::<longshore_gate::Gate>(),
        route::<longshore_intake::RefCheck>(),
        route::<longshore_report::Report>(),
        route::<longshore_scan::Scan>(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_routing_table_is_what_the_functions_take() {
        let table: Vec<_> =
            routes().0.iter().map(|(name, kinds)| format!("{name}: {}", kinds.join(" "))).collect();
        assert_eq!(
            table,
            [
                "build: dev.longshore.push.received.v1",
                "deploy: dev.longshore.gate.evaluated.v1 dev.longshore.request.made.v1",
                "gate: dev.longshore.image.pushed.v1 dev.longshore.image.scanned.v1 dev.longshore.build.finished.v1 \
                 dev.longshore.approval.given.v1 dev.longshore.deployment.finished.v1 dev.longshore.digest.quarantined.v1 \
                 dev.longshore.digest.released.v1",
                "refcheck: dev.longshore.push.received.v1",
                "report: dev.longshore.build.started.v1 dev.longshore.build.finished.v1 \
                 dev.longshore.deployment.started.v1 dev.longshore.deployment.finished.v1 \
                 dev.longshore.image.scanned.v1 dev.longshore.event.deadlettered.v1",
                "scan: dev.longshore.image.pushed.v1 dev.longshore.deployment.finished.v1",
            ]
        );
    }
}
