//! What host and runner cost while nothing happens: one deployed service, probed every 10 s, for a minute.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::host::runtime;
use crate::process::{cpu, rss};
use crate::row::Row;
use crate::settings::Settings;
use crate::stage::Stage;
use crate::stats::mib;

/// What a rollout leaves behind is over by then.
const CALM: Duration = Duration::from_secs(5);
const TIME: Duration = Duration::from_mins(1);

pub(crate) fn run(settings: &Settings) -> Result<Vec<Row>> {
    let mut stage = Stage::set(settings)?;
    let commit = stage.commit("the only change")?;
    stage.push()?;
    stage.until_running(&commit)?;
    sleep(CALM);
    let pids = [stage.host.pid(), runtime()?.block_on(stage.host.runner().info())?.pid];
    let used = || -> Result<[Duration; 2]> { Ok([cpu(pids[0])?, cpu(pids[1])?]) };
    let (begun, before) = (Instant::now(), used()?);
    sleep(TIME);
    let (seconds, after) = (begun.elapsed().as_secs_f64(), used()?);
    let share = |which: usize| 100.0 * after[which].saturating_sub(before[which]).as_secs_f64() / seconds;
    let (host, runner) = (rss(pids[0])?, rss(pids[1])?);
    Ok(vec![
        Row {
            name: "idle memory",
            goal: "host and runner together ≤ 40 MB".into(),
            measured: format!(
                "{:.1} MiB: host {:.1}, runner {:.1}",
                mib(host + runner),
                mib(host),
                mib(runner)
            ),
            ratio: None,
            met: host + runner <= 40_000_000,
        },
        Row {
            name: "idle processor time",
            goal: "host and runner together ≤ 0.2 % of a core".into(),
            measured: format!("{:.2} %: host {:.2}, runner {:.2}", share(0) + share(1), share(0), share(1)),
            ratio: None,
            met: share(0) + share(1) <= 0.2,
        },
    ])
}
