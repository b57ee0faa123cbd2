//! GitLab.
//!
//! A straight comparison is of both trees; how the commits stand to each other says their merge base. Where it takes
//! GitLab too long, a comparison comes without its differences (`compare_timeout`).

use longshore_events::{CommitId, RefName, RepositoryName};
use longshore_ports::{Changes, Relation};
use reqwest::Url;
use serde::Deserialize;

use crate::ForgeError;
use crate::api::Api;
use crate::git::Asked;
use crate::page::{self, PER_PAGE};

/// More paths than these are not listed, as by the git command.
const MAX_PATHS: usize = 100_000;

/// A branch or a tag; of an annotated tag, the commit behind it.
#[derive(Deserialize)]
struct Named {
    name: String,
    /// Nothing for a tag of something that is no commit.
    commit: Option<Commit>,
}

#[derive(Deserialize)]
struct Commit {
    id: CommitId,
}

#[derive(Deserialize)]
struct Comparison {
    diffs: Option<Vec<Diff>>,
    #[serde(default)]
    compare_timeout: bool,
}

#[derive(Deserialize)]
struct Diff {
    old_path: String,
    new_path: String,
}

/// Refuses a name that no project of GitLab has, before it is asked for.
pub(crate) fn check(name: &str) -> Result<(), ForgeError> {
    if name.contains('/') {
        return Ok(());
    }
    Err(ForgeError::Name { name: name.to_owned(), forge: "GitLab", wanted: "GROUP/NAME" })
}

fn url(asked: &Asked<'_>, parts: &[&str], query: &[(&str, &str)]) -> Url {
    asked.api.url(&[&["projects", asked.repo.as_str()], parts].concat(), query)
}

/// An address below a project's, to write to.
pub(crate) fn project_url(api: &Api, repo: &RepositoryName, parts: &[&str]) -> Url {
    api.url(&[&["projects", repo.as_str()], parts].concat(), &[])
}

pub(crate) async fn exists(asked: &Asked<'_>) -> Result<(), ForgeError> {
    asked.api.get(url(asked, &[], &[]), asked.tokens).await.map(drop)
}

pub(crate) async fn refs(asked: &Asked<'_>) -> Result<Vec<(RefName, CommitId)>, ForgeError> {
    let mut refs = Vec::new();
    for (list, prefix) in [("branches", "refs/heads/"), ("tags", "refs/tags/")] {
        let first = url(asked, &["repository", list], &[PER_PAGE]);
        let named = page::all::<Named>(asked.api, first, asked.tokens).await?;
        refs.extend(
            named.into_iter().filter_map(|one| {
                Some((RefName::new(format!("{prefix}{}", one.name)).ok()?, one.commit?.id))
            }),
        );
    }
    Ok(refs)
}

/// The commit that a reference leads to; [`ForgeError::NotFound`] when there is none, or no such project.
pub(crate) async fn tip(asked: &Asked<'_>, git_ref: &RefName) -> Result<Option<CommitId>, ForgeError> {
    let text = git_ref.as_str();
    let branch = text.strip_prefix("refs/heads/").map(|name| ("branches", name));
    let Some((list, name)) = branch.or_else(|| text.strip_prefix("refs/tags/").map(|name| ("tags", name)))
    else {
        return exists(asked).await.map(|()| None);
    };
    let found = asked.api.json::<Named>(url(asked, &["repository", list, name], &[]), asked.tokens).await?;
    Ok(found.commit.map(|commit| commit.id))
}

pub(crate) async fn relation(
    asked: &Asked<'_>,
    base: &CommitId,
    head: &CommitId,
) -> Result<Relation, ForgeError> {
    let query = [("refs[]", base.as_str()), ("refs[]", head.as_str())];
    let url = url(asked, &["repository", "merge_base"], &query);
    match asked.api.json::<Commit>(url, asked.tokens).await {
        Ok(ancestor) if ancestor.id == *base => Ok(Relation::Ahead),
        Ok(ancestor) if ancestor.id == *head => Ok(Relation::Behind),
        Ok(_) => Ok(Relation::Diverged),
        Err(ForgeError::NotFound { said, .. }) if said.contains("Merge Base") => Ok(Relation::Diverged),
        // One of the commits is not there.
        Err(ForgeError::Strange { why, .. }) if why.contains("Could not find ref") => {
            Err(asked.api.missing(why))
        }
        Err(error) => Err(error),
    }
}

pub(crate) async fn changes(
    asked: &Asked<'_>,
    base: &CommitId,
    head: &CommitId,
) -> Result<Changes, ForgeError> {
    let relation = relation(asked, base, head).await?;
    let query = [("from", base.as_str()), ("to", head.as_str()), ("straight", "true")];
    let compared =
        asked.api.json::<Comparison>(url(asked, &["repository", "compare"], &query), asked.tokens).await;
    let paths = match compared {
        Ok(compared) => paths(compared),
        // Its patches are longer than is read: that there is a difference is known, but not where.
        Err(ForgeError::TooLong { .. }) => None,
        Err(error) => return Err(error),
    };
    Ok(Changes { relation, paths })
}

fn paths(compared: Comparison) -> Option<Vec<String>> {
    let diffs = compared.diffs.filter(|diffs| !compared.compare_timeout && diffs.len() <= MAX_PATHS)?;
    let mut paths: Vec<String> = diffs.into_iter().flat_map(|diff| [diff.old_path, diff.new_path]).collect();
    paths.sort();
    paths.dedup();
    Some(paths)
}
