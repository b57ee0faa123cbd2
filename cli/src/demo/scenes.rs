//! The demo's scenes: what is done, what is waited for, and what is told of it.

use anyhow::{Context as _, Result, bail};
use longshore_events::types::{Verdict, VerificationFinished};

use super::facts::Fate;
use super::host::Host;
use super::stage::Checkout;
use super::traffic::Traffic;
use super::watch::{Demo, now};
use crate::commands::{short, span};

/// The service's name at the proxy.
const HOST_NAME: &str = "hello.local.localhost";

/// What is told of a scene, line by line.
type Told = Vec<String>;

impl Demo {
    /// Plays every scene.
    pub(super) async fn play(&mut self) -> Result<()> {
        let begun = self.begin("host");
        let told = self.host_starts().await;
        self.end("host", begun, told)?;

        let begun = self.begin("first push");
        let told = self.first_push().await;
        let work = self.end("first push", begun, told)?;

        let begun = self.begin("kill -9");
        let told = self.killed_in_mid_rollout(&work).await;
        self.end("kill -9", begun, told)?;

        let begun = self.begin("broken push");
        let told = self.broken_push(&work).await;
        self.end("broken push", begun, told)?;

        let begun = self.begin("pushed again");
        let told = self.pushed_again(&work).await;
        self.end("pushed again", begun, told)?;

        let begun = self.begin("race");
        let told = self.race(&work).await;
        self.end("race", begun, told)
    }

    async fn host_starts(&mut self) -> Result<((), Told)> {
        self.now("starts, with its runner");
        let host = Host::start(&self.stage.folder).await?;
        self.traffic_began = now();
        self.traffic = Some(Traffic::start(host.ready.proxy, HOST_NAME));
        let told = format!("http://{}, its proxy http://{}", host.ready.listen, host.ready.proxy);
        self.host = Some(host);
        Ok(((), vec![told, format!("in {}", self.stage.folder.display())]))
    }

    async fn first_push(&mut self) -> Result<(Checkout, Told)> {
        let work = self.clone_as("work").await?;
        let first = self.push(&work, "first push", false).await?;
        self.runs(&first).await?;
        Ok((
            work,
            vec![format!("{} built, pushed to the registry, deployed; the service answers", short(&first))],
        ))
    }

    /// A good push goes live by canary, although the host is killed while it has a share of the traffic.
    async fn killed_in_mid_rollout(&mut self, work: &Checkout) -> Result<((), Told)> {
        let second = self.push(work, "second push", false).await?;
        self.until("its share of the traffic", |facts| facts.has_traffic(&second).then_some(())).await?;
        let (killed, killed_at) = (self.traffic_time(), now());
        let host = self.host.as_mut().context("there is no host to kill")?;
        let pid = host.ready.pid;
        host.kill()?;
        self.killed_at = Some(killed_at);
        self.now("the host was killed, and starts again");
        self.host = Some(Host::start(&self.stage.folder).await?);
        let back = self.traffic_time();
        self.runs(&second).await?;
        if self.facts.alone_at().get(&second).is_some_and(|at| *at < killed_at) {
            bail!("the rollout was over before the host could be killed");
        }
        let (sent, failed) =
            self.traffic.as_ref().map_or((0, 0), |traffic| traffic.log().between(killed, back));
        let gone = back.saturating_sub(killed).as_millis();
        let mut told = vec![
            format!(
                "{} is let in step by step; process {pid} was killed meanwhile, and went on",
                short(&second)
            ),
            format!("the host was gone for {gone} ms: {sent} requests meanwhile, {failed} failed"),
        ];
        told.extend(self.facts.verified(&second).into_iter().map(measured));
        Ok(((), told))
    }

    /// A push that starts well and errs under traffic is taken back by what was measured.
    async fn broken_push(&mut self, work: &Checkout) -> Result<((), Told)> {
        let good = self.tips.last().map(|(tip, _)| tip.clone()).unwrap_or_default();
        let broken = self.push(work, "broken push", true).await?;
        let reason = match self.fate(&broken).await? {
            Fate::Refused(reason) => reason,
            Fate::Ran => bail!("{} ran, although it errs", short(&broken)),
        };
        if self.facts.verified(&broken).last().is_none_or(|found| found.verdict != Verdict::Fail) {
            bail!("{} was not taken back by a measurement: {reason}", short(&broken));
        }
        self.answers(&good).await?;
        self.tips.push((broken.clone(), true));
        let told = format!("{} rolled back by itself; {} goes on", short(&broken), short(&good));
        Ok(((), vec![told, reason]))
    }

    /// The same image in another commit has no traffic again.
    async fn pushed_again(&mut self, work: &Checkout) -> Result<((), Told)> {
        let again = self.push(work, "broken push again", true).await?;
        let reason = match self.fate(&again).await? {
            Fate::Refused(reason) => reason,
            Fate::Ran => bail!("{} ran, although its image was found bad", short(&again)),
        };
        if self.facts.has_traffic(&again) {
            bail!("{} had traffic, although its image was found bad: {reason}", short(&again));
        }
        Ok(((), vec![format!("{} was refused, and had no traffic", short(&again)), reason]))
    }

    /// Two people push at the same time; who loses the race for the branch pulls, and pushes again.
    async fn race(&mut self, one: &Checkout) -> Result<((), Told)> {
        let two = self.clone_as("other").await?;
        one.commit("one in a race", false).await?;
        two.commit("another in a race", false).await?;
        self.now("git push, by two at the same time");
        let (first, second) = tokio::join!(one.push_in_a_race(), two.push_in_a_race());
        let again = first? + second?;
        let tip = one.tip().await?;
        self.tips.push((tip.clone(), false));
        self.runs(&tip).await?;
        let told =
            format!("two pushes at once, {again} of them again after a pull; the tip {} runs", short(&tip));
        Ok(((), vec![told]))
    }
}

/// What was found at a step, in one line.
fn measured(found: &VerificationFinished) -> String {
    let VerificationFinished { weight, from, until, .. } = found;
    let long = span(until.as_millisecond() - from.as_millisecond());
    let check = |check: &longshore_events::types::CheckResult| {
        let (value, requests) = (check.value?, check.requests?);
        let unit = if check.measure == "error_rate" { " %" } else { " ms" };
        let beside = check.running.map(|running| format!(", beside {running}{unit}")).unwrap_or_default();
        Some(format!("{} {value}{unit} of {requests} requests{beside}", check.name))
    };
    let checks: Vec<String> = found.checks.iter().filter_map(check).collect();
    format!("{weight:>3} % of the traffic for {long}: {}", checks.join("; "))
}
