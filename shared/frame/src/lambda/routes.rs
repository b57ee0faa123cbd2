//! The routing table. One binary knows one function, and yet its commits write what is owed to all of them.

use longshore_ports::journal::Routes;

/// What every function takes: its `Input`'s `KINDS`. A test of the whole compares it with the functions.
const ROUTES: &[(&str, &[&str])] = &[
    ("build", &["dev.longshore.push.received.v1"]),
    ("deploy", &["dev.longshore.gate.evaluated.v1", "dev.longshore.request.made.v1"]),
    (
        "gate",
        &[
            "dev.longshore.image.pushed.v1",
            "dev.longshore.image.scanned.v1",
            "dev.longshore.build.finished.v1",
            "dev.longshore.approval.given.v1",
            "dev.longshore.deployment.finished.v1",
            "dev.longshore.digest.quarantined.v1",
            "dev.longshore.digest.released.v1",
        ],
    ),
    ("refcheck", &["dev.longshore.push.received.v1"]),
    (
        "report",
        &[
            "dev.longshore.build.started.v1",
            "dev.longshore.build.finished.v1",
            "dev.longshore.deployment.started.v1",
            "dev.longshore.deployment.finished.v1",
            "dev.longshore.image.scanned.v1",
            "dev.longshore.event.deadlettered.v1",
        ],
    ),
    ("scan", &["dev.longshore.image.pushed.v1", "dev.longshore.deployment.finished.v1"]),
];

/// Which function is owed which event types.
pub fn routes() -> Routes {
    Routes(ROUTES.to_vec())
}
