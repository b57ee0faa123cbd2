//! The demo's scenes: what is done, what is waited for, and what is told of it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use jiff::{SignedDuration, Timestamp};
use longshore_events::Event;

use super::facts::{Facts, Fate};
use super::host::Host;
use super::screen::{Screen, Step};
use super::stage::{Checkout, Stage};
use super::traffic::Traffic;
use crate::api::Events;
use crate::commands::short;

/// How long may be waited for one thing.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long one question for new events waits, in milliseconds.
const WAIT_MS: u64 = 200;
/// The service's name at the proxy.
const HOST_NAME: &str = "hello.local.localhost";

/// What is told of a scene, line by line.
type Told = Vec<String>;

/// The demo under way.
pub(super) struct Demo {
    /// What is shown.
    pub(super) screen: Screen,
    /// The client, once there is something to ask.
    pub(super) traffic: Option<Traffic>,
    /// The host, when it runs; ends before what is left of it in the folder does.
    pub(super) host: Option<Host>,
    /// The folder.
    pub(super) stage: Stage,
    /// When the client began, by the machine's clock.
    pub(super) traffic_began: Timestamp,
    /// When the host was killed, by the machine's clock.
    pub(super) killed_at: Option<Timestamp>,
    /// The scenes that are over.
    pub(super) steps: Vec<Step>,
    /// What the branch pointed to when a scene was over, and whether that ran or was refused with a reason.
    pub(super) tips: Vec<(String, bool)>,
    /// The events so far.
    pub(super) facts: Facts,
    next: u64,
    doing: String,
}

impl Demo {
    /// A demo in that folder.
    pub(super) fn new(screen: Screen, stage: Stage) -> Self {
        Self {
            screen,
            stage,
            host: None,
            traffic: None,
            traffic_began: now(),
            killed_at: None,
            steps: Vec::new(),
            tips: Vec::new(),
            facts: Facts::default(),
            next: 0,
            doing: String::new(),
        }
    }

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

        let begun = self.begin("race");
        let told = self.race(&work).await;
        self.end("race", begun, told)
    }

    /// A scene begins.
    pub(super) fn begin(&self, name: &'static str) -> Instant {
        self.screen.begin(name);
        Instant::now()
    }

    /// A scene is over.
    pub(super) fn end<T>(
        &mut self,
        name: &'static str,
        begun: Instant,
        told: Result<(T, Told)>,
    ) -> Result<T> {
        let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let step = Step { name, ok: told.is_ok(), ms };
        match &told {
            Ok((_, lines)) => self.screen.end(&step, lines),
            Err(error) => self.screen.end(&step, &[format!("{error:#}")]),
        }
        self.steps.push(step);
        told.map(|(value, _)| value)
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

    async fn killed_in_mid_rollout(&mut self, work: &Checkout) -> Result<((), Told)> {
        let second = self.push(work, "second push", false).await?;
        self.until("the rollout to begin", |facts| facts.started(&second).then_some(())).await?;
        let (killed, killed_at) = (self.traffic_time(), now());
        let host = self.host.as_mut().context("there is no host to kill")?;
        let pid = host.ready.pid;
        host.kill()?;
        self.killed_at = Some(killed_at);
        self.now("the host was killed, and starts again");
        self.host = Some(Host::start(&self.stage.folder).await?);
        let back = self.traffic_time();
        self.runs(&second).await?;
        if self.facts.ran_at(&second).is_some_and(|at| at < killed_at) {
            bail!("the rollout was over before the host could be killed");
        }
        let (sent, failed) =
            self.traffic.as_ref().map_or((0, 0), |traffic| traffic.log().between(killed, back));
        let gone = back.saturating_sub(killed).as_millis();
        Ok((
            (),
            vec![
                format!(
                    "{} rolled over it; process {pid} was killed in mid-rollout, and went on",
                    short(&second)
                ),
                format!("the host was gone for {gone} ms: {sent} requests meanwhile, {failed} failed"),
            ],
        ))
    }

    async fn broken_push(&mut self, work: &Checkout) -> Result<((), Told)> {
        let good = self.tips.last().map(|(tip, _)| tip.clone()).unwrap_or_default();
        let broken = self.push(work, "broken push", true).await?;
        let reason = match self.fate(&broken).await? {
            Fate::Refused(reason) => reason,
            Fate::Ran => bail!("{} ran, although it is never ready", short(&broken)),
        };
        self.answers(&good).await?;
        self.tips.push((broken.clone(), true));
        let told = format!("{} rolled back by itself; {} goes on", short(&broken), short(&good));
        Ok(((), vec![told, reason]))
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

    async fn clone_as(&self, name: &str) -> Result<Checkout> {
        let host = self.host.as_ref().context("there is no host to clone from")?;
        self.stage.clone_as(name, &format!("{}/git/hello.git", host.ready.url()), &host.token()?).await
    }

    async fn push(&mut self, work: &Checkout, what: &str, broken: bool) -> Result<String> {
        self.now("git push");
        let commit = work.commit(what, broken).await?;
        self.tips.push((commit.clone(), false));
        work.push().await?;
        Ok(commit)
    }

    /// Waits until `commit` runs, and answers.
    async fn runs(&mut self, commit: &str) -> Result<()> {
        match self.fate(commit).await? {
            Fate::Ran => self.answers(commit).await?,
            Fate::Refused(reason) => bail!("{} does not run: {reason}", short(commit)),
        }
        Ok(())
    }

    async fn fate(&mut self, commit: &str) -> Result<Fate> {
        let fate = self.until("its end", |facts| facts.fate(commit)).await?;
        if let (Fate::Refused(_), Some((tip, settled))) = (&fate, self.tips.last_mut()) {
            *settled |= tip == commit;
        }
        Ok(fate)
    }

    /// Waits until `found` finds what it looks for in the events.
    async fn until<T>(&mut self, what: &str, found: impl Fn(&Facts) -> Option<T>) -> Result<T> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(found) = found(&self.facts) {
                return Ok(found);
            }
            if self.look(WAIT_MS).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        bail!("waited {} s in vain for {what}", PATIENCE.as_secs())
    }

    /// Fetches the events that are new.
    pub(super) async fn look(&mut self, wait_ms: u64) -> Result<()> {
        let host = self.host.as_ref().context("there is no host")?;
        let asked = [("after", self.next), ("limit", 1_000), ("wait_ms", wait_ms)];
        let asked = asked.map(|(name, value)| (name, value.to_string()));
        let events: Events = host.client.get("/api/events", &asked).await?;
        self.next = events.next;
        let parsed = events.events.iter().map(|entry| Event::from_json(&entry.event.to_string()));
        self.facts.0.extend(parsed.collect::<Result<Vec<_>, _>>()?);
        if let Some(last) = events.events.last() {
            self.doing.clone_from(&last.summary);
        }
        self.show();
        Ok(())
    }

    /// The log of the last build, as far as the host can still say.
    pub(super) async fn build_log(&self) -> String {
        let Some(host) = &self.host else { return String::new() };
        match host.client.text("/api/logs/build/hello", &[]).await {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// Waits until the service answers from `commit`, whose fate that settles.
    async fn answers(&mut self, commit: &str) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if self.traffic.as_ref().is_some_and(|traffic| traffic.log().last() == Some(commit)) {
                let its = self.tips.iter_mut().filter(|(tip, _)| tip == commit);
                its.for_each(|(_, settled)| *settled = true);
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bail!("the service does not answer from {}", short(commit))
    }

    fn now(&mut self, doing: &str) {
        doing.clone_into(&mut self.doing);
        self.show();
    }

    /// Shows what goes on, and how the requests fare meanwhile.
    fn show(&self) {
        self.screen.now(&self.doing, self.traffic.as_ref().map(Traffic::counts).unwrap_or_default());
    }

    fn traffic_time(&self) -> Duration {
        self.traffic.as_ref().map(|traffic| traffic.begun.elapsed()).unwrap_or_default()
    }

    /// A time of the client's, by the machine's clock.
    pub(super) fn wall(&self, time: Duration) -> Timestamp {
        self.traffic_began + SignedDuration::try_from(time).unwrap_or_default()
    }
}

/// Now, by the clock that the host's events are dated with.
fn now() -> Timestamp {
    longshore_ports::Clock::now(&crate::host::MachineClock)
}
