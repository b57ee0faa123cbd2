//! The simulator's speed: port calls a second on one core, since it runs in one thread.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::row::Row;
use crate::settings::Settings;

const GOAL: f64 = 500_000.0;

pub(crate) fn run(settings: &Settings) -> Result<Vec<Row>> {
    let output = Command::new(&settings.sim).arg("--seeds").arg(settings.seeds.to_string()).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("the simulator found something: {}", said.trim());
    }
    let speed = said.split(", ").find_map(|part| part.trim().strip_suffix(" port calls a second"));
    let speed: f64 =
        speed.and_then(|speed| speed.parse().ok()).context("the simulator did not say its speed")?;
    Ok(vec![Row {
        name: "simulator",
        goal: "≥ 500,000 port calls a second and core".into(),
        measured: format!("{speed:.0} port calls a second and core"),
        ratio: None,
        met: speed >= GOAL,
    }])
}
