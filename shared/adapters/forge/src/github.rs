//! GitHub, and what speaks as it does.
//!
//! A comparison is from the common ancestor of both commits to the head (`base...head`), with at most 300 files, all of
//! them on its first page. Where there may be more, both trees are read, and compared here (`trees.rs`).

use longshore_events::{CommitId, RefName, RepositoryName};
use longshore_ports::{Changes, Relation};
use reqwest::Url;
use serde::Deserialize;

use crate::ForgeError;
use crate::api::Api;
use crate::git::Asked;
use crate::page::{self, PER_PAGE};
use crate::trees;

/// So many files are listed; when there are as many, there may be more.
const MAX_FILES: usize = 300;
/// An annotated tag may lead to another.
const MAX_TAGS: usize = 5;

/// A branch or a tag in a list; of an annotated tag, the commit behind it.
#[derive(Deserialize)]
struct Named {
    name: String,
    commit: Commit,
}

#[derive(Deserialize)]
struct Commit {
    sha: CommitId,
}

/// A reference, or a tag object: both lead to an object.
#[derive(Deserialize)]
struct Leads {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    #[serde(rename = "type")]
    kind: String,
    sha: CommitId,
}

#[derive(Deserialize)]
struct Comparison {
    status: String,
    files: Option<Vec<File>>,
}

#[derive(Deserialize)]
struct File {
    filename: String,
    previous_filename: Option<String>,
    status: String,
}

/// Refuses a name that no repository of GitHub has, before it is asked for.
pub(crate) fn check(name: &str) -> Result<(), ForgeError> {
    if name.split('/').count() == 2 {
        return Ok(());
    }
    Err(ForgeError::Name { name: name.to_owned(), forge: "GitHub", wanted: "OWNER/NAME" })
}

pub(crate) fn url(asked: &Asked<'_>, parts: &[&str], query: &[(&str, &str)]) -> Url {
    asked.api.url(&[&names(asked.repo), parts].concat(), query)
}

/// An address below a repository's, to write to.
pub(crate) fn repository_url(api: &Api, repo: &RepositoryName, parts: &[&str]) -> Url {
    api.url(&[&names(repo), parts].concat(), &[])
}

fn names(repo: &RepositoryName) -> [&str; 3] {
    let (owner, name) = repo.as_str().split_once('/').unwrap_or((repo.as_str(), ""));
    ["repos", owner, name]
}

pub(crate) async fn exists(asked: &Asked<'_>) -> Result<(), ForgeError> {
    asked.api.get(url(asked, &[], &[]), asked.tokens).await.map(drop)
}

pub(crate) async fn refs(asked: &Asked<'_>) -> Result<Vec<(RefName, CommitId)>, ForgeError> {
    let mut refs = Vec::new();
    for (list, prefix) in [("branches", "refs/heads/"), ("tags", "refs/tags/")] {
        let named = page::all::<Named>(asked.api, url(asked, &[list], &[PER_PAGE]), asked.tokens).await?;
        refs.extend(
            named.into_iter().filter_map(|one| {
                Some((RefName::new(format!("{prefix}{}", one.name)).ok()?, one.commit.sha))
            }),
        );
    }
    Ok(refs)
}

/// The commit that a reference leads to; [`ForgeError::NotFound`] when there is none, or no such repository.
pub(crate) async fn tip(asked: &Asked<'_>, git_ref: &RefName) -> Result<Option<CommitId>, ForgeError> {
    let name = git_ref.as_str().trim_start_matches("refs/");
    let parts: Vec<&str> = ["git", "ref"].into_iter().chain(name.split('/')).collect();
    let mut found = asked.api.json::<Leads>(url(asked, &parts, &[]), asked.tokens).await?.object;
    for _ in 0..MAX_TAGS {
        match found.kind.as_str() {
            "commit" => return Ok(Some(found.sha)),
            "tag" => {}
            _ => return Ok(None),
        }
        let tag = url(asked, &["git", "tags", found.sha.as_str()], &[]);
        found = asked.api.json::<Leads>(tag, asked.tokens).await?.object;
    }
    Ok(None)
}

pub(crate) async fn relation(
    asked: &Asked<'_>,
    base: &CommitId,
    head: &CommitId,
) -> Result<Relation, ForgeError> {
    // From the second page on a comparison comes without its files.
    let compared = compare(asked, base, head, "2").await?;
    compared.map_or(Ok(Relation::Diverged), |compared| how(asked, &compared.status))
}

/// The paths that differ. Of diverged commits those are all that one of both changed since their common ancestor, also
/// the ones that both changed alike.
pub(crate) async fn changes(
    asked: &Asked<'_>,
    base: &CommitId,
    head: &CommitId,
) -> Result<Changes, ForgeError> {
    let Some(there) = compare(asked, base, head, "1").await? else {
        return Ok(Changes { relation: Relation::Diverged, paths: trees::differ(asked, base, head).await? });
    };
    let relation = how(asked, &there.status)?;
    let mut paths = paths(there);
    if paths.is_some() && matches!(relation, Relation::Behind | Relation::Diverged) {
        let back = compare(asked, head, base, "1").await?.and_then(self::paths);
        paths = paths.zip(back).map(|(there, back)| [there, back].concat());
    }
    let Some(mut paths) = paths else {
        return Ok(Changes { relation, paths: trees::differ(asked, base, head).await? });
    };
    paths.sort();
    paths.dedup();
    Ok(Changes { relation, paths: Some(paths) })
}

/// A page of the comparison; `None` when the commits have no common ancestor.
async fn compare(
    asked: &Asked<'_>,
    base: &CommitId,
    head: &CommitId,
    page: &str,
) -> Result<Option<Comparison>, ForgeError> {
    let both = format!("{base}...{head}");
    let url = url(asked, &["compare", &both], &[("per_page", "1"), ("page", page)]);
    match asked.api.json(url, asked.tokens).await {
        Err(ForgeError::NotFound { said, .. }) if said.starts_with("No common ancestor") => Ok(None),
        // Its patches are longer than is read: that there is a difference is known, but not where.
        Err(ForgeError::TooLong { .. }) if page == "1" => {
            let status = Box::pin(compare(asked, base, head, "2")).await?;
            Ok(status.map(|compared| Comparison { files: None, ..compared }))
        }
        other => other.map(Some),
    }
}

fn how(asked: &Asked<'_>, status: &str) -> Result<Relation, ForgeError> {
    match status {
        "identical" => Ok(Relation::Same),
        "ahead" => Ok(Relation::Ahead),
        "behind" => Ok(Relation::Behind),
        "diverged" => Ok(Relation::Diverged),
        other => Err(asked.api.strange(format!("a comparison with the status {other:?}"))),
    }
}

fn paths(compared: Comparison) -> Option<Vec<String>> {
    let files = compared.files.filter(|files| files.len() < MAX_FILES)?;
    let both = |file: File| {
        // Where a copy came from is as it was.
        let old = file.previous_filename.filter(|_| file.status != "copied");
        old.into_iter().chain([file.filename])
    };
    Some(files.into_iter().flat_map(both).collect())
}
