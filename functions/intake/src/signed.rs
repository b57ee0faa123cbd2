//! Something new lies beside an image: it may be a signature. That is a hint for who judges images, and no fact: whether it
//! is one `gate` finds out itself, at its own time where this notice never comes.

use longshore_events::Digest;

use crate::hear::{Heard, Hearing, brief};

/// The function that judges images.
const FUNCTION: &str = "gate";

/// Tells `gate` to look, where an environment waits for a signature of the image.
pub(crate) fn hint(name: &str, digest: &Digest, hearing: &Hearing<'_>, heard: &mut Heard) {
    let units = hearing.policy.units_to_sign(name, digest);
    if units.is_empty() {
        heard.ignore(format!("ignored: no environment requires signatures of {}", brief(name)));
    }
    for unit in units {
        heard.ignore(format!("no event: {FUNCTION} is told to look at {unit}"));
        heard.hints.push((FUNCTION, unit));
    }
}
