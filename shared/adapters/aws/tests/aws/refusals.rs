//! What is wrong with an account is one error that says what to do, and whether to wait.

use std::sync::Arc;

use longshore_aws::{Account, DynamoJournal, Names, code};
use longshore_ports::{
    ErrorKind, Journal, PortError,
    journal::{Commit, CommitError, Committed, UnitRow},
    suite::journal::routes,
};

use crate::journal::{ask, decision, request};
use crate::stack::{Cloud, StandingClock, at};
use longshore_aws::testing::Fault;

fn journal(cloud: &Cloud, names: Names) -> DynamoJournal {
    DynamoJournal::new(&cloud.aws, names, routes(), Arc::new(StandingClock))
}

async fn commit(journal: &DynamoJournal) -> PortError {
    match journal.commit(&decision("u", &UnitRow::default(), Vec::new())).await {
        Err(CommitError::Port(error)) => error,
        other => panic!("it was to be refused, not {other:?}"),
    }
}

#[tokio::test]
async fn a_table_that_is_not_there_or_in_another_region_is_named() {
    let cloud = Cloud::start().await;
    let names = cloud.stack().await;
    let elsewhere = Account { region: "us-east-2".into(), ..cloud.account.clone() }.connect().unwrap();
    let elsewhere = DynamoJournal::new(&elsewhere, names.clone(), routes(), Arc::new(StandingClock));
    let nowhere = journal(&cloud, Names { table: "nowhere".into(), ..names });
    for (journal, text) in [
        (&nowhere, "the table nowhere is not in eu-west-1; deploy the stack there, or correct AWS_REGION"),
        (&elsewhere, "is not in us-east-2"),
    ] {
        for error in [journal.open(&ask("u")).await.unwrap_err(), commit(journal).await] {
            assert_eq!((error.kind, code(&error)), (ErrorKind::NotFound, Some("LS0602")), "{error}");
            assert!(error.to_string().contains(text) && !error.is_temporary(), "{error}");
        }
    }
}

#[tokio::test]
async fn a_bus_or_a_queue_that_is_not_there_is_named() {
    let cloud = Cloud::start().await;
    let names = cloud.stack().await;
    let wakes = names.wakes.replace("stack", "nowhere");
    let missing = journal(&cloud, Names { wakes: wakes.clone(), ..names.clone() });
    let wake = Committed { wake: Some(("build".into(), "u".into(), at(0))), ..Committed::default() };
    let error = missing.publish(&wake).await.unwrap_err();
    assert!(error.to_string().contains(&format!("the queue {wakes} is not in eu-west-1")), "{error}");
    assert_eq!((error.kind, error.is_temporary()), (ErrorKind::NotFound, false));
    assert_eq!(code(&error), Some("LS0605"));

    // moto takes events for a bus that is not there, as EventBridge does from roles that may send to any.
    let journal = journal(&cloud, names.clone());
    let absent = Fault::Refused(400, "ResourceNotFoundException", "Event bus nowhere does not exist.");
    cloud.proxy.next("PutEvents", absent);
    let told = Committed { owed: vec![("build".into(), request("e", "x"))], ..Committed::default() };
    let error = journal.publish(&told).await.unwrap_err();
    assert!(error.to_string().contains(&format!("the bus {} is not in", names.bus)), "{error}");
    assert_eq!(code(&error), Some("LS0605"));
    let entry = r#"{"FailedEntryCount":1,"Entries":[{"ErrorCode":"NotAuthorizedForSourceException","ErrorMessage":"no"}]}"#;
    cloud.proxy.next("PutEvents", Fault::Said(entry));
    let error = journal.publish(&told).await.unwrap_err();
    assert!(error.to_string().contains("may not events:PutEvents on the bus"), "{error}");
    assert_eq!((error.is_temporary(), code(&error)), (false, Some("LS0601")));
}

#[tokio::test]
async fn a_missing_permission_names_the_action_and_what_passes_by_itself_is_temporary() {
    let cloud = Cloud::start().await;
    let names = cloud.stack().await;
    let journal = journal(&cloud, names.clone());
    let denied =
        "User: arn:aws:sts::1:assumed-role/build is not authorized to perform: dynamodb:ConditionCheckItem";
    let expired = "The security token included in the request is expired";
    let skewed = "Signature expired: 20261124T100000Z is now earlier than 20261124T101000Z";
    let cases = [
        (
            "AccessDeniedException",
            denied,
            "may not dynamodb:ConditionCheckItem on the table",
            false,
            "LS0601",
        ),
        ("ExpiredTokenException", expired, "the credentials have expired", true, "LS0608"),
        ("InvalidSignatureException", skewed, "set the clock", true, "LS0609"),
        ("UnrecognizedClientException", "invalid", "know these credentials in eu-west-1", false, "LS0610"),
    ];
    for (said, message, text, temporary, stable) in cases {
        // The SDK sends once more what was refused for its clock only when it may retry, and it may not.
        cloud.proxy.next("TransactWriteItems", Fault::Refused(400, said, message));
        let error = commit(&journal).await;
        assert!(error.to_string().contains(text), "{said}: {error}");
        assert_eq!((error.kind, error.is_temporary()), (ErrorKind::Denied, temporary), "{said}");
        cloud.proxy.next("BatchGetItem", Fault::Refused(400, said, message));
        let error = journal.open(&ask("u")).await.unwrap_err();
        assert_eq!((error.is_temporary(), code(&error)), (temporary, Some(stable)), "{said}: {error}");
    }
    cloud.proxy.next("BatchGetItem", Fault::Refused(400, "AccessDeniedException", ""));
    let error = journal.open(&ask("u")).await.unwrap_err().to_string();
    let expected = format!("the role may not dynamodb:BatchGetItem on the table {}", names.table);
    assert!(error.contains(&expected), "{error}");
}

#[tokio::test]
async fn an_address_where_nobody_answers_is_temporary() {
    let cloud = Cloud::start().await;
    let names = cloud.stack().await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Some(format!("http://{}", closed.local_addr().unwrap()));
    drop(closed);
    let aws = Account { endpoint, ..cloud.account.clone() }.connect().unwrap();
    let journal = DynamoJournal::new(&aws, names, routes(), Arc::new(StandingClock));
    let error = journal.open(&ask("u")).await.unwrap_err();
    assert_eq!((error.kind, code(&error)), (ErrorKind::Unavailable, Some("LS0612")));
    assert!(error.to_string().contains("gave no answer; look at the network and AWS_REGION"), "{error}");
    let empty = journal.commit(&Commit::default()).await.unwrap();
    assert_eq!(empty, Committed::default(), "what writes nothing asks nobody");
}
