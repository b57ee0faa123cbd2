//! What people ask the journal.

use longshore_events::types::{BuildStarted, DeploymentAdvanced, EventDeadlettered};
use longshore_events::{CommitId, EnvironmentName, RepositoryName, ServiceName};

use super::*;

fn change(journal: &str) -> Vec<Event> {
    let (commit, service) = (CommitId::new(journal.repeat(40)).unwrap(), ServiceName::new("api").unwrap());
    let started = BuildStarted {
        service: service.clone(),
        repo: RepositoryName::new("shop").unwrap(),
        commit,
        builder: "packer".into(),
    };
    let advanced = DeploymentAdvanced {
        deployment: "prod/api/1".into(),
        environment: EnvironmentName::new("prod").unwrap(),
        service,
        step: 1,
        weight: 100,
        ready: true,
    };
    vec![
        event(&format!("{journal}1"), journal, "api", started),
        event(&format!("{journal}2"), journal, "prod/api", advanced),
    ]
}

#[tokio::test]
async fn events_are_listed_by_what_they_are_about() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(&folder);
    journal.commit(&says(change("a"))).await.unwrap();
    journal.commit(&says(change("b"))).await.unwrap();
    let other = EventDeadlettered {
        original: None,
        function: "build".into(),
        unit: None,
        error: "e".into(),
        attempts: 1,
    };
    journal.commit(&says(vec![event("other", "other", "build", other)])).await.unwrap();
    let all = EventQuery { limit: 10, ..EventQuery::default() };
    let list = async |query: &EventQuery| journal.events(query).await.unwrap();

    assert_eq!(ids(&list(&all).await), ["a1", "a2", "b1", "b2", "other"]);
    let newest = EventQuery { newest: true, limit: 2, ..all.clone() };
    assert_eq!(ids(&list(&newest).await), ["b2", "other"]);
    let after = list(&EventQuery { limit: 3, ..all.clone() }).await.last().unwrap().seq;
    assert_eq!(ids(&list(&EventQuery { after, ..all.clone() }).await), ["b2", "other"]);
    let of_chain = EventQuery { chain: Some(ChainId::new("b").unwrap()), ..all.clone() };
    assert_eq!(ids(&list(&of_chain).await), ["b1", "b2"]);
    let of_kind = EventQuery { kind: Some(BuildStarted::KIND.into()), ..all.clone() };
    assert_eq!(ids(&list(&of_kind).await), ["a1", "b1"]);
    let of_service = EventQuery { subject: Some("api".into()), ..all.clone() };
    assert_eq!(ids(&list(&of_service).await), ["a1", "a2", "b1", "b2"]);
    let of_subject =
        EventQuery { subject: Some("prod/api".into()), kind: Some(DeploymentAdvanced::KIND.into()), ..all };
    assert_eq!(ids(&list(&of_subject).await), ["a2", "b2"]);
}

#[tokio::test]
async fn chains_are_found_by_service_and_by_commit() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(&folder);
    journal.commit(&says(change("a"))).await.unwrap();
    journal.commit(&says(change("b"))).await.unwrap();
    let chains = async |what: &str| {
        let found = journal.chains_of(what, 10).await.unwrap();
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(chains("api").await, ["b", "a"], "the newest first");
    assert_eq!(chains(&"a".repeat(40)).await, ["a"]);
    assert_eq!(chains("bbbb").await, ["b"]);
    assert!(chains("bbb").await.is_empty(), "three digits are too few");
    assert!(chains("shop").await.is_empty());
}

#[tokio::test]
async fn leases_switches_and_what_is_owed_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(&folder);
    let row = LeaseRow { holder: Some("deploy/prod/api".into()), generation: 1 };
    let lease = LeaseWrite { name: "prod/api".into(), read: None, row: row.clone() };
    let switch = SwitchWrite { name: "all".into(), stop: true };
    let busy = UnitRow { todo: vec![todo()], until: Some(at(9)), ..UnitRow::default() };
    let commit = Commit { lease: Some(lease), switch: Some(switch), ..stands("u", 0, busy) };
    journal.commit(&commit).await.unwrap();
    journal.commit(&says(vec![request("e")])).await.unwrap();
    assert_eq!(journal.leases().await.unwrap(), [("prod/api".into(), row)]);
    assert_eq!(journal.stopped().await.unwrap(), ["all"]);
    let owed = OwedCount { deliveries: 1, oldest: Some(at(0)), busy: 1 };
    assert_eq!(journal.owed_count().await.unwrap(), owed);
}
