//! Logs of builds that ended, as they are kept in Blobs. What one machine has beside them, its host shows.

use longshore_events::types::BuildFinished;
use longshore_events::{Data, Digest, Fact as _};
use longshore_ports::BlobRef;
use longshore_ports::history::EventQuery;

use crate::api::LogQuery;
use crate::{Console, Refused};

/// The most of a log in one answer, in bytes.
const PIECE: usize = 1 << 20;

/// A piece of a log.
pub(crate) struct Piece {
    pub(crate) text: Vec<u8>,
    /// Where the next one begins.
    pub(crate) next: u64,
    /// There is more.
    pub(crate) grows: bool,
}

impl Console {
    /// A piece of the log at `build/<service>`.
    pub(crate) async fn log(&self, path: &str, asked: &LogQuery) -> Result<Piece, Refused> {
        let Some(service) = path.strip_prefix("build/") else {
            let what = path.strip_prefix("service/").unwrap_or(path);
            let message = format!(
                "the log of {what} is kept where it runs, and not by the console; look there, e.g. with `kubectl logs`; \
                 `longshore logs --build` shows the build's"
            );
            return Err(Refused { status: 404, code: Some("LS0305"), message });
        };
        let build = self.build_of(service, asked.commit.as_deref()).await?;
        let none = || Refused::missing(format!("the build of {service} at {} left no log", build.commit));
        let place = build.logs_ref.as_ref().ok_or_else(none)?;
        let Ok(blob) = Digest::new(place) else {
            return Err(Refused::missing(format!("the log of this build is kept elsewhere: {place}")));
        };
        let log = self.blobs.get(&BlobRef(blob)).await?;
        let from = usize::try_from(asked.offset).unwrap_or(usize::MAX).min(log.len());
        let to = from.saturating_add(PIECE).min(log.len());
        Ok(Piece { text: log[from..to].to_vec(), next: to as u64, grows: to < log.len() })
    }

    /// The last build of a service that ended, or that of a commit.
    async fn build_of(&self, service: &str, commit: Option<&str>) -> Result<BuildFinished, Refused> {
        let event = match commit {
            None => self.journal.latest(BuildFinished::KIND, service).await?,
            Some(commit) => {
                let query = EventQuery {
                    kind: Some(BuildFinished::KIND.into()),
                    subject: Some(service.to_owned()),
                    commit: Some(commit.to_owned()),
                    newest: true,
                    limit: 1,
                    ..EventQuery::default()
                };
                self.journal.events(&query).await?.events.pop().map(|found| found.event)
            }
        };
        match event.map(|event| event.data) {
            Some(Data::BuildFinished(build)) => Ok(build),
            _ => Err(Refused::missing(format!("no build of {service} has ended yet"))),
        }
    }
}
