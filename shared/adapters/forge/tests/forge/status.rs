//! Statuses at both forges: the port's contract, and what each forge refuses.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use longshore_events::CommitId;
use longshore_forge::ForgeStatus;
use longshore_ports::suite::forge::{Bench, run};
use longshore_ports::{CommitStatus, EffectKind, ErrorKind, Forge as _, Key, StatusState};

use crate::stage::{KINDS, Stage, Tokens, policy, repo};

fn key() -> Key {
    Key {
        function: "report".into(),
        unit: "shop".into(),
        generation: Some(1),
        name: "status".into(),
        kind: EffectKind::Told,
        restoring: true,
    }
}

fn forge(stage: &Stage) -> ForgeStatus {
    let policy = policy(&[("acme/shop", stage.server.forge(None))]);
    ForgeStatus::of(&policy, Arc::new(Tokens::default())).unwrap()
}

fn status(commit: &CommitId) -> CommitStatus {
    CommitStatus {
        repo: repo(),
        commit: commit.clone(),
        context: "longshore/shop".into(),
        state: StatusState::Success,
        description: "ok".into(),
    }
}

#[tokio::test]
async fn statuses_at_both_forges_keep_the_contract() {
    for kind in KINDS {
        let stages = Mutex::new(Vec::new());
        let make = async || {
            let stage = Stage::new(kind).await;
            let bench = Bench { forge: forge(&stage), repo: repo(), commit: stage.history.main.clone() };
            stages.lock().unwrap().push(stage);
            bench
        };
        let shown = async |bench: &Bench<ForgeStatus>| {
            let all = stages.lock().unwrap().last().unwrap().server.statuses();
            let mut newest = BTreeMap::new();
            for one in all.into_iter().filter(|one| one.commit == bench.commit.as_str()) {
                let state = match one.state.as_str() {
                    "pending" | "running" => StatusState::Pending,
                    "success" => StatusState::Success,
                    "failure" | "failed" => StatusState::Failure,
                    other => panic!("{other}"),
                };
                newest.insert(one.context, (state, one.description));
            }
            newest.into_iter().map(|(context, (state, text))| (context, state, text)).collect()
        };
        run(make, shown).await;
    }
}

#[tokio::test]
async fn what_a_forge_refuses_is_named() {
    for kind in KINDS {
        let stage = Stage::new(kind).await;
        let forge = forge(&stage);
        let nowhere = CommitId::new("9".repeat(40)).unwrap();
        let error = forge.status(&key(), &status(&nowhere)).await.unwrap_err();
        assert!(!error.is_temporary() && error.to_string().contains("longshore/shop of 9999"), "{error}");
        stage.server.answer_next((502, Vec::new(), "{}".into()));
        assert!(forge.status(&key(), &status(&stage.history.main)).await.unwrap_err().is_temporary());
        let body = "{\"message\":\"Resource not accessible by personal access token\"}".to_owned();
        stage.server.answer_next((403, Vec::new(), body));
        let error = forge.status(&key(), &status(&stage.history.main)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied, "{error}");

        let none = ForgeStatus::of(&policy(&[]), Arc::new(Tokens::default())).unwrap();
        let error = none.status(&key(), &status(&stage.history.main)).await.unwrap_err();
        assert!(error.to_string().contains("names no forge"), "{error}");
    }
}
