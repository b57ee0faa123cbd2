//! What differs between two commits at GitHub, where a comparison does not list it all: their whole trees are read.
//!
//! Source: "Get a tree", GitHub's "REST API endpoints for Git trees": at most 100,000 entries or 7 MB; of more it says that
//! they are truncated.

use std::collections::BTreeMap;

use longshore_events::CommitId;
use serde::Deserialize;

use crate::ForgeError;
use crate::git::Asked;
use crate::github::url;

#[derive(Deserialize)]
struct Tree {
    tree: Vec<Entry>,
    truncated: bool,
}

#[derive(Deserialize)]
struct Entry {
    path: String,
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    sha: String,
}

/// What a path holds: its mode and its content's name.
type Files = BTreeMap<String, (String, String)>;

/// The paths that differ, sorted; `None` when one of the trees is too large to be listed.
///
/// # Errors
/// [`ForgeError::NotFound`] when one of the commits is not there.
pub(crate) async fn differ(
    asked: &Asked<'_>,
    base: &CommitId,
    head: &CommitId,
) -> Result<Option<Vec<String>>, ForgeError> {
    let Some(mut before) = files(asked, base).await? else { return Ok(None) };
    let Some(after) = files(asked, head).await? else { return Ok(None) };
    let mut paths = Vec::new();
    for (path, file) in after {
        if before.remove(&path).as_ref() != Some(&file) {
            paths.push(path);
        }
    }
    paths.extend(before.into_keys());
    paths.sort();
    Ok(Some(paths))
}

/// The files of a commit, submodules among them; `None` when they are too many.
async fn files(asked: &Asked<'_>, commit: &CommitId) -> Result<Option<Files>, ForgeError> {
    let tree = url(asked, &["git", "trees", commit.as_str()], &[("recursive", "1")]);
    let tree: Tree = match asked.api.json(tree, asked.tokens).await {
        Err(ForgeError::TooLong { .. }) => return Ok(None),
        other => other?,
    };
    let files = tree.tree.into_iter().filter(|entry| entry.kind != "tree");
    Ok((!tree.truncated).then(|| files.map(|entry| (entry.path, (entry.mode, entry.sha))).collect()))
}
