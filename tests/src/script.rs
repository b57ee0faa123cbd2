//! What people do in a simulated run: pushes of all kinds, and requests.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use longshore_events::{
    ChainId, CommitId, Data, Event, EventId, Link, RefName, RepositoryName, ServiceName,
    types::{
        ApprovalDecision, ApprovalGiven, DigestReleased, PushReceived, RefKind, RequestKind, RequestMade,
        Verdict,
    },
};
use longshore_ports::{BlobRef, BuildOrder, Clock};
use longshore_sim::{
    Air, MemoryJournal, Rng,
    world::{
        FakeBuilder, FakeGit, FakeMetrics, FakeScanner, FakeSignatures, FakeWorkloads, Inside, Tree, Under,
        Unsigned,
    },
};

use crate::spine::{is_windowed, may_begin};

/// The services of the simulated repository.
pub(crate) const SERVICES: [&str; 2] = ["api", "web"];

/// What a scanner sees in a service, by a word of its source; most have none of these.
const INSIDE: [(&str, Inside); 3] =
    [("dirty", Inside::Dirty), ("unreadable", Inside::Unreadable), ("endless", Inside::Endless)];

/// What a release does under traffic, by a word of its source; most are good.
const UNDER: [(&str, Under); 5] = [
    ("errs-20", Under::Errs(20)),
    ("errs-60", Under::Errs(60)),
    ("errs-100", Under::Errs(100)),
    ("slow-20", Under::Slow(20)),
    ("quiet", Under::Quiet),
];

/// What lies beside an image, by a word of its source; most are signed.
const UNSIGNED: [(&str, Unsigned); 4] = [
    ("bare", Unsigned::Bare),
    ("copied", Unsigned::Copied),
    ("attested", Unsigned::Attested),
    ("strange", Unsigned::Strange),
];

/// People at work.
pub(crate) struct Script {
    air: Arc<Air>,
    git: Arc<FakeGit>,
    builder: Arc<FakeBuilder>,
    scanner: Arc<FakeScanner>,
    workloads: Arc<FakeWorkloads>,
    /// Where releases are measured.
    metrics: Option<Arc<FakeMetrics>>,
    signatures: Arc<FakeSignatures>,
    journal: Arc<MemoryJournal>,
    rng: Rng,
    left: usize,
    next: Timestamp,
    made: Vec<CommitId>,
    said: usize,
    /// One good release after another changes what cannot be taken back.
    migrates: bool,
    /// Somebody asks to go back once all is done.
    last_word: bool,
    /// There are windows, and words that override them.
    overrides: bool,
    /// What is still done once the windows have closed: a push, and a word for it.
    urgent: u8,
}

/// The repository.
pub(crate) fn repo() -> RepositoryName {
    RepositoryName::new("shop").unwrap_or_else(|_| unreachable!())
}

/// The branch whose tip runs.
pub(crate) fn main_branch() -> RefName {
    RefName::branch("main").unwrap_or_else(|_| unreachable!())
}

impl Script {
    /// `acts` things that people do, at random times.
    #[expect(clippy::too_many_arguments, reason = "the whole world, once")]
    pub(crate) fn new(
        air: Arc<Air>,
        git: Arc<FakeGit>,
        builder: Arc<FakeBuilder>,
        scanner: Arc<FakeScanner>,
        workloads: Arc<FakeWorkloads>,
        metrics: Option<Arc<FakeMetrics>>,
        signatures: Arc<FakeSignatures>,
        journal: Arc<MemoryJournal>,
        seed: u64,
        acts: usize,
    ) -> Self {
        let next = air.now();
        Self {
            air,
            git,
            builder,
            scanner,
            workloads,
            metrics,
            signatures,
            journal,
            rng: Rng::new(!seed),
            left: acts,
            next,
            made: Vec::new(),
            said: 0,
            migrates: seed % 7 == 3,
            last_word: seed % 7 == 3,
            overrides: is_windowed(seed),
            urgent: if is_windowed(seed) && seed % 7 != 3 { 2 } else { 0 },
        }
    }

    /// When people act next.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        let more = self.left > 0 || self.last_word || self.urgent > 0;
        (more || !self.journal.stopped().is_empty()).then_some(self.next)
    }

    /// What people do now; the events that webhooks tell of it.
    pub(crate) fn act(&mut self, now: Timestamp) -> Vec<Event> {
        if self.next().is_none_or(|next| next > now) {
            return Vec::new();
        }
        if self.left == 0 && std::mem::take(&mut self.last_word) {
            return vec![self.request(RequestKind::RollBack, "local/web")];
        }
        if self.left == 0 && self.urgent > 0 {
            return self.act_late(now);
        }
        if self.left == 0 {
            // Nobody leaves while something is stopped.
            self.next = now + SignedDuration::from_secs(1);
            return self.resume();
        }
        self.left -= 1;
        // A burst, or after a while.
        let wait = if self.rng.chance(400) { self.rng.below(50) } else { self.rng.below(20_000) };
        self.next = now + SignedDuration::from_millis(i64::try_from(wait).unwrap_or(0));
        if self.left == 0 && self.last_word {
            self.next = now + SignedDuration::from_mins(2);
        }
        match self.rng.below(15) {
            _ if self.migrates => {
                self.next += SignedDuration::from_secs(20);
                self.push()
            }
            0 if self.made.len() > 1 => self.force(),
            1 if self.made.len() > 1 => vec![self.roll_back()],
            2 if self.made.len() > 1 => vec![self.stop()],
            3 => self.resume(),
            12 | 13 => self.word(),
            14 => self.release(),
            4 | 5 if self.made.len() > 1 => {
                self.find_out();
                self.push()
            }
            _ => self.push(),
        }
    }

    /// Outside of the windows: a push, and some while later a word for what came of it.
    fn act_late(&mut self, now: Timestamp) -> Vec<Event> {
        let resumed = self.resume();
        if now.as_second() % 86_400 >= (14 * 60 + 17) * 60 {
            // From then on they stay open.
            self.urgent = 0;
            return resumed;
        }
        if !resumed.is_empty() || may_begin(now) {
            self.next = now + SignedDuration::from_secs(5);
            return resumed;
        }
        self.urgent -= 1;
        let wait = 5_000 + self.rng.below(10_000);
        self.next = now + SignedDuration::from_millis(i64::try_from(wait).unwrap_or(0));
        if self.urgent > 0 { self.push() } else { self.override_window() }
    }

    /// A commit on the tip; at times one that diverges from it.
    fn push(&mut self) -> Vec<Event> {
        let before = self.git.truth(&repo(), &main_branch());
        let diverges = self.made.len() > 1 && self.rng.chance(100);
        let parent =
            if diverges { Some(self.made[self.rng.below(self.made.len())].clone()) } else { before.clone() };
        let mut tree = parent.as_ref().map(|parent| self.git.tree(parent)).unwrap_or_default();
        self.change(&mut tree);
        let number = self.made.len() + 1;
        let Ok(id) = CommitId::new(format!("{number:040x}")) else { return Vec::new() };
        self.git.commit(id.clone(), parent.clone(), tree.clone());
        for service in SERVICES {
            let content = tree.get(&format!("{service}/main.rs")).cloned().unwrap_or_default();
            let Some(order) = order(service, &id) else { continue };
            let digest = self.builder.digest(&order);
            if content.starts_with("bad") {
                self.workloads.never_ready(digest.clone());
            }
            let inside = INSIDE.iter().find(|(word, _)| content.contains(word)).map(|(_, inside)| *inside);
            if let Some(inside) = inside {
                self.scanner.holds(digest.clone(), inside);
            }
            let unsigned = UNSIGNED.iter().find(|(word, _)| content.contains(word));
            if let Some((_, unsigned)) = unsigned {
                self.signatures.leaves(digest.clone(), *unsigned);
            }
            let under = UNDER.iter().find(|(word, _)| content.contains(word));
            if let Some((metrics, (_, under))) = self.metrics.as_ref().zip(under) {
                metrics.behaves(digest.clone(), *under);
            }
        }
        self.made.push(id.clone());
        self.moves(before, id, diverges)
    }

    /// The branch goes back to an older commit.
    fn force(&mut self) -> Vec<Event> {
        let before = self.git.truth(&repo(), &main_branch());
        let to = self.made[self.rng.below(self.made.len())].clone();
        if before.as_ref() == Some(&to) {
            return Vec::new();
        }
        self.moves(before, to, true)
    }

    fn moves(&mut self, before: Option<CommitId>, to: CommitId, forced: bool) -> Vec<Event> {
        self.git.push(&repo(), &main_branch(), Some(to.clone()));
        self.air.note(|| format!("PUSH {} forced={forced}", to.as_str().trim_start_matches('0')));
        let push = PushReceived {
            provider: "sim".into(),
            delivery: None,
            repo: repo(),
            clone_url: None,
            git_ref: main_branch(),
            ref_kind: RefKind::Branch,
            created: before.is_none(),
            before,
            after: Some(to),
            deleted: false,
            forced,
            actor: None,
            paths: Vec::new(),
            paths_truncated: true,
        };
        vec![self.event("shop", push.into())]
    }

    /// Something is found out about an image that was clean when it came: of late, it may be on its way in.
    fn find_out(&mut self) {
        let Some(commit) = self.made.last().cloned() else { return };
        for service in SERVICES {
            if let Some(order) = order(service, &commit) {
                self.air.note(|| format!("FOUND OUT about {service}"));
                self.scanner.turns(self.builder.digest(&order));
            }
        }
    }

    fn roll_back(&mut self) -> Event {
        let places = ["local/api", "local/web", "prod/web"];
        let target = places[self.rng.below(places.len())];
        self.request(RequestKind::RollBack, target)
    }

    fn stop(&mut self) -> Event {
        let target = ["all", "local", "prod"][self.rng.below(3)];
        self.request(RequestKind::Stop, target)
    }

    fn resume(&mut self) -> Vec<Event> {
        let stopped = self.journal.stopped();
        stopped.iter().map(|name| self.request(RequestKind::Resume, name)).collect()
    }

    /// Somebody who may, or who may not, says that the newest image may begin whatever the windows say: for good or for a while.
    fn override_window(&mut self) -> Vec<Event> {
        let judged = self.journal.events().into_iter().rev();
        let newest = judged.filter_map(|event| match event.data {
            Data::GateEvaluated(gate) if gate.environment.as_str() == "local" => Some(gate),
            _ => None,
        });
        let Some(gate) = newest.into_iter().next() else { return Vec::new() };
        let who = if self.rng.chance(600) { "sim" } else { "other" };
        let until = self.rng.chance(500).then(|| self.air.now() + SignedDuration::from_secs(20));
        self.air.note(|| format!("{who} OVERRIDES THE WINDOW for {}", gate.digest.hex()));
        let given = ApprovalGiven {
            environment: gate.environment,
            service: gate.service,
            digest: gate.digest,
            decision: ApprovalDecision::Approved,
            who: who.into(),
            why: Some("it is urgent".into()),
            until,
            override_window: true,
        };
        let subject = format!("{}/{}/{}", given.environment, given.service, given.digest);
        vec![self.event(&subject, given.into())]
    }

    /// Somebody says whether the newest image that waits for it may run.
    fn word(&mut self) -> Vec<Event> {
        if self.overrides && self.rng.chance(500) {
            return self.override_window();
        }
        let judged = self.journal.events().into_iter().rev();
        let waits = judged.filter_map(|event| match event.data {
            Data::GateEvaluated(gate) => Some(gate),
            _ => None,
        });
        let mut of_people =
            waits.filter(|gate| gate.environment.as_str() == "prod" && gate.verdict == Verdict::Unknown);
        let Some(gate) = of_people.next() else { return Vec::new() };
        let decision =
            if self.rng.chance(200) { ApprovalDecision::Rejected } else { ApprovalDecision::Approved };
        self.air.note(|| format!("{decision:?} {}", gate.digest.hex()));
        let subject = format!("{}/{}/{}", gate.environment, gate.service, gate.digest);
        let (environment, service, digest) = (gate.environment, gate.service, gate.digest);
        let (who, why, until) = ("sim".to_owned(), None, None);
        let override_window = false;
        let given =
            ApprovalGiven { environment, service, digest, decision, who, why, until, override_window };
        vec![self.event(&subject, given.into())]
    }

    /// Somebody lifts a quarantine.
    fn release(&mut self) -> Vec<Event> {
        let events = self.journal.events();
        let bad: Vec<_> = events
            .into_iter()
            .filter_map(|event| match event.data {
                Data::DigestQuarantined(bad) => Some((event.id, event.subject, bad)),
                _ => None,
            })
            .collect();
        if bad.is_empty() {
            return Vec::new();
        }
        let (quarantine, subject, bad) = bad[self.rng.below(bad.len())].clone();
        self.air.note(|| format!("RELEASE {subject}"));
        let released = DigestReleased {
            digest: bad.digest,
            environment: bad.environment,
            service: bad.service,
            quarantine,
            who: "sim".into(),
            why: "it is good".into(),
        };
        vec![self.event(&subject, released.into())]
    }

    fn request(&mut self, what: RequestKind, target: &str) -> Event {
        self.air.note(|| format!("{what:?} {target}"));
        let request = RequestMade { what, who: "sim".into(), target: target.into(), to: None, why: None };
        self.event(target, request.into())
    }

    fn event(&mut self, subject: &str, data: Data) -> Event {
        self.said += 1;
        let text = format!("sim/{}", self.said);
        let (Ok(id), Ok(chain)) = (EventId::new(&text), ChainId::new(&text)) else { unreachable!() };
        Event {
            id,
            source: "sim".into(),
            subject: subject.into(),
            time: self.air.now(),
            link: Link { chain, cause: None },
            traceparent: None,
            dryrun: false,
            data,
        }
    }

    /// Changes one service or both: good, bad (never ready) or broken (does not build), and at times with something in
    /// it that a scanner finds.
    fn change(&mut self, tree: &mut Tree) {
        let both = self.rng.chance(300);
        let one = self.rng.below(SERVICES.len());
        for (index, service) in SERVICES.iter().enumerate() {
            if !both && index != one && !tree.is_empty() {
                continue;
            }
            let kind = match self.rng.below(10) {
                0 | 1 if !self.migrates => "bad",
                _ => "good",
            };
            let inside = INSIDE.get(self.rng.below(12)).filter(|_| !self.migrates);
            let inside = inside.map_or("clean", |(word, _)| word);
            let under = match &self.metrics {
                Some(_) => UNDER.get(self.rng.below(12)).map_or("fast", |(word, _)| word),
                None => "fast",
            };
            let number = self.rng.number();
            let unsigned =
                UNSIGNED.get(usize::try_from(number % 16).unwrap_or(0)).map_or("signed", |(word, _)| word);
            let of = BlobRef::of(&number.to_le_bytes()).0;
            let content = format!("{kind} {inside} {under} {unsigned} {}", of.hex());
            tree.insert(format!("{service}/main.rs"), content);
            let rest = number / 256;
            if rest.is_multiple_of(4) || self.migrates && rest.is_multiple_of(2) {
                tree.insert(format!("{service}/migrations/{}", &of.hex()[..8]), String::new());
            }
            tree.remove(&format!("{service}/broken"));
            if self.rng.chance(70) {
                tree.insert(format!("{service}/broken"), String::new());
            }
        }
    }
}

/// The order that builds a service at a commit.
pub(crate) fn order(service: &str, commit: &CommitId) -> Option<BuildOrder> {
    Some(BuildOrder { service: ServiceName::new(service).ok()?, repo: repo(), commit: commit.clone() })
}
