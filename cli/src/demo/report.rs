//! What came of the demo: the counts, the overhead, the timeline of one change.

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde::Serialize;

use super::count::{Answer, Count, History, count, witnesses};
use super::facts::overhead_ms;
use super::screen::Step;
use super::traffic::{Log, Traffic};
use super::watch::Demo;
use crate::api::{Dora, DoraFigures, Timeline};
use crate::commands::style::{BAD, FAINT, GOOD, NAME, STRONG};
use crate::commands::{failures, paint, short, span, tree};

/// Fewer requests a second would prove too little.
const LEAST_RATE: f64 = 50.0;
/// So many failures are printed; all are in the client's log.
const SHOWN: usize = 5;

/// What came of it.
#[derive(Default)]
pub(super) struct Report {
    /// Lost and twice.
    count: Count,
    /// Longshore's own share of each push, sorted, in milliseconds.
    overhead_ms: Vec<u64>,
    log: Log,
    /// Requests that met the broken push's errors while it was measured, and others that did.
    erred: (usize, usize),
    dora: Option<Dora>,
    timeline: Option<(String, Timeline)>,
    killed_at: Option<Timestamp>,
}

/// Longshore's own share of a push.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct Overhead {
    n: usize,
    p50: u64,
    max: u64,
}

/// What `--output json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Summary<'a> {
    ok: bool,
    lost: usize,
    twice: usize,
    overhead_ms: Overhead,
    #[serde(skip_serializing_if = "Option::is_none")]
    dora: Option<DoraFigures>,
    steps: &'a [Step],
}

impl Report {
    /// Counts from the witnesses, the client's log and the events.
    pub(super) async fn of(demo: &mut Demo) -> Self {
        // What the host said last may be missing when it is gone; the witnesses are not.
        let _ = demo.look(0).await;
        let log = demo.traffic.as_ref().map(Traffic::log).unwrap_or_default();
        let _ = log.save(&demo.stage.folder.join("client.log"));
        let answer = |request: &super::traffic::Request| {
            let commit = request.answer.commit()?.to_owned();
            Some(Answer { commit, sent: request.sent, answered: request.ended })
        };
        let by_steps = demo.facts.alone_at().into_iter().map(|(commit, at)| (commit, demo.since_traffic(at)));
        let history = History {
            witnesses: witnesses(&std::fs::read_to_string(demo.stage.witness()).unwrap_or_default()),
            answers: log.requests().iter().filter_map(answer).collect(),
            digests: demo.facts.digests(),
            tips: demo.tips.clone(),
            rolled_back: demo.facts.rolled_back(),
            by_steps: by_steps.collect(),
        };
        let mut overhead_ms: Vec<u64> = demo
            .tips
            .iter()
            .filter_map(|(tip, _)| overhead_ms(&demo.facts.0, tip, demo.wall(log.first_answer(tip)?)))
            .collect();
        overhead_ms.sort_unstable();
        let measured: Vec<_> =
            demo.tips.iter().filter_map(|(tip, _)| demo.facts.rolled_back_within(tip)).collect();
        let meanwhile = |at: Timestamp| measured.iter().any(|(began, ended)| *began <= at && at <= *ended);
        let (met, late): (Vec<_>, Vec<_>) = log.erred().partition(|sent| meanwhile(demo.wall(*sent)));
        Self {
            count: count(&history),
            overhead_ms,
            erred: (met.len(), late.len()),
            log,
            dora: dora(demo).await.ok(),
            timeline: timeline(demo).await.ok(),
            killed_at: demo.killed_at,
        }
    }

    /// Whether nothing was lost, nothing happened twice, and every one of enough requests was answered.
    pub(super) fn ok(&self) -> bool {
        let none = self.count.lost.is_empty() && self.count.twice.is_empty();
        none && self.erred.1 == 0
            && self.dora.is_some()
            && self.log.failed().next().is_none()
            && self.log.rate() >= LEAST_RATE
    }

    /// All of it for programs.
    pub(super) fn summary<'a>(&self, ok: bool, steps: &'a [Step]) -> Summary<'a> {
        let (lost, twice) = (self.count.lost.len(), self.count.twice.len());
        let dora = self.figures().map(|(_, figures)| figures);
        Summary { ok, lost, twice, overhead_ms: self.overhead(), dora, steps }
    }

    /// Longshore's own share.
    fn overhead(&self) -> Overhead {
        let (n, max) = (self.overhead_ms.len(), self.overhead_ms.last().copied().unwrap_or_default());
        let p50 = self.overhead_ms.get(n.saturating_sub(1) / 2).copied().unwrap_or_default();
        Overhead { n, p50, max }
    }

    /// All of it for people.
    pub(super) fn text(&self) -> String {
        let mut lines = Vec::new();
        if let Some((commit, timeline)) = &self.timeline {
            lines.push(String::new());
            let title = format!("  {} from push to running", paint(STRONG, short(commit)));
            let killed =
                |at: &Timestamp| format!("{title}; the host was killed at {}", at.strftime("%H:%M:%S%.3f"));
            lines.push(self.killed_at.as_ref().map_or_else(|| title.clone(), killed));
            lines.extend(tree(timeline).lines().map(|line| format!("  {line}")));
        }
        lines.push(String::new());
        lines.push(self.requests());
        lines.extend(self.log.failed().take(SHOWN).map(|request| {
            let error = request.answer.failure().unwrap_or_default();
            format!("              {} ms after the first: {error}", request.sent.as_millis())
        }));
        lines.push(self.errors());
        lines.extend(number(
            "lost",
            &self.count.lost,
            "every tip of the branch runs, or was refused with a reason",
        ));
        lines.extend(number("twice", &self.count.twice, "by witnesses that the host never opens"));
        if self.count.prepared_again > 0 {
            let again = self.count.prepared_again;
            lines
                .push(format!("              prepare ran {again} more time(s), because the host was killed"));
        }
        let Overhead { n, p50, max } = self.overhead();
        let what = "Longshore's own share: without git, prepare, test and the service's start";
        let numbers = format!("{p50} ms in the middle, {max} ms at most, of {n} pushes");
        lines.push(format!("  {}    {numbers}", paint(STRONG, "overhead")));
        lines.push(format!("              {}", paint(FAINT, what)));
        lines.extend(self.figures().iter().map(delivery));
        lines.join("\n")
    }

    /// DORA's figures of this run.
    fn figures(&self) -> Option<(i64, DoraFigures)> {
        let dora = self.dora.as_ref()?;
        let all = dora.environments.first()?.all.clone();
        Some((dora.until.as_millisecond() - dora.from.as_millisecond(), all))
    }

    fn errors(&self) -> String {
        let (met, late) = self.erred;
        let after = match late {
            0 => paint(GOOD, "none before or after"),
            late => paint(BAD, format!("{late} before or after")),
        };
        format!("              {met} met the broken push's errors while it was measured, {after}")
    }

    fn requests(&self) -> String {
        let failed = self.log.failed().count();
        let style = if failed == 0 { GOOD } else { BAD };
        let (sent, rate) = (self.log.requests().len(), self.log.rate());
        let failed = paint(style, format!("{failed} failed"));
        format!(
            "  {}    {sent} through the proxy, {rate:.0} a second, without retries: {failed}",
            paint(STRONG, "requests")
        )
    }
}

/// DORA's figures in two lines.
fn delivery((window, figures): &(i64, DoraFigures)) -> String {
    let ms = |ms: Option<i64>| ms.map_or_else(|| "-".to_owned(), span);
    let DoraFigures { deployments, lead_time_ms, time_to_restore_ms, .. } = figures;
    format!(
        "  {}        {deployments} deployments in {}, lead time {}, change failures {}, restored in {}\n              {}",
        paint(STRONG, "dora"),
        span(*window),
        ms(*lead_time_ms),
        failures(figures),
        ms(*time_to_restore_ms),
        paint(FAINT, "from the journal alone: longshore dora, docs/dora.md"),
    )
}

/// A count, what it means when it is none, and else what was counted.
fn number(name: &str, counted: &[String], none: &str) -> Vec<String> {
    let style = if counted.is_empty() { GOOD } else { BAD };
    let mut first = format!("  {} {}", paint(STRONG, format!("{name:<11}")), paint(style, counted.len()));
    if counted.is_empty() {
        first = format!("{first}  {}", paint(FAINT, none));
    }
    let rest = counted.iter().map(|what| format!("              {}", paint(BAD, what)));
    std::iter::once(first).chain(rest).collect()
}

/// DORA's figures since the host began.
async fn dora(demo: &Demo) -> Result<Dora> {
    let host = demo.host.as_ref().context("there is no host")?;
    host.client.get("/api/dora", &[]).await
}

/// The timeline of the second push, whose rollout survived the kill.
async fn timeline(demo: &Demo) -> Result<(String, Timeline)> {
    let (commit, _) = demo.tips.get(1).or(demo.tips.first()).context("nothing was pushed")?;
    let host = demo.host.as_ref().context("there is no host")?;
    let timeline = host.client.get("/api/timeline", &[("commit", commit.clone())]).await?;
    Ok((commit.clone(), timeline))
}

/// What to try next.
pub(super) fn next() -> String {
    let command = |text| format!("    {}", paint(NAME, text));
    [
        format!("  {}", paint(STRONG, "With a repository of your own:")),
        command("longshore init       # write longshore.toml from what is there"),
        command("longshore up         # the host; it prints the remote to push to"),
        command("git push longshore main"),
    ]
    .join("\n")
}
