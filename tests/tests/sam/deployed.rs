//! What the template makes, on moto: each resource is there, and the adapters work on it under the names that the
//! functions are told.

use std::sync::Arc;

use aws_sdk_dynamodb::types::{AttributeDefinition, GlobalSecondaryIndexDescription, KeySchemaElement};
use longshore_aws::{AwsSecrets, DynamoJournal, S3Blobs, TTL, testing};
use longshore_events::Event;
use longshore_frame::lambda::{PlatformClock, routes};
use longshore_ports::journal::{Commit, Committed, Open};
use longshore_ports::{Blobs as _, Clock as _, Journal as _, Secrets as _};
use serde_json::json;

use crate::blocks::binaries;
use crate::stack::{Stack, ask, logical, transformed};

#[test]
fn what_the_template_makes_is_there_and_the_functions_work_on_it() {
    let stack = Stack::deploy();
    everything_is_there(&stack);
    the_table_is_the_one_that_the_journal_expects(&stack);
    the_journal_the_bus_and_the_queue_work(&stack);
    secrets_and_blobs_work(&stack);
    what_fails_is_set_aside(&stack);
}

/// `Stack::found` fails for what is not there, and `stack.py` asks for all that has no condition.
fn everything_is_there(stack: &Stack) {
    let found = stack.said["found"].as_object().unwrap();
    assert!(found.len() > 60, "{}", found.len());
    for function in binaries().keys() {
        let name = logical(function);
        let found = stack.found(&name);
        assert_eq!(found["Runtime"], "provided.al2023", "{name}");
        let logs = format!("/longshore/longshore/{function}");
        assert_eq!(stack.found(&format!("{name}Logs"))["logGroupName"], logs);
        assert_eq!(stack.found(&format!("{name}Logs"))["retentionInDays"], 30);
    }
    for function in ["Intake", "Console"] {
        assert_eq!(stack.found(&format!("{function}Url"))["AuthType"], "NONE");
    }
}

/// What of a table matters, in an order of its own.
type Shape = (Vec<KeySchemaElement>, Vec<AttributeDefinition>, Vec<Index>);
type Index = (Option<String>, Option<Vec<KeySchemaElement>>, Option<aws_sdk_dynamodb::types::Projection>);

fn the_table_is_the_one_that_the_journal_expects(stack: &Stack) {
    ask(testing::table(&stack.aws, "as-in-the-tests"));
    let deployed = ask(shape(stack, &stack.variable("Build", "LONGSHORE_TABLE")));
    assert_eq!(deployed, ask(shape(stack, "as-in-the-tests")));
}

/// moto's CloudFormation leaves both out.
#[test]
fn rows_of_the_table_expire_as_the_journal_says_and_it_can_be_set_back_in_time() {
    let template = transformed();
    let table = &template["Resources"]["Table"]["Properties"];
    assert_eq!(table["TimeToLiveSpecification"], json!({ "AttributeName": TTL, "Enabled": true }));
    assert_eq!(table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true);
}

async fn shape(stack: &Stack, table: &str) -> Shape {
    let client = aws_sdk_dynamodb::Client::new(stack.aws.config());
    let described = client.describe_table().table_name(table).send().await.unwrap().table.unwrap();
    let index =
        |index: GlobalSecondaryIndexDescription| (index.index_name, index.key_schema, index.projection);
    let mut indexes: Vec<Index> =
        described.global_secondary_indexes.unwrap_or_default().into_iter().map(index).collect();
    indexes.sort_by(|a, b| a.0.cmp(&b.0));
    let mut attributes = described.attribute_definitions.unwrap_or_default();
    attributes.sort_by(|a, b| a.attribute_name.cmp(&b.attribute_name));
    (described.key_schema.unwrap_or_default(), attributes, indexes)
}

fn the_journal_the_bus_and_the_queue_work(stack: &Stack) {
    let names = stack.names();
    let wakes = names.wakes.clone();
    let journal = DynamoJournal::new(&stack.aws, names, routes(), Arc::new(PlatformClock));
    let event = push();
    let now = PlatformClock.now();
    ask(async {
        let commit = Commit { at: now, events: vec![event.clone()], ..Commit::default() };
        assert_eq!(
            journal.commit(&commit).await.unwrap().owed.len(),
            2,
            "build and refcheck are owed a push"
        );
        let question = Open {
            function: "build".into(),
            unit: "shop".into(),
            told: Some((event.id.clone(), vec!["shop".into()])),
            ..Open::default()
        };
        assert!(journal.open(&question).await.unwrap().owed);
        // The index for what is owed.
        assert_eq!(journal.owed(now, 0, 10).await.unwrap().deliveries.len(), 2);
        let wake = Some(("build".into(), "shop".into(), now));
        journal.publish(&Committed { wake, ..Committed::default() }).await.unwrap();
        assert_eq!(testing::receive(&stack.aws, &wakes).await[0]["unit"], "shop");
    });
}

/// A push that nobody has heard of.
pub(crate) fn push() -> Event {
    let event = json!({
        "specversion": "1.0", "id": "push/1", "source": "github/acme/shop", "subject": "acme/shop",
        "type": "dev.longshore.push.received.v1", "time": "2026-11-24T08:00:09Z",
        "data": {
            "provider": "github", "repo": "acme/shop", "ref": "refs/heads/main", "ref_kind": "branch",
            "before": null, "after": "12621106e47f993b769a2ee6f9bf954bdbda1239", "created": true,
            "deleted": false, "forced": false, "paths": [], "paths_truncated": true,
        },
    });
    Event::from_json(&event.to_string()).unwrap()
}

fn secrets_and_blobs_work(stack: &Stack) {
    ask(async {
        let secrets = AwsSecrets::new(&stack.aws, &stack.variable("Intake", "LONGSHORE_SECRET"));
        let token = secrets.get("token").await.unwrap();
        assert_eq!(token[0].expose().len(), 48, "the template generates the console's token");
        let bucket = stack.variable("Build", "LONGSHORE_BUCKET");
        let blobs = S3Blobs::new(&stack.aws, &bucket, Arc::new(PlatformClock));
        let blob = blobs.put(b"large".to_vec()).await.unwrap();
        assert_eq!(blobs.get(&blob).await.unwrap(), b"large");
    });
}

/// Retries are the journal's. What AWS says is in no journal before intake has run, so it alone is tried again.
fn what_fails_is_set_aside(stack: &Stack) {
    for function in binaries().keys() {
        let config = stack.found(&format!("{}EventInvokeConfig", logical(function)));
        let retries = if function == "intake" { 2 } else { 0 };
        assert_eq!(config["MaximumRetryAttempts"], retries, "{function}");
        let destination = config["DestinationConfig"]["OnFailure"]["Destination"].as_str().unwrap();
        assert!(destination.contains(":longshore-DeadLetters-"), "{function}: {destination}");
    }
    let wakes = stack.found("Wakes");
    let policy: serde_json::Value = serde_json::from_str(wakes["RedrivePolicy"].as_str().unwrap()).unwrap();
    assert_eq!(policy["maxReceiveCount"], 5);
    // A batch stays hidden for six of its function's lives, as Lambda advises.
    let timeout = stack.found("Sweep")["Timeout"].as_u64().unwrap();
    assert_eq!(wakes["VisibilityTimeout"], (timeout * 6).to_string());
}
