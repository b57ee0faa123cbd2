//! Hints: something may have changed, so look now rather than when it is due.

/// Takes hints. A hint is never stored and never relied on: the unit's own `due` stays behind it.
pub trait Hints: Send + Sync {
    /// The unit of the function may have something to see.
    fn hint(&self, function: &str, unit: &str);
}
