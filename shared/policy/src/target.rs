//! What a request may be about.

use longshore_events::types::RequestKind;

use crate::Policy;

/// Of more known targets than these, the asker is not told.
const NAMED: usize = 20;

impl Policy {
    /// Whether a request is about something that exists: a misspelt stop would stop nothing, silently.
    ///
    /// # Errors
    /// Names the target, and what it can be.
    pub fn check_target(&self, what: RequestKind, target: &str) -> Result<(), String> {
        let known: Vec<String> = match what {
            RequestKind::Stop | RequestKind::Resume => {
                let names = self.environments.iter().map(|environment| environment.name.to_string());
                std::iter::once("all".to_owned()).chain(names).collect()
            }
            RequestKind::RollBack => {
                let of = |environment: &crate::Environment| {
                    let of_one = |service| format!("{}/{service}", environment.name);
                    environment.services.iter().map(of_one).collect::<Vec<_>>()
                };
                self.environments.iter().flat_map(of).collect()
            }
        };
        if known.iter().any(|name| name == target) {
            return Ok(());
        }
        let brief: String = target.chars().take(100).collect();
        let known = known.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
        Err(format!("target {brief:?} is not known; it can be one of {known}"))
    }
}
