//! What GitHub and GitLab have in common beside pushes: proposed changes, and pipelines that ended.

use longshore_events::types::{
    ChangeClosed, ChangeMerged, ChangeOpened, ChangeUpdated, PipelineFinished, PipelineOutcome,
};
use longshore_events::{CommitId, Event, RefName, RepositoryName};

use crate::Refusal;
use crate::hear::{Hearing, brief, first, in_chain, without_credentials};

/// What became of a proposed change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Became {
    Opened,
    Updated,
    Merged,
    Closed,
}

/// A pull request or merge request in the words of its provider.
pub(crate) struct Proposed<'a> {
    pub(crate) repo: RepositoryName,
    pub(crate) number: u64,
    pub(crate) head: &'a str,
    pub(crate) base: &'a str,
    pub(crate) fork: bool,
    pub(crate) actor: Option<&'a str>,
    pub(crate) url: Option<&'a str>,
}

impl Proposed<'_> {
    /// The event, under the id `<provider>/<id>`, in the chain of the change.
    pub(crate) fn event(self, hearing: &Hearing<'_>, became: Became, id: &str) -> Result<Event, Refusal> {
        let provider = hearing.provider;
        let (repo, number, fork) = (self.repo, self.number, self.fork);
        let (source, subject) = (format!("{provider}/{repo}"), format!("{repo}#{number}"));
        let head = CommitId::new(self.head).map_err(Refusal::unusable)?;
        let base = RefName::branch(self.base).map_err(Refusal::unusable)?;
        let (actor, url) = (self.actor.map(brief), self.url.and_then(without_credentials));
        macro_rules! data {
            ($($name:ident),+) => { match became { $(
                Became::$name => named::$name { provider: provider.into(), repo, number, head, base, fork, actor, url }.into(),
            )+ } };
        }
        let data = data!(Opened, Updated, Merged, Closed);
        let chain = format!("{provider}/{subject}");
        in_chain(first(format!("{provider}/{id}"), source, subject, hearing.now, data)?, &chain)
    }
}

/// The types by what became of a change.
mod named {
    pub(super) use super::{
        ChangeClosed as Closed, ChangeMerged as Merged, ChangeOpened as Opened, ChangeUpdated as Updated,
    };
}

/// A pipeline in the words of its provider.
pub(crate) struct Ran<'a> {
    pub(crate) repo: RepositoryName,
    pub(crate) name: &'a str,
    pub(crate) commit: &'a str,
    pub(crate) outcome: PipelineOutcome,
    pub(crate) fork: bool,
    pub(crate) url: Option<&'a str>,
}

impl Ran<'_> {
    /// The event, under the id `<provider>/<id>`.
    pub(crate) fn event(self, hearing: &Hearing<'_>, id: &str) -> Result<Event, Refusal> {
        let provider = hearing.provider;
        let pipeline = PipelineFinished {
            provider: provider.into(),
            name: brief(self.name),
            commit: CommitId::new(self.commit).map_err(Refusal::unusable)?,
            outcome: self.outcome,
            fork: self.fork,
            url: self.url.and_then(without_credentials),
            repo: self.repo,
        };
        let source = format!("{provider}/{}", pipeline.repo);
        let subject = format!("{}@{}/{}", pipeline.repo, pipeline.commit, pipeline.name);
        first(format!("{provider}/{id}"), source, subject, hearing.now, pipeline.into())
    }
}
