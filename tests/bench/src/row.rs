//! One row of the table.

use serde::Serialize;

/// A goal beside what was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Row {
    /// Names the row: a later run replaces the one of the same name.
    pub(crate) name: &'static str,
    pub(crate) goal: String,
    pub(crate) measured: String,
    /// To the peer of the same run, where there is one.
    pub(crate) ratio: Option<f64>,
    pub(crate) met: bool,
}

impl Row {
    /// For people.
    pub(crate) fn line(&self) -> String {
        let met = if self.met { "met" } else { "MISSED" };
        format!("{}: {} (goal: {}, {met})", self.name, self.measured, self.goal)
    }
}
