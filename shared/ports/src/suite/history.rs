//! What people may ask of every journal.

use longshore_events::types::{BuildStarted, DeploymentAdvanced};
use longshore_events::{
    ChainId, CommitId, Data, EnvironmentName, Event, Fact as _, Link, RepositoryName, ServiceName,
};

use super::journal::sample::{at, done, id, request, says, takes, todo, unit, untaken, writes};
use crate::History;
use crate::history::{DecisionQuery, EventQuery, Page, Standing, Taken};
use crate::journal::{Commit, DecisionRow, LeaseRow, Receipt, Routes, SwitchWrite, UnitRow};

/// Runs every test of the suite, each on a journal of its own. `make` gives an empty journal with these routes.
pub async fn run<J: History>(make: impl AsyncFn(Routes) -> J) {
    let routes = super::journal::routes;
    events_are_listed_by_what_they_are_about(&make(routes()).await).await;
    a_list_goes_on_where_it_ended(&make(routes()).await).await;
    a_list_of_the_newest_goes_back_from_where_it_ended(&make(routes()).await).await;
    an_event_that_was_said_twice_is_listed_once(&make(routes()).await).await;
    a_commit_is_found_by_its_first_digits(&make(routes()).await).await;
    units_are_listed_by_their_function(&make(routes()).await).await;
    leases_switches_and_what_is_owed_are_told(&make(routes()).await).await;
    decisions_of_a_unit_are_told_as_they_were_written_the_oldest_first(&make(routes()).await).await;
    who_has_taken_an_event_is_told_with_the_version_it_made(&make(routes()).await).await;
}

/// A build and a step of a rollout in the chain `name`, whose commit is made of that digit.
fn change(name: &str) -> [Event; 2] {
    let service = ServiceName::new("api").expect("a valid name");
    let started = BuildStarted {
        service: service.clone(),
        repo: RepositoryName::new("shop").expect("a valid name"),
        commit: CommitId::new(name.repeat(40)).expect("a valid commit"),
        builder: "packer".into(),
    };
    let advanced = DeploymentAdvanced {
        deployment: "prod/api/1".into(),
        environment: EnvironmentName::new("prod").expect("a valid name"),
        service,
        step: 1,
        weight: 100,
        ready: true,
    };
    let event = |n: u8, subject: &str, data: Data| Event {
        link: Link { chain: ChainId::new(format!("{name}1")).expect("a valid chain"), cause: None },
        ..Event { data, ..untaken(&format!("{name}{n}"), subject) }
    };
    [event(1, "api", started.into()), event(2, "prod/api", advanced.into())]
}

fn all() -> EventQuery {
    EventQuery { limit: 10, ..EventQuery::default() }
}

fn newest(limit: usize) -> EventQuery {
    EventQuery { newest: true, limit, ..EventQuery::default() }
}

async fn list<J: History>(journal: &J, query: &EventQuery) -> Page {
    let page = journal.events(query).await.expect("a list");
    assert!(page.events.is_sorted_by(|a, b| a.seq < b.seq), "by their numbers: {page:?}");
    page
}

async fn ids<J: History>(journal: &J, query: &EventQuery) -> Vec<String> {
    list(journal, query).await.events.iter().map(|found| found.event.id.to_string()).collect()
}

/// `a1 a2 b1 b2 other`, in three commits.
async fn filled<J: History>(journal: &J) {
    done(journal, &says(0, &change("a"))).await;
    done(journal, &says(1, &change("b"))).await;
    done(journal, &says(2, &[untaken("other", "build")])).await;
}

async fn events_are_listed_by_what_they_are_about<J: History>(journal: &J) {
    filled(journal).await;
    assert_eq!(ids(journal, &all()).await, ["a1", "a2", "b1", "b2", "other"]);
    assert_eq!(ids(journal, &newest(2)).await, ["b2", "other"]);
    let chain = ChainId::new("b1").expect("a valid chain");
    let of_chain = EventQuery { chain: Some(chain), ..all() };
    assert_eq!(ids(journal, &of_chain).await, ["b1", "b2"], "the first of a chain has its name");
    let of_kind = EventQuery { kind: Some(BuildStarted::KIND.into()), ..all() };
    assert_eq!(ids(journal, &of_kind).await, ["a1", "b1"]);
    assert_eq!(ids(journal, &EventQuery { limit: 1, newest: true, ..of_kind }).await, ["b1"]);
    let of_service = EventQuery { subject: Some("api".into()), ..all() };
    assert_eq!(ids(journal, &of_service).await, ["a1", "a2", "b1", "b2"]);
    let both =
        EventQuery { kind: Some(DeploymentAdvanced::KIND.into()), subject: Some("prod/api".into()), ..all() };
    assert_eq!(ids(journal, &both).await, ["a2", "b2"]);
    assert!(ids(journal, &EventQuery { subject: Some("pi".into()), ..all() }).await.is_empty());
}

async fn a_list_goes_on_where_it_ended<J: History>(journal: &J) {
    assert_eq!(list(journal, &all()).await, Page::default());
    filled(journal).await;
    let first = list(journal, &EventQuery { limit: 3, ..all() }).await;
    assert_eq!(first.next, first.events[2].seq);
    let rest = list(journal, &EventQuery { after: first.next, ..all() }).await;
    assert_eq!(rest.events.iter().map(|found| found.event.id.as_str()).collect::<Vec<_>>(), ["b2", "other"]);
    let end = list(journal, &EventQuery { after: rest.next, ..all() }).await;
    assert!(end.events.is_empty() && end.next == rest.next, "{end:?}");
}

async fn a_list_of_the_newest_goes_back_from_where_it_ended<J: History>(journal: &J) {
    assert_eq!(list(journal, &newest(3)).await, Page::default());
    filled(journal).await;
    let of_kind = EventQuery { kind: Some(BuildStarted::KIND.into()), ..newest(1) };
    for query in [newest(2), newest(1), newest(9), of_kind] {
        let (mut ids, mut before) = (Vec::new(), None);
        loop {
            let page = list(journal, &EventQuery { before, ..query.clone() }).await;
            ids.splice(0..0, page.events.iter().map(|found| found.event.id.to_string()));
            before = page.before;
            if before.is_none() {
                break;
            }
        }
        let all = EventQuery { newest: false, limit: 10, ..query };
        assert_eq!(ids, self::ids(journal, &all).await);
    }
}

async fn an_event_that_was_said_twice_is_listed_once<J: History>(journal: &J) {
    done(journal, &says(0, &change("a"))).await;
    done(journal, &says(1, &change("a"))).await;
    assert_eq!(ids(journal, &all()).await, ["a1", "a2"]);
}

async fn a_commit_is_found_by_its_first_digits<J: History>(journal: &J) {
    filled(journal).await;
    for digits in ["bbbbbbb", &"b".repeat(40)] {
        let of_commit = EventQuery { commit: Some(digits.into()), ..newest(1) };
        assert_eq!(ids(journal, &of_commit).await, ["b1"], "{digits}");
    }
    assert!(ids(journal, &EventQuery { commit: Some("bbbbbbc".into()), ..all() }).await.is_empty());
}

async fn units_are_listed_by_their_function<J: History>(journal: &J) {
    for name in ["v", "u", "w"] {
        done(journal, &writes(unit(name, None))).await;
    }
    let first = journal.units("build", 9).await.expect("units").remove(0);
    assert_eq!((first.function.as_str(), first.unit.as_str(), first.row.version), ("build", "u", 1));
    done(journal, &writes(unit("u", Some(&first.row)))).await;
    let units = journal.units("build", 9).await.expect("units");
    let named: Vec<_> = units.iter().map(|unit| (unit.unit.as_str(), unit.row.version)).collect();
    assert_eq!(named, [("u", 2), ("v", 1), ("w", 1)], "each once, as it is now");
    assert_eq!(journal.units("build", 2).await.expect("units").len(), 2);
    assert!(journal.units("deploy", 9).await.expect("units").is_empty());
}

async fn leases_switches_and_what_is_owed_are_told<J: History>(journal: &J) {
    assert_eq!(journal.standing().await.expect("an answer"), Standing::default());
    let mut busy = unit("u", None);
    busy.row = UnitRow { todo: vec![todo("start")], until: Some(at(9)), ..busy.row };
    let lease = takes("prod/api", None, Some("build/u"));
    let switch = |name: &str, stop| Some(SwitchWrite { name: name.into(), stop });
    let commit = Commit { lease: Some(lease), switch: switch("prod", true), ..writes(busy) };
    done(journal, &commit).await;
    done(journal, &Commit { switch: switch("all", true), ..says(3, &[request("e", "prod/api")]) }).await;
    done(journal, &Commit { switch: switch("all", false), ..writes(unit("w", None)) }).await;
    let expected = Standing {
        leases: vec![("prod/api".into(), LeaseRow { holder: Some("build/u".into()), generation: 1 })],
        stopped: vec!["prod".into()],
        deliveries: 2,
        oldest: Some(at(3)),
        busy: 1,
    };
    assert_eq!(journal.standing().await.expect("an answer"), expected);
}

async fn decisions_of_a_unit_are_told_as_they_were_written_the_oldest_first<J: History>(journal: &J) {
    let mut read = UnitRow::default();
    let mut written = Vec::new();
    for version in 1..=12 {
        let decision = DecisionRow {
            function: "build".into(),
            unit: "u".into(),
            version,
            at: at(i64::try_from(version).expect("a small number")),
            cause: format!("told {}", id("e")),
            seen: "{\"tip\":null}".into(),
            record: (version % 2 == 0).then(|| format!("{{\"before\":{{\"whole\":\"ü \\\" {version}\"}}}}")),
        };
        let write = unit("u", Some(&read).filter(|row| row.version > 0));
        read = write.row.clone();
        // Not every version is a decision's.
        let decision = Some(decision).filter(|_| version != 5);
        written.extend(decision.clone());
        done(journal, &Commit { decision, ..writes(write) }).await;
    }
    let of =
        |unit: &str, from, limit| DecisionQuery { function: "build".into(), unit: unit.into(), from, limit };
    let list = async |query| journal.decisions(&query).await.expect("decisions");
    assert_eq!(list(of("u", None, 2)).await, written[9..]);
    assert_eq!(list(of("u", None, 99)).await, written);
    assert_eq!(list(of("u", Some(5), 4)).await, written[4..8]);
    assert_eq!(list(of("u", Some(11), 4)).await, written[9..]);
    assert!(list(of("u", Some(13), 4)).await.is_empty() && list(of("v", None, 2)).await.is_empty());
    let other = DecisionQuery { function: "deploy".into(), ..of("u", None, 2) };
    assert!(list(other).await.is_empty());
}

async fn who_has_taken_an_event_is_told_with_the_version_it_made<J: History>(journal: &J) {
    done(journal, &says(0, &[request("e", "a"), request("f", "a")])).await;
    let receipt = |event: &str, function: &str, unit: Option<&str>| Receipt {
        function: function.into(),
        event: id(event),
        unit: unit.map(str::to_owned),
        clears: false,
    };
    let seen = UnitRow { version: 6, ..UnitRow::default() };
    for version in 1..=6 {
        let read = UnitRow { version: version - 1, ..UnitRow::default() };
        done(journal, &writes(unit("shop/v", Some(&read).filter(|row| row.version > 0)))).await;
    }
    let takes = writes(unit("shop/v", Some(&seen)));
    done(journal, &Commit { receipt: Some(receipt("e", "build", Some("shop/v"))), ..takes }).await;
    done(journal, &Commit { receipt: Some(receipt("e", "build", Some("given-up"))), ..says(0, &[]) }).await;
    done(journal, &Commit { receipt: Some(receipt("e", "deploy", None)), ..says(0, &[]) }).await;
    let of_u = Commit { receipt: Some(receipt("f", "build", Some("u"))), ..writes(unit("u", None)) };
    done(journal, &of_u).await;
    let taken = |unit: &str, version| Taken { function: "build".into(), unit: unit.into(), version };
    let found = journal.taken(&id("e")).await.expect("an answer");
    assert_eq!(found, [taken("given-up", None), taken("shop/v", Some(7))], "no unit is none");
    assert_eq!(journal.taken(&id("f")).await.expect("an answer"), [taken("u", Some(1))]);
    assert!(journal.taken(&id("g")).await.expect("an answer").is_empty());
}
