//! `longshore demo`: real pushes, a host killed in the middle of a rollout, a broken release, a race.
//!
//! Nothing here is shown that did not happen: a real `git push`, a real build, real processes. Whether anything was
//! lost or done twice is counted by witnesses outside the host ([`count`]).

mod count;
mod scene;
mod stage;
mod traffic;

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::args::{DemoArgs, Output};
use crate::commands::{line, tree};
use scene::Demo;

/// Runs the demo; 0 only when all is well.
pub(crate) async fn run(args: &DemoArgs, output: Output) -> Result<ExitCode> {
    let mut demo = Demo::begin(args, output).await?;
    let played = tokio::select! {
        played = demo.play() => played,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("stopped by Ctrl-C")),
    };
    let report = demo.report(played.is_ok()).await;
    if let Err(error) = &played {
        demo.show_trouble(error);
    }
    let ok = played.is_ok() && report.as_ref().is_ok_and(|report| report.ok());
    if let Ok(report) = &report {
        if output == Output::Json {
            let steps: Vec<_> = demo
                .steps()
                .iter()
                .map(|step| json!({ "name": step.name, "ok": step.ok, "ms": step.ms }))
                .collect();
            line(json!({
                "ok": ok, "lost": report.count.lost.len(), "twice": report.count.twice.len(),
                "overhead_ms": { "n": report.overhead.len(), "p50": report.p50(), "max": report.max() }, "steps": steps,
            }))?;
        } else {
            if let Some(timeline) = &report.timeline {
                line("")?;
                line(tree(timeline))?;
            }
            demo.show(report, ok)?;
        }
    }
    demo.end(args.keep, output).await?;
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
