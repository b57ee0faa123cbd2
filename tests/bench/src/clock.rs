//! The machine's clock, by which the host dates its events.

use jiff::Timestamp;

/// Now.
#[expect(clippy::disallowed_methods, reason = "the one place where this program's time comes from")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
