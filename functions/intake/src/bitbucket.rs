//! Bitbucket Cloud: `repo:push`; whatever else it sends is ignored.
//!
//! One push may move several refs. It lists at most five commits of each, and no paths: every path counts as changed.
//!
//! Source: Atlassian's "Event payloads" of Bitbucket Cloud.

use serde::Deserialize;

use crate::Refusal;
use crate::few::Few;
use crate::hear::{Heard, Hearing, brief, known};
use crate::paths::Paths;
use crate::push::{Draft, commit};

/// The most refs of one push.
const MAX_REFS: usize = 1_000;

#[derive(Deserialize)]
struct Body {
    actor: Option<Actor>,
    repository: Repository,
    push: Push,
}

#[derive(Deserialize)]
struct Actor {
    nickname: Option<String>,
    display_name: Option<String>,
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
}

#[derive(Deserialize)]
struct Push {
    changes: Few<Change, MAX_REFS>,
}

#[derive(Deserialize)]
struct Change {
    old: Option<Ref>,
    new: Option<Ref>,
    #[serde(default)]
    forced: bool,
}

#[derive(Deserialize)]
struct Ref {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    target: Target,
}

#[derive(Deserialize)]
struct Target {
    hash: String,
}

/// Translates a verified delivery.
pub(crate) fn translate(hearing: &Hearing<'_>, body: &[u8]) -> Result<Heard, Refusal> {
    match hearing.needed("X-Event-Key")? {
        "repo:push" => {}
        "diagnostics:ping" => return Ok(Heard::ignored("pong")),
        other => return Ok(hearing.nothing_of(other)),
    }
    let text = hearing.json(body, "application/json")?;
    // The same in each attempt to deliver one push.
    let delivery = hearing.needed_id("X-Request-UUID")?;
    let Body { actor, repository, push } = serde_json::from_str(text)?;
    let repo = match known(hearing.policy, &repository.full_name) {
        Ok(repo) => repo,
        Err(why) => return Ok(Heard::ignored(why)),
    };
    let actor = actor.and_then(|actor| actor.nickname.or(actor.display_name)).as_deref().map(brief);
    let clone_url = format!("https://bitbucket.org/{repo}.git");
    let mut heard = Heard::default();
    for (n, change) in push.changes.whole("refs")?.iter().enumerate() {
        let Some(git_ref) = change.git_ref() else {
            heard.ignore("ignored: what moved is no branch and no tag".into());
            continue;
        };
        let draft = Draft {
            delivery: Some(delivery.clone()),
            clone_url: Some(&clone_url),
            git_ref: &git_ref,
            before: side(change.old.as_ref())?,
            after: side(change.new.as_ref())?,
            created: change.old.is_none(),
            deleted: change.new.is_none(),
            forced: change.forced,
            actor: actor.clone(),
            paths: Paths::unknown(),
        };
        heard.events.push(draft.event(hearing, repo.clone(), &format!("{delivery}/{n}"))?);
    }
    Ok(heard)
}

impl Change {
    fn git_ref(&self) -> Option<String> {
        let one = self.new.as_ref().or(self.old.as_ref())?;
        match one.kind.as_str() {
            "branch" => Some(format!("refs/heads/{}", one.name)),
            "tag" => Some(format!("refs/tags/{}", one.name)),
            _ => None,
        }
    }
}

fn side(one: Option<&Ref>) -> Result<Option<longshore_events::CommitId>, Refusal> {
    one.map_or(Ok(None), |one| commit(&one.target.hash))
}
