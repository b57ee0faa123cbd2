//! The simulator's speed: port calls for each second of processor time. It runs in one thread, so that is per core, and
//! holds on a busy machine as well.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process::cpu_of_children;
use crate::row::Row;
use crate::settings::Settings;
use crate::stats::float;

const GOAL: f64 = 500_000.0;

pub(crate) fn run(settings: &Settings) -> Result<Vec<Row>> {
    let before = cpu_of_children()?;
    let output = Command::new(&settings.sim).arg("--seeds").arg(settings.seeds.to_string()).output()?;
    let seconds = cpu_of_children()?.saturating_sub(before).as_secs_f64();
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("the simulator found something: {}", said.trim());
    }
    let each: f64 = number(&said, " port calls and").context("the simulator did not say its port calls")?;
    let wall = number(&said, " port calls a second").context("the simulator did not say its speed")?;
    let speed = each * float(settings.seeds) / seconds;
    Ok(vec![Row {
        name: "simulator",
        goal: "≥ 500,000 port calls a second and core".into(),
        measured: format!("{speed:.0} port calls for a second of a core, {wall:.0} by the clock"),
        ratio: None,
        met: speed >= GOAL,
    }])
}

/// The number before these words.
fn number(said: &str, words: &str) -> Option<f64> {
    said.split_once(words)?.0.rsplit([' ', ',']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn what_the_simulator_says_is_read() {
        let said =
            "20 seeds in 0.1 s: 0 bad, 452 port calls and 17.2 crashes a seed, 451234 port calls a second";
        assert_eq!(number(said, " port calls and"), Some(452.0));
        assert_eq!(number(said, " port calls a second"), Some(451_234.0));
    }
}
