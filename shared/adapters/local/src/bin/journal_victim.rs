//! A process that commits to a journal until it is killed: it prints each event's id once its commit is answered.

use std::io::Write;
use std::path::Path;

use jiff::Timestamp;
use longshore_events::{
    ChainId, Event, EventId, Fact, Link,
    types::{RequestKind, RequestMade},
};
use longshore_local::SqliteJournal;
use longshore_ports::Journal;
use longshore_ports::journal::{Commit, Routes};

type Failure = Box<dyn std::error::Error>;

/// So many commit at the same time, so that the kill comes in the middle of a group.
const TASKS: usize = 16;

fn main() -> Result<(), Failure> {
    let path = std::env::args().nth(1).ok_or("usage: journal-victim FILE")?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(Path::new(&path)))
}

async fn run(path: &Path) -> Result<(), Failure> {
    let routes = Routes(vec![("build", &[RequestMade::KIND])]);
    let journal = SqliteJournal::open(path, routes, None)?;
    let mut round = 0;
    loop {
        let names = (0..TASKS).map(|task| format!("{}-{round}-{task}", std::process::id()));
        let commits: Vec<Commit> = names.map(|name| commit(&name)).collect::<Result<_, _>>()?;
        let mut waiting: Vec<_> = commits.iter().map(|commit| journal.commit(commit)).collect();
        std::future::poll_fn(|context| {
            waiting.retain_mut(|answer| answer.as_mut().poll(context).is_pending());
            if waiting.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        let mut out = std::io::stdout().lock();
        for commit in &commits {
            writeln!(out, "{}", commit.events[0].id)?;
        }
        out.flush()?;
        round += 1;
    }
}

fn commit(name: &str) -> Result<Commit, Failure> {
    let data = RequestMade {
        what: RequestKind::RollBack,
        who: "victim".into(),
        target: "prod/api".into(),
        to: None,
        why: None,
    };
    let event = Event {
        id: EventId::new(name)?,
        source: "longshore/victim".into(),
        subject: "prod/api".into(),
        time: Timestamp::UNIX_EPOCH,
        link: Link { chain: ChainId::new(name)?, cause: None },
        traceparent: None,
        dryrun: false,
        data: data.into(),
    };
    Ok(Commit { events: vec![event], ..Commit::default() })
}
