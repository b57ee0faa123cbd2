//! The demo's scenes, and what is told of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use longshore_events::{
    Data, Event,
    types::{BuildTimes, DeploymentOutcome},
};

use super::count::{Count, History, count, witnesses};
use super::stage::{Checkout, Stage};
use super::traffic::Traffic;
use crate::api::{Down, EventEntry, Events, Timeline};
use crate::args::{DemoArgs, Output};
use crate::commands::{Client, line};

/// How long a scene may take.
const PATIENCE: Duration = Duration::from_secs(40);

/// A step that was played.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) ok: bool,
    pub(super) ms: u128,
}

/// The demo under way.
pub(super) struct Demo {
    stage: Stage,
    traffic: Option<Traffic>,
    steps: Vec<Step>,
    tips: Vec<(String, bool)>,
    output: Output,
}

/// What came of it.
pub(super) struct Report {
    pub(super) count: Count,
    pub(super) overhead: Vec<i64>,
    pub(super) timeline: Option<Timeline>,
    sent: usize,
    failed: Vec<String>,
    rate: f64,
}

impl Report {
    pub(super) fn ok(&self) -> bool {
        self.count.lost.is_empty()
            && self.count.twice.is_empty()
            && self.failed.is_empty()
            && self.rate >= 50.0
    }

    pub(super) fn p50(&self) -> i64 {
        self.overhead.get(self.overhead.len() / 2).copied().unwrap_or_default()
    }

    pub(super) fn max(&self) -> i64 {
        self.overhead.last().copied().unwrap_or_default()
    }
}

impl Demo {
    /// Sets the stage.
    pub(super) async fn begin(args: &DemoArgs, output: Output) -> Result<Self> {
        let begun = Instant::now();
        let dir = args.dir.clone();
        let stage = tokio::task::spawn_blocking(move || Stage::set(dir.as_deref())).await??;
        let mut demo = Self { stage, traffic: None, steps: Vec::new(), tips: Vec::new(), output };
        demo.ended("the host starts", true, begun);
        Ok(demo)
    }

    /// Plays every scene.
    pub(super) async fn play(&mut self) -> Result<()> {
        let checkout = self.stage.clone_as("work")?;
        let begun = self.begins("a first push is built, pushed and deployed");
        let first = checkout.commit("the first version", false)?;
        checkout.push()?;
        self.wait_for("the first version runs", |events| {
            ended(events, &first) == Some(DeploymentOutcome::Succeeded)
        })
        .await?;
        let url = format!("http://{}/", self.stage.ready.proxy);
        self.traffic = Some(Traffic::start(url, "hello.local.localhost".into())?);
        self.answers(&first).await?;
        self.scene_over(&first, begun, "a first push is built, pushed and deployed");

        let begun = self.begins("a second push rolls over it; the host is killed meanwhile");
        let second = checkout.commit("the second version", false)?;
        checkout.push()?;
        self.wait_for("its rollout begins", |events| started(events, &second)).await?;
        self.stage.kill_host()?;
        self.stage.start_again()?;
        self.wait_for("the second version runs", |events| {
            ended(events, &second) == Some(DeploymentOutcome::Succeeded)
        })
        .await?;
        self.answers(&second).await?;
        self.scene_over(&second, begun, "a second push rolls over it; the host is killed meanwhile");

        let begun = self.begins("a broken push is rolled back by itself");
        let broken = checkout.commit("a broken version", true)?;
        checkout.push()?;
        let back = Some(DeploymentOutcome::RolledBack);
        self.wait_for("the broken version is rolled back", |events| ended(events, &broken) == back).await?;
        self.answers(&second).await?;
        self.scene_over(&broken, begun, "a broken push is rolled back by itself");

        let begun = self.begins("two pushes race, and the branch's tip ends up running");
        let tip = self.race(&checkout).await?;
        self.wait_for("the tip runs", |events| ended(events, &tip) == Some(DeploymentOutcome::Succeeded))
            .await?;
        self.answers(&tip).await?;
        self.scene_over(&tip, begun, "two pushes race, and the branch's tip ends up running");
        Ok(())
    }

    /// Two people commit at the same time; the one who loses the race for the branch pulls, and pushes again.
    async fn race(&self, checkout: &Checkout) -> Result<String> {
        let other = self.stage.clone_as("other")?;
        checkout.commit("raced by one", false)?;
        other.commit("raced by another", false)?;
        let (one, two) = std::thread::scope(|scope| {
            let two = scope.spawn(|| other.push());
            (checkout.push(), two.join().unwrap_or_else(|_| bail!("a push panicked")))
        });
        let last = match (one, two) {
            (Ok(()), Ok(())) => checkout,
            (Err(_), Ok(())) => checkout,
            (_, Err(_)) => &other,
        };
        last.rebase()?;
        last.push()?;
        last.head()
    }

    fn begins(&self, name: &'static str) -> (Instant, Option<ProgressBar>) {
        let bar = (self.output == Output::Table).then(|| {
            let bar = ProgressBar::new_spinner().with_message(name);
            bar.set_style(
                ProgressStyle::with_template("{spinner} {msg} {elapsed}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        (Instant::now(), bar)
    }

    fn scene_over(&mut self, tip: &str, begun: (Instant, Option<ProgressBar>), name: &'static str) {
        if let Some(bar) = begun.1 {
            bar.finish_and_clear();
        }
        self.tips.push((tip.to_owned(), true));
        self.ended(name, true, begun.0);
    }

    fn ended(&mut self, name: &'static str, ok: bool, begun: Instant) {
        let ms = begun.elapsed().as_millis();
        self.steps.push(Step { name, ok, ms });
        if self.output == Output::Table {
            #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
            let seconds = ms as f64 / 1000.0;
            let _ = line(format!("  {} {name} ({seconds:.1} s)", if ok { "✓" } else { "✗" }));
        }
    }

    async fn events(&self) -> Result<Vec<(Event, String)>> {
        let client = self.stage.client()?;
        let asked = [("after", "0".to_owned()), ("limit", "1000".to_owned())];
        let answer: Events = client.get("/api/events", &asked).await?;
        let parse = |entry: &EventEntry| {
            Some((Event::from_json(&entry.event.to_string()).ok()?, entry.summary.clone()))
        };
        Ok(answer.events.iter().filter_map(parse).collect())
    }

    /// Waits until the events say so.
    async fn wait_for(&self, what: &str, so: impl Fn(&[(Event, String)]) -> bool) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Ok(events) = self.events().await
                && so(&events)
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("waited {} s in vain until {what}", PATIENCE.as_secs())
    }

    /// Waits until the client's last answer is from `commit`.
    async fn answers(&self, commit: &str) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let last = self.traffic.as_ref().and_then(|traffic| traffic.seen().answered.last().cloned());
            if last.is_some_and(|(last, _)| last == commit) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("the service does not answer with {commit}")
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Counts, from the witnesses and the client.
    pub(super) async fn report(&mut self, played: bool) -> Result<Report> {
        let seen = self.traffic.as_ref().map(Traffic::seen).unwrap_or_default();
        let rate = self.traffic.as_ref().map_or(0.0, Traffic::rate);
        if !played {
            self.ended("the demo goes on to its end", false, Instant::now());
        }
        let events = self.events().await?;
        let mut history = History {
            witnesses: witnesses(&self.stage.witnessed()),
            answered: seen.answered.iter().map(|(commit, _)| commit.clone()).collect(),
            tips: self.tips.clone(),
            ..History::default()
        };
        let mut digests: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (event, _) in &events {
            match &event.data {
                Data::ImagePushed(image) => {
                    let commit = image.commit.as_ref().map(ToString::to_string).unwrap_or_default();
                    digests.entry(commit).or_default().insert(image.digest.to_string());
                }
                Data::DeploymentFinished(fact) if fact.outcome == DeploymentOutcome::RolledBack => {
                    history.roll_backs += 1
                }
                _ => {}
            }
        }
        history.digests = digests;
        let mut overhead: Vec<i64> =
            seen.answered.iter().filter_map(|(commit, at)| overhead(&events, commit, *at)).collect();
        overhead.sort_unstable();
        let timeline = self.timeline().await.ok();
        Ok(Report { count: count(&history), overhead, timeline, sent: seen.sent, failed: seen.failed, rate })
    }

    /// The timeline of the second push, whose rollout survived the kill.
    async fn timeline(&self) -> Result<Timeline> {
        let (commit, _) = self.tips.get(1).or(self.tips.first()).context("nothing was pushed")?;
        self.stage.client()?.get("/api/timeline", &[("commit", commit.clone())]).await
    }

    pub(super) fn show(&self, report: &Report, ok: bool) -> Result<()> {
        line("")?;
        line(format!(
            "requests   {} sent, {:.0} a second, {} failed",
            report.sent,
            report.rate,
            report.failed.len()
        ))?;
        for failed in report.failed.iter().take(5) {
            line(format!("           {failed}"))?;
        }
        let count = &report.count;
        line(format!("lost       {}", count.lost.len()))?;
        line(format!("twice      {}", count.twice.len()))?;
        for what in count.lost.iter().chain(&count.twice) {
            line(format!("           {what}"))?;
        }
        if count.prepared_again > 0 {
            line(format!(
                "           (prepare ran {} more time(s), because the host was killed)",
                count.prepared_again
            ))?;
        }
        line(format!(
            "overhead   {} ms median, {} ms at most, over {} pushes",
            report.p50(),
            report.max(),
            report.overhead.len()
        ))?;
        line("")?;
        line(if ok {
            "All is well. With a repository of your own:"
        } else {
            "Something is wrong; see above."
        })?;
        line("  longshore init && longshore up")
    }

    pub(super) fn show_trouble(&self, error: &anyhow::Error) {
        crate::commands::note(format!("the demo failed: {error:#}"));
        crate::commands::note(format!("the host's last lines:\n{}", self.stage.log_tail()));
        crate::commands::note(format!(
            "run it with --keep to look around in {}",
            self.stage.folder.display()
        ));
    }

    /// Takes everything down, or leaves it and says where.
    pub(super) async fn end(&mut self, keep: bool, output: Output) -> Result<()> {
        self.traffic = None;
        if keep {
            self.stage.keep();
            if output == Output::Table {
                line(format!("It goes on in {}; stop it with", self.stage.folder.display()))?;
                line(format!("  longshore --data {} down", self.stage.ready.data.display()))?;
            }
            return Ok(());
        }
        let down: Result<()> = async {
            let client: Client = self.stage.client()?;
            client.post("/api/down", &Down { services: true }).await
        }
        .await;
        self.stage.reap();
        down
    }
}

fn started(events: &[(Event, String)], commit: &str) -> bool {
    events.iter().any(|(event, _)| match &event.data {
        Data::DeploymentStarted(fact) => fact.commit.as_ref().is_some_and(|known| known.as_str() == commit),
        _ => false,
    })
}

fn ended(events: &[(Event, String)], commit: &str) -> Option<DeploymentOutcome> {
    events.iter().rev().find_map(|(event, _)| match &event.data {
        Data::DeploymentFinished(fact)
            if fact.commit.as_ref().is_some_and(|known| known.as_str() == commit) =>
        {
            Some(fact.outcome)
        }
        _ => None,
    })
}

/// From the push's acceptance to the first answer of its commit, less the tools' own time and the service's boot.
fn overhead(events: &[(Event, String)], commit: &str, answered: jiff::Timestamp) -> Option<i64> {
    let mut pushed = None;
    let mut times = None;
    let mut boot = None;
    for (event, _) in events {
        match &event.data {
            Data::PushReceived(fact) if fact.after.as_ref().is_some_and(|after| after.as_str() == commit) => {
                pushed = pushed.or(Some(event.time));
            }
            Data::BuildFinished(fact) if fact.commit.as_str() == commit => times = fact.times.or(times),
            Data::DeploymentFinished(fact)
                if fact.commit.as_ref().is_some_and(|known| known.as_str() == commit) =>
            {
                boot = fact.boot_ms.or(boot);
            }
            _ => {}
        }
    }
    let BuildTimes { git_ms, prepare_ms, test_ms, .. } = times?;
    let tools = i64::try_from(git_ms + prepare_ms + test_ms + boot.unwrap_or(0)).ok()?;
    Some(answered.as_millisecond() - pushed?.as_millisecond() - tools)
}
