//! A storm on built programs: pushes over many services, every webhook sent twice and shuffled, the host killed at
//! random. Nothing may be lost, nothing happen twice, and the tip of every branch must run.
//!
//! 500 pushes over 10 services with 20 kills, unless the environment says otherwise: `cargo xtask torture` asks for
//! 10,000, 100 and 200. `LONGSHORE_STORM_SEED` repeats what was left to chance; `LONGSHORE_STORM_KEEP` keeps the folder.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use longshore_cli::demo::count::{self, Count, History};
use longshore_cli::demo::facts::{Facts, Fate};
use longshore_events::Data;

use crate::chance::Chance;
use crate::client::Client;
use crate::forge::{Delivered, Mail, Push};
use crate::given::number;
use crate::stage::Stage;

/// A webhook arrives within this many milliseconds, so that those of later pushes overtake it.
const LATE_MS: usize = 4_000;
/// A killed host is away for up to so many milliseconds.
const AWAY_MS: usize = 500;
/// So many pushes follow one another at one service, at most.
const BURST: usize = 5;
/// So many pushes of a hundred never become ready.
const BROKEN: usize = 4;
/// All clients together ask once in this time.
const ASK_EVERY: Duration = Duration::from_millis(5);
/// How long everything may take to come to rest after the last push, and longer for each service.
const PATIENCE: (Duration, Duration) = (Duration::from_mins(2), Duration::from_secs(6));

/// How much of a storm it is.
struct Storm {
    services: usize,
    pushes: usize,
    kills: usize,
    seed: u64,
}

impl Storm {
    fn of_environment() -> Self {
        let number = |name: &str, default| number(&format!("LONGSHORE_STORM_{name}"), default);
        let (services, pushes) = (number("SERVICES", 10), number("PUSHES", 500));
        assert!(
            services > 0 && pushes >= 2 * services,
            "each service begins and ends with a push of its own"
        );
        Self { services, pushes, kills: number("KILLS", 20).min(pushes), seed: number("SEED", 1) as u64 }
    }

    /// The services of the pushes, and whether each is broken. People push in bursts, so that there is time to roll
    /// out between them. All services begin with a good push; of those that they end with, every third is broken.
    fn plan(&self, chance: &mut Chance) -> Vec<(usize, bool)> {
        let mut plan: Vec<_> = (0..self.services).map(|service| (service, false)).collect();
        while plan.len() < self.pushes - self.services {
            let service = chance.below(self.services);
            plan.extend((0..=chance.below(BURST)).map(|_| (service, chance.below(100) < BROKEN)));
        }
        plan.truncate(self.pushes - self.services);
        plan.extend((0..self.services).map(|service| (service, service.is_multiple_of(3))));
        plan
    }

    /// Before which pushes the host is killed.
    fn killed_before(&self, chance: &mut Chance) -> BTreeSet<usize> {
        let mut kills = BTreeSet::new();
        while kills.len() < self.kills {
            kills.insert(chance.below(self.pushes));
        }
        kills
    }

    /// Pushes, delivers and kills; the last push of each service.
    fn rage(&self, stage: &mut Stage) -> (Vec<Push>, Delivered) {
        let mut chance = Chance::new(self.seed);
        let mail = Mail::to(stage.host.ready.listen, stage.secret());
        let kills = self.killed_before(&mut chance);
        let (mut numbers, mut tips) = (vec![0; self.services], vec![None; self.services]);
        let begun = Instant::now();
        for (n, (service, broken)) in self.plan(&mut chance).into_iter().enumerate() {
            let away = kills.contains(&n).then(|| Instant::now() + chance.ms(AWAY_MS));
            if away.is_some() {
                stage.host.kill();
            }
            let push = stage.forge.push(service, numbers[service], broken);
            numbers[service] += 1;
            tips[service] = Some(push.clone());
            mail.post(push, [(); 2].map(|()| chance.ms(LATE_MS)));
            if let Some(until) = away {
                std::thread::sleep(until.saturating_duration_since(Instant::now()));
                stage.host.start_again();
            }
            if (n + 1).is_multiple_of(self.pushes.div_ceil(20)) {
                eprintln!("{} of {} pushes after {:.0?}", n + 1, self.pushes, begun.elapsed());
            }
        }
        (tips.into_iter().flatten().collect(), mail.delivered())
    }

    fn patience(&self) -> Duration {
        PATIENCE.0 + PATIENCE.1 * u32::try_from(self.services).unwrap()
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test is an entry point: it may read the environment")]
fn a_storm_of_pushes_and_kills_loses_nothing_and_does_nothing_twice() {
    let storm = Storm::of_environment();
    let mut stage = Stage::set(storm.services, "");
    if std::env::var_os("LONGSHORE_STORM_KEEP").is_some() {
        eprintln!("all of it stays in {}", stage.keep().display());
    }
    let (begun, proxy) = (Instant::now(), stage.host.ready.proxy);
    let every = ASK_EVERY * u32::try_from(storm.services).unwrap();
    let client = |service| Client::start(proxy, format!("s{service}.live.localhost"), begun, every);
    let clients: Vec<_> = (0..storm.services).map(client).collect();

    let (tips, mail) = storm.rage(&mut stage);
    let raged = begun.elapsed();
    let (facts, settled) = at_rest(&stage, &clients, &tips, storm.patience());
    let mut took = mail.took.clone();
    took.sort();
    let percentile = |p| took.get(took.len() * p / 100).copied().unwrap_or_default();
    let unsettled: Vec<_> = settled.iter().filter(|(_, settled)| !settled).collect();
    eprintln!(
        "seed {}: {} pushes over {} services with {} kills in {raged:.0?}, at rest after {:.0?}; {} webhooks taken, \
         half of them in {:.1?}, 99 % in {:.1?}, {} missed; {} events",
        storm.seed,
        storm.pushes,
        storm.services,
        storm.kills,
        begun.elapsed(),
        mail.taken.len(),
        percentile(50),
        percentile(99),
        mail.missed,
        facts.0.len(),
    );
    assert!(unsettled.is_empty(), "{unsettled:?}");
    assert_eq!(forgotten(&facts, &mail), Vec::<&String>::new(), "answered with success, and not kept");
    for (service, client) in clients.iter().enumerate() {
        let count = count_of(&stage, service, client, &facts, &settled[service]);
        assert_eq!((&count.lost, &count.twice), (&Vec::new(), &Vec::new()), "s{service}");
    }
}

/// Waits until every tip runs and answers, or was refused, and nothing is left to do: all that was said, and which of
/// the tips came so far.
fn at_rest(
    stage: &Stage,
    clients: &[Client],
    tips: &[Push],
    patience: Duration,
) -> (Facts, Vec<(String, bool)>) {
    let until = Instant::now() + patience;
    loop {
        let work = stage.host.status().work;
        let rests = work.deliveries == 0 && work.busy == 0;
        let late = Instant::now() > until;
        if rests || late {
            assert!(rests, "after {patience:?} still {work:?}");
            let facts = stage.facts();
            let settled: Vec<_> = tips
                .iter()
                .map(|tip| (tip.commit.clone(), settled(&facts, tip, clients[tip.service].last().as_ref())))
                .collect();
            if settled.iter().all(|(_, settled)| *settled) || late {
                return (facts, settled);
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Whether a tip runs and answers, or was refused for a reason.
fn settled(facts: &Facts, tip: &Push, answers: Option<&String>) -> bool {
    match facts.fate(&tip.commit) {
        Some(Fate::Ran) => answers == Some(&tip.commit),
        Some(Fate::Refused(_)) => tip.broken,
        None => false,
    }
}

/// The commits whose webhook was answered with success, and of whose push nothing is known.
fn forgotten<'a>(facts: &Facts, mail: &'a Delivered) -> Vec<&'a String> {
    let after = |data: &Data| match data {
        Data::PushReceived(push) => push.after.as_ref().map(ToString::to_string),
        _ => None,
    };
    let known: BTreeSet<String> = facts.0.iter().filter_map(|event| after(&event.data)).collect();
    mail.taken.iter().filter(|commit| !known.contains(*commit)).collect()
}

fn count_of(stage: &Stage, service: usize, client: &Client, facts: &Facts, tip: &(String, bool)) -> Count {
    let witnesses = std::fs::read_to_string(stage.witness(service)).unwrap();
    count::count(&History {
        witnesses: count::witnesses(&witnesses),
        answers: client.answers(),
        digests: facts.digests(),
        tips: vec![tip.clone()],
        rolled_back: facts.rolled_back(),
        ..History::default()
    })
}
