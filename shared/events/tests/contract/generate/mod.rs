//! Generated names and facts, for the property tests.

pub(crate) mod facts;
pub(crate) mod names;
