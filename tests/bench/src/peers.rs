//! Where the peers' programs are: `cargo xtask bench` unpacked each into a folder of its own.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::settings::Settings;

/// The program of a peer.
pub(crate) fn program(settings: &Settings, package: &str, path: &str) -> Result<PathBuf> {
    let program = settings.peers.join(package).join(path);
    if program.is_file() {
        return Ok(program);
    }
    bail!("the peer {package} is missing at {}: run `cargo xtask bench`", program.display())
}
