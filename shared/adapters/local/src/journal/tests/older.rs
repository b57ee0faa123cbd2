//! A file that the release before has written.

use longshore_ports::history::Taken;

use super::*;

#[tokio::test]
async fn a_file_of_the_release_before_is_read_and_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(schema::MIGRATIONS[0]).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    old.execute_batch(
        "INSERT INTO event VALUES (1, 'e', 'dev.longshore.request.made.v1', 'prod/api', 0, 'e', NULL, 'test', NULL, 0,
           NULL, NULL, '{\"what\":\"stop\",\"who\":\"t\",\"target\":\"all\"}');
         INSERT INTO receipt VALUES (1, 'build', 'u', 0);
         INSERT INTO unit VALUES ('build', 'u', 1, '{}', NULL, NULL, NULL, 0, NULL, NULL, '[]', 0);
         INSERT INTO decision VALUES ('build', 'u', 1, 0, 'told e', '{}');",
    )
    .unwrap();
    drop(old);
    let journal = journal(&folder);
    let before = DecisionRow {
        function: "build".into(),
        unit: "u".into(),
        version: 1,
        at: Timestamp::UNIX_EPOCH,
        cause: "told e".into(),
        seen: "{}".into(),
        record: None,
    };
    let now = DecisionRow { version: 2, cause: "woken".into(), record: Some("{}".into()), ..before.clone() };
    let commit = Commit { decision: Some(now.clone()), ..stands("u", 1, UnitRow::default()) };
    journal.commit(&commit).await.unwrap();
    let all = DecisionQuery { function: "build".into(), unit: "u".into(), from: Some(0), limit: 10 };
    assert_eq!(journal.decisions(&all).await.unwrap(), [before, now]);
    let taken = Taken { function: "build".into(), unit: "u".into(), version: None };
    assert_eq!(journal.taken(&EventId::new("e").unwrap()).await.unwrap(), [taken]);
}
