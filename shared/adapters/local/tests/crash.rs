//! A process that is killed while it commits loses nothing that was answered.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail by panicking, as tests do")]

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use longshore_events::{EventId, Fact, types::RequestMade};
use longshore_local::SqliteJournal;
use longshore_ports::history::{EventQuery, History as _};
use longshore_ports::{Journal, journal::Routes};

/// Runs the victim until it has answered for `enough` events, kills it, and answers the ids that it printed.
fn commit_until_killed(path: &Path, enough: usize) -> Vec<String> {
    let mut victim =
        Command::new(env!("CARGO_BIN_EXE_journal-victim")).arg(path).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let mut answered: Vec<_> = lines.by_ref().take(enough).collect::<Result<_, _>>().unwrap();
    victim.kill().unwrap();
    victim.wait().unwrap();
    // What it answered until the kill is in the pipe. Its last line may be cut.
    answered.extend(lines.map_while(Result::ok));
    answered.pop();
    answered
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let mut answered = HashSet::new();
    for life in 1..=5 {
        let fresh = commit_until_killed(&path, life * 20);
        assert!(fresh.len() >= life * 20 - 1);
        answered.extend(fresh);
        let routes = Routes(vec![("build", &[RequestMade::KIND])]);
        let journal = SqliteJournal::open(&path, routes, None).unwrap();
        for id in &answered {
            let found = journal.event(&EventId::new(id).unwrap()).await.unwrap();
            assert!(found.is_some(), "{id} was answered, and is lost");
        }
        let all =
            journal.events(&EventQuery { limit: 1_000_000, ..EventQuery::default() }).await.unwrap().events;
        let owed = journal.standing().await.unwrap().deliveries;
        assert_eq!(owed, all.len() as u64, "each event was written with what it owes");
    }
}
