//! Scripts: JavaScript in QuickJS, one runtime for each VU, and k6's API for it.

mod api;
mod engine;
mod sources;
mod tags;
mod vu;

pub(crate) use engine::{Script, Thrown, with_script};
pub(crate) use sources::Sources;
pub(crate) use vu::{Numbers, Phase, ScenarioPart, Vu};
