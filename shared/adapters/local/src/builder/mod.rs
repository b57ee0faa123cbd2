//! x
/// x
pub struct LocalBuilder;
