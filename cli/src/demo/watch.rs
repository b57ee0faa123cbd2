//! What the demo waits for: events of the host, and answers of the service.

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
        told: Result<(T, Vec<String>)>,
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

    pub(super) async fn clone_as(&self, name: &str) -> Result<Checkout> {
        let host = self.host.as_ref().context("there is no host to clone from")?;
        self.stage.clone_as(name, &format!("{}/git/hello.git", host.ready.url()), &host.token()?).await
    }

    pub(super) async fn push(&mut self, work: &Checkout, what: &str, broken: bool) -> Result<String> {
        self.now("git push");
        let commit = work.commit(what, broken).await?;
        self.tips.push((commit.clone(), false));
        work.push().await?;
        Ok(commit)
    }

    /// Waits until `commit` runs, and answers.
    pub(super) async fn runs(&mut self, commit: &str) -> Result<()> {
        match self.fate(commit).await? {
            Fate::Ran => self.answers(commit).await?,
            Fate::Refused(reason) => bail!("{} does not run: {reason}", short(commit)),
        }
        Ok(())
    }

    pub(super) async fn fate(&mut self, commit: &str) -> Result<Fate> {
        let fate = self.until("its end", |facts| facts.fate(commit)).await?;
        if let (Fate::Refused(_), Some((tip, settled))) = (&fate, self.tips.last_mut()) {
            *settled |= tip == commit;
        }
        Ok(fate)
    }

    /// Waits until `found` finds what it looks for in the events.
    pub(super) async fn until<T>(&mut self, what: &str, found: impl Fn(&Facts) -> Option<T>) -> Result<T> {
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
    pub(super) async fn answers(&mut self, commit: &str) -> Result<()> {
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

    pub(super) fn now(&mut self, doing: &str) {
        doing.clone_into(&mut self.doing);
        self.show();
    }

    /// Shows what goes on, and how the requests fare meanwhile.
    fn show(&self) {
        self.screen.now(&self.doing, self.traffic.as_ref().map(Traffic::counts).unwrap_or_default());
    }

    pub(super) fn traffic_time(&self) -> Duration {
        self.traffic.as_ref().map(|traffic| traffic.begun.elapsed()).unwrap_or_default()
    }

    /// A time of the machine's clock, by the client's.
    pub(super) fn since_traffic(&self, at: Timestamp) -> Duration {
        at.duration_since(self.traffic_began).try_into().unwrap_or_default()
    }

    /// A time of the client's, by the machine's clock.
    pub(super) fn wall(&self, time: Duration) -> Timestamp {
        self.traffic_began + SignedDuration::try_from(time).unwrap_or_default()
    }
}

/// Now, by the clock that the host's events are dated with.
pub(super) fn now() -> Timestamp {
    longshore_ports::Clock::now(&crate::host::MachineClock)
}
