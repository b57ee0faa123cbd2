//! A storm on built programs: 500 pushes over 10 services, every webhook sent twice and shuffled, the host killed 20
//! times at random. Nothing may be lost, nothing happen twice, and the tip of every branch must run.
//!
//! `LONGSHORE_STORM_SEED` repeats what was left to chance; `LONGSHORE_STORM_KEEP` keeps the folder.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use longshore_cli::demo::count::{self, Count, History};
use longshore_cli::demo::facts::{Facts, Fate};

use crate::chance::Chance;
use crate::client::Client;
use crate::forge::{Delivered, Mail, Push};
use crate::stage::Stage;

const SERVICES: usize = 10;
const PUSHES: usize = 500;
const KILLS: usize = 20;
/// A webhook arrives within this many milliseconds, so that those of later pushes overtake it.
const LATE_MS: usize = 4_000;
/// A killed host is away for up to so many milliseconds.
const AWAY_MS: usize = 500;
/// So many pushes follow one another at one service, at most.
const BURST: usize = 5;
/// So many pushes of a hundred never become ready.
const BROKEN: usize = 4;
/// How long everything may take to come to rest after the last push.
const PATIENCE: Duration = Duration::from_mins(3);

#[test]
#[expect(clippy::disallowed_methods, reason = "a test is an entry point: it may read the environment")]
fn a_storm_of_pushes_and_kills_loses_nothing_and_does_nothing_twice() {
    let seed = std::env::var("LONGSHORE_STORM_SEED").map_or(1, |seed| seed.parse().unwrap());
    let mut stage = Stage::set(SERVICES, "");
    if std::env::var_os("LONGSHORE_STORM_KEEP").is_some() {
        eprintln!("all of it stays in {}", stage.keep().display());
    }
    let (begun, proxy) = (Instant::now(), stage.host.ready.proxy);
    let clients: Vec<_> = (0..SERVICES)
        .map(|service| Client::start(proxy, format!("s{service}.live.localhost"), begun))
        .collect();

    let (tips, mail) = storm(&mut stage, seed);
    let stormed = begun.elapsed();
    let settled = at_rest(&stage, &clients, &tips);
    let facts = stage.facts();
    let unsettled: Vec<_> = settled.iter().filter(|(_, settled)| !settled).collect();
    eprintln!(
        "seed {seed}: {PUSHES} pushes in {stormed:?}, at rest after {:?}; {} webhooks taken, {} missed; {} events",
        begun.elapsed(),
        mail.taken,
        mail.missed,
        facts.0.len(),
    );
    assert!(unsettled.is_empty(), "{unsettled:?}");
    for (service, client) in clients.iter().enumerate() {
        let count = count_of(&stage, service, client, &facts, &settled[service]);
        assert_eq!((&count.lost, &count.twice), (&Vec::new(), &Vec::new()), "s{service}");
    }
}

/// Pushes, delivers and kills; the last push of each service.
fn storm(stage: &mut Stage, seed: u64) -> (Vec<Push>, Delivered) {
    let mut chance = Chance::new(seed);
    let mail = Mail::to(stage.host.ready.listen, stage.secret());
    let (kills, mut numbers, mut tips) = (kills(&mut chance), [0; SERVICES], vec![None; SERVICES]);
    for (n, (service, broken)) in plan(&mut chance).into_iter().enumerate() {
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
    }
    (tips.into_iter().flatten().collect(), mail.delivered())
}

/// The services of the pushes, and whether each is broken. People push in bursts, so that there is time to roll out
/// between them. All services begin with a good push; of those that they end with, every third is broken.
fn plan(chance: &mut Chance) -> Vec<(usize, bool)> {
    let mut plan: Vec<_> = (0..SERVICES).map(|service| (service, false)).collect();
    while plan.len() < PUSHES - SERVICES {
        let service = chance.below(SERVICES);
        plan.extend((0..=chance.below(BURST)).map(|_| (service, chance.below(100) < BROKEN)));
    }
    plan.truncate(PUSHES - SERVICES);
    plan.extend((0..SERVICES).map(|service| (service, service.is_multiple_of(3))));
    plan
}

/// Before which pushes the host is killed.
fn kills(chance: &mut Chance) -> BTreeSet<usize> {
    let mut kills = BTreeSet::new();
    while kills.len() < KILLS {
        kills.insert(chance.below(PUSHES));
    }
    kills
}

/// Waits until every tip runs and answers, or was refused, and nothing is left to do; which of them came so far.
fn at_rest(stage: &Stage, clients: &[Client], tips: &[Push]) -> Vec<(String, bool)> {
    let until = Instant::now() + PATIENCE;
    loop {
        let facts = stage.facts();
        let settled: Vec<_> = tips
            .iter()
            .map(|tip| {
                let settled = match facts.fate(&tip.commit) {
                    Some(Fate::Ran) => clients[tip.service].last().as_ref() == Some(&tip.commit),
                    Some(Fate::Refused(_)) => tip.broken,
                    None => false,
                };
                (tip.commit.clone(), settled)
            })
            .collect();
        let work = stage.host.status().work;
        let rests = work.deliveries == 0 && work.busy == 0;
        if (settled.iter().all(|(_, settled)| *settled) && rests) || Instant::now() > until {
            assert!(rests, "after {PATIENCE:?} still {work:?}");
            return settled;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn count_of(stage: &Stage, service: usize, client: &Client, facts: &Facts, tip: &(String, bool)) -> Count {
    let witnesses = std::fs::read_to_string(stage.witness(service)).unwrap();
    count::count(&History {
        witnesses: count::witnesses(&witnesses),
        answers: client.answers(),
        digests: facts.digests(),
        tips: vec![tip.clone()],
        rolled_back: facts.rolled_back(),
    })
}
