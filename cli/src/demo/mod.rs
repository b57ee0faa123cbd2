//! `longshore demo`: real pushes, a host killed in the middle of a rollout, a broken release, a race.
//!
//! Nothing is shown that did not happen: a real `git push`, a real build, real processes. Whether anything was lost or
//! done twice is counted (`count.rs`) from what witnesses outside the host wrote down.

pub mod count;
pub mod facts;
mod host;
mod leftovers;
mod report;
mod scenes;
mod screen;
mod stage;
mod traffic;
mod watch;

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{DemoArgs, Output};
use crate::commands::style::{GOOD, NAME, STRONG};
use crate::commands::{line, note, paint};
use report::Report;
use screen::Screen;
use stage::Stage;
use watch::Demo;

/// So many of a log's last lines are shown when something failed.
const TAIL: usize = 12;

/// Runs the demo; the exit status is 0 only when all is well.
pub(crate) async fn run(args: &DemoArgs, output: Output) -> Result<ExitCode> {
    let screen = Screen::new(output);
    screen.say(format!(
        "\n  {}  a push becomes a proven release, and survives kill -9\n",
        paint(STRONG, "longshore")
    ));
    let mut demo = Demo::new(screen, Stage::set(args.dir.as_deref())?);
    let played = tokio::select! {
        played = demo.play() => played,
        told = interrupted() => { told?; return stopped(demo).await },
    };
    let report = Report::of(&mut demo).await;
    let build_log = if played.is_err() { demo.build_log().await } else { String::new() };
    let ended = if args.keep { keep(&mut demo) } else { down(&mut demo).await };
    let ok = played.is_ok() && ended.is_ok() && report.ok();
    if output == Output::Json {
        line(serde_json::to_string(&report.summary(ok, &demo.steps))?)?;
    } else {
        demo.screen.say(report.text());
        demo.screen.say("");
    }
    match played.and(ended) {
        Ok(()) if ok => farewell(&demo, args.keep),
        Ok(()) => trouble(&mut demo, &anyhow::anyhow!("the counts are not as they should be"), ""),
        Err(error) => trouble(&mut demo, &error, &build_log),
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Waits for Ctrl-C, or for whoever else wants this to end.
async fn interrupted() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        told = tokio::signal::ctrl_c() => told?,
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}

/// Ends everything before the demo is over.
async fn stopped(mut demo: Demo) -> Result<ExitCode> {
    down(&mut demo).await?;
    bail!("stopped before the demo was over; nothing was left running")
}

/// Takes everything down; an error when something went on running.
async fn down(demo: &mut Demo) -> Result<()> {
    let begun = demo.begin("down");
    demo.traffic = None;
    let host = demo.host.take();
    let left = match host {
        Some(host) => host.down().await.context("`longshore down` failed"),
        None => Ok(Vec::new()),
    };
    let told = left.and_then(|left| match left.as_slice() {
        [] => Ok(((), vec!["nothing was left running".to_owned()])),
        left => bail!("`longshore down` left running: {}", left.join("; ")),
    });
    demo.end("down", begun, told)
}

/// Leaves everything running.
fn keep(demo: &mut Demo) -> Result<()> {
    demo.traffic = None;
    demo.stage.keep_running();
    demo.host.as_mut().context("there is nothing to keep running").map(host::Host::keep)
}

fn farewell(demo: &Demo, kept: bool) {
    if let (true, Some(host)) = (kept, &demo.host) {
        let longshore = format!("longshore --data {}", demo.stage.data().display());
        demo.screen.say(format!(
            "  {} It goes on in {}",
            paint(GOOD, "All is well."),
            demo.stage.folder.display()
        ));
        demo.screen.say(format!("    the service  http://hello.local.localhost:{}", host.ready.proxy.port()));
        demo.screen.say(format!("    look at it   {}", paint(NAME, format!("{longshore} status"))));
        demo.screen.say(format!("    end it       {}", paint(NAME, format!("{longshore} down"))));
        return;
    }
    demo.screen.say(format!("  {}", paint(GOOD, "All is well.")));
    demo.screen.say(report::next());
}

/// Says what is wrong and where the logs are, which stay.
fn trouble(demo: &mut Demo, error: &anyhow::Error, build_log: &str) {
    demo.stage.keep();
    let folder = &demo.stage.folder;
    note(format!("the demo failed: {error:#}"));
    note(format!(
        "its logs stay in {}: host.log, .longshore/runner.log, witness.log, client.log",
        folder.display()
    ));
    let host_log = std::fs::read_to_string(host::log_file(folder)).unwrap_or_default();
    for (name, text) in [("the last build", build_log), ("the host", &host_log)] {
        let lines: Vec<&str> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(TAIL)..];
        if !last.is_empty() {
            note(format!("\nthe last lines of {name}:\n  {}", last.join("\n  ")));
        }
    }
}
