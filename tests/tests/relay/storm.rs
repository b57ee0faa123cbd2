//! A storm of pushes on the stack. Nothing may be lost, nothing happen twice, the tip of every branch must run, and each
//! function must do with the rights that the template gives it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use longshore_cli::demo::count::{self, Count, History};
use longshore_cli::demo::facts::{Facts, Fate};
use longshore_events::Data;
use longshore_frame::lambda::PlatformClock;
use longshore_ports::{Clock as _, Journal as _, Secret};

use crate::chance::Chance;
use crate::client::Client;
use crate::forge::{Mail, Push, send};
use crate::given::number;
use crate::people;
use crate::platform::Weather;
use crate::rights::faults;
use crate::stack::ask;
use crate::stage::{SECRET, Stage};

const SERVICES: usize = 4;
/// A webhook arrives within this many milliseconds, so that those of later pushes overtake it.
const LATE_MS: usize = 2_000;
/// Of a hundred pushes so many have no webhook: the ref check must find them.
const UNHEARD: usize = 15;
/// Of a hundred pushes so many never become ready.
const BROKEN: usize = 5;
/// So much may wait to be done when a push is made.
const PENDING: usize = 12;
/// And it is waited for that so long.
const PAUSE: Duration = Duration::from_secs(4);
/// Between two pushes, in milliseconds, at most.
const PAUSE_MS: usize = 1_500;
/// How long everything may take to come to rest after the last push.
const PATIENCE: Duration = Duration::from_mins(6);
/// Between two looks at what is left to do.
const LOOK: Duration = Duration::from_secs(3);
const ASK_EVERY: Duration = Duration::from_millis(20);

#[test]
fn a_storm_of_pushes_and_kills_on_the_stack_loses_nothing_and_does_nothing_twice() {
    let begun = Instant::now();
    let storm = Storm::of_environment();
    let stage = Stage::set(SERVICES, "15s", Weather { kills: storm.kills, faults: true, seed: storm.seed });
    eprintln!("the stage is set after {:.1?}", begun.elapsed());
    let client =
        |service| Client::start(stage.cluster.proxy, format!("s{service}.live.localhost"), begun, ASK_EVERY);
    let clients: Vec<_> = (0..SERVICES).map(client).collect();
    let tips = rage(&stage, storm);
    outside(&stage, &tips[0].commit);
    let tally = &stage.platform.shared.tally;
    eprintln!("raged for {:.1?}", begun.elapsed());
    let facts = at_rest(&stage, &clients, &tips);
    let count = |what: &std::sync::atomic::AtomicUsize| what.load(Ordering::SeqCst);
    eprintln!(
        "at rest after {:.1?}: {} invocations, {} killed, {} failed, {} events",
        begun.elapsed(),
        count(&tally.invocations),
        count(&tally.kills),
        count(&tally.failures),
        facts.0.len(),
    );
    assert_eq!(count(&tally.kills), storm.kills);
    for (service, client) in clients.iter().enumerate() {
        let settled = settled(&facts, &tips[service], client.last().as_ref());
        let count = counted(&stage, service, client, &facts, (tips[service].commit.clone(), settled));
        assert_eq!((&count.lost, &count.twice), (&Vec::new(), &Vec::new()), "s{service}");
        assert_eq!(count.prepared_again, 0, "s{service}: a commit was built twice");
    }
    people::stop(&stage);
    people::say(&stage);
    people::look(&stage, &tips[0]);
    people::redrive(&stage);
    people::release(&stage, 1, 1_000);
    people::roll_back(&stage, "s1");
    rights(&stage);
}

/// An image that nobody here built runs too. What ECR says comes on a best effort, and again with the next push.
fn outside(stage: &Stage, commit: &str) {
    let digest = stage.builds.push_outside("s0", commit);
    let is_heard = |event: &longshore_events::Event| match &event.data {
        Data::ImagePushed(image) => image.digest.as_str() == digest && image.commit.is_none(),
        _ => false,
    };
    while !stage.events().iter().any(is_heard) {
        stage.builds.tell_outside(&digest);
        std::thread::sleep(Duration::from_secs(3));
    }
}

/// What the functions asked for is what their roles let them.
fn rights(stage: &Stage) {
    let asked = stage.proxy.asked();
    assert_eq!(faults(&stage.stack, &asked), Vec::<String>::new());
}

/// 40 pushes and 100 kills, and what chance does is repeated by its seed, unless the environment says otherwise.
#[derive(Clone, Copy)]
struct Storm {
    pushes: usize,
    kills: usize,
    seed: u64,
}

impl Storm {
    fn of_environment() -> Self {
        let number = |name: &str, default| number(&format!("LONGSHORE_RELAY_{name}"), default);
        Self { pushes: number("PUSHES", 40), kills: number("KILLS", 100), seed: number("SEED", 1) as u64 }
    }
}

/// Pushes until there were enough, and enough of the invocations were killed; the last push of each service.
fn rage(stage: &Stage, storm: Storm) -> Vec<Push> {
    let mut chance = Chance::new(storm.seed);
    let secret = Secret::new(SECRET);
    let address = stage.hooks.trim_start_matches("http://").parse().unwrap();
    let mail = Mail::to(address, Secret::new(SECRET));
    let mut tips: Vec<Push> = Vec::new();
    let mut numbers = [0; SERVICES];
    // A repository is looked at once its first push was heard of.
    for service in 0..=SERVICES {
        let push = stage.forge.push(service, 0, false);
        while send(address, &secret, &push).is_ok_and(|status| status != "202") {}
        tips.push(push);
    }
    // What cannot be built is given up, and nobody waits for it.
    let _ = tips.pop();
    let kills = || stage.platform.shared.tally.kills.load(Ordering::SeqCst);
    let mut pushes = SERVICES;
    while pushes < storm.pushes || kills() < storm.kills {
        let service = chance.below(SERVICES);
        numbers[service] += 1;
        let push = stage.forge.push(service, numbers[service], chance.below(100) < BROKEN);
        if chance.below(100) >= UNHEARD {
            mail.post(push.clone(), [(); 2].map(|()| chance.ms(LATE_MS)));
        }
        tips[service] = push;
        pushes += 1;
        std::thread::sleep(chance.ms(PAUSE_MS));
        // A slow machine gets no more than it can do.
        let slow = Instant::now();
        while stage.platform.shared.pending.load(Ordering::SeqCst) > PENDING && slow.elapsed() < PAUSE {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    // Of these two people ask more afterwards.
    for service in 0..2 {
        numbers[service] += 1;
        let push = stage.forge.push(service, numbers[service], false);
        mail.post(push.clone(), [(); 2].map(|()| chance.ms(LATE_MS)));
        tips[service] = push;
    }
    let delivered = mail.delivered();
    eprintln!("{pushes} pushes, {} webhooks taken, {} missed", delivered.taken.len(), delivered.missed);
    tips
}

/// Waits until every tip runs and answers, or was refused, and nothing is left to do: all that was said.
fn at_rest(stage: &Stage, clients: &[Client], tips: &[Push]) -> Facts {
    let until = Instant::now() + PATIENCE;
    loop {
        // Looking costs moto more than anything else: it reads its whole table each time.
        std::thread::sleep(LOOK);
        let owed = ask(stage.journal.owed(PlatformClock.now(), 0, 100)).unwrap();
        if !owed.deliveries.is_empty() && Instant::now() < until {
            continue;
        }
        let busy = stage.busy();
        let facts = Facts(stage.events());
        let open: BTreeMap<_, _> = tips
            .iter()
            .filter(|tip| !settled(&facts, tip, clients[tip.service].last().as_ref()))
            .map(|tip| (tip.service, (&tip.commit, facts.fate(&tip.commit), clients[tip.service].last())))
            .collect();
        if owed.deliveries.is_empty() && busy.is_empty() && open.is_empty() {
            return facts;
        }
        let left = || {
            let owed = owed.deliveries.iter().map(|(function, event)| format!("{function} {}", event.id));
            format!("owed {:?}, busy {busy:?}, open {open:?}", owed.collect::<Vec<_>>())
        };
        assert!(Instant::now() < until, "after {PATIENCE:?} still {}", left());
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

fn counted(stage: &Stage, service: usize, client: &Client, facts: &Facts, tip: (String, bool)) -> Count {
    let witnesses = std::fs::read_to_string(stage.witness(service)).unwrap();
    count::count(&History {
        witnesses: count::witnesses(&witnesses),
        answers: client.answers(),
        digests: facts.digests(),
        tips: vec![tip],
        rolled_back: facts.rolled_back(),
        ..History::default()
    })
}
