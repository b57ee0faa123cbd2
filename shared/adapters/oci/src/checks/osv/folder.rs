//! The files of a folder of advisories, and a name for what they hold.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::super::locks::Ecosystem;
use super::ALL;
use crate::digest;

/// The most advisories of a folder.
const MAX_FILES: usize = 1_000_000;
/// How deep folders are looked into.
const DEPTH: usize = 4;

/// Why the advisories cannot be read.
#[derive(Debug, thiserror::Error)]
pub(in crate::checks) enum OsvError {
    #[error("the advisories in {} cannot be read: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is no advisory in OSV's JSON: {why}", path.display())]
    Garbage { path: PathBuf, why: String },
    #[error("{} holds no advisory: unpack a dump of osv.dev there, or take `advisories` out", .0.display())]
    Empty(PathBuf),
    #[error("{} holds more than {MAX_FILES} advisories", .0.display())]
    TooMany(PathBuf),
}

pub(super) fn failed(path: &Path) -> impl FnOnce(io::Error) -> OsvError + '_ {
    move |source| OsvError::Io { path: path.to_owned(), source }
}

/// The advisories of a folder, by path, sorted.
pub(super) struct Listing {
    pub(super) files: Vec<(PathBuf, Option<Ecosystem>)>,
    hasher: Sha256,
}

pub(super) fn list(folder: &Path) -> Result<Listing, OsvError> {
    let mut listing = Listing { files: Vec::new(), hasher: Sha256::new() };
    enter(folder, None, DEPTH, &mut listing)?;
    if listing.files.is_empty() {
        return Err(OsvError::Empty(folder.to_owned()));
    }
    Ok(listing)
}

fn enter(folder: &Path, of: Option<Ecosystem>, depth: usize, into: &mut Listing) -> Result<(), OsvError> {
    let entries = fs::read_dir(folder).map_err(failed(folder))?;
    let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(failed(folder))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        let about = fs::metadata(&path).map_err(failed(&path))?;
        if about.is_dir() && depth > 1 {
            let named = ALL.into_iter().find(|ecosystem| name == ecosystem.osv());
            enter(&path, named.or(of), depth - 1, into)?;
        } else if about.is_file() && path.extension().is_some_and(|end| end == "json") {
            if into.files.len() == MAX_FILES {
                return Err(OsvError::TooMany(folder.to_owned()));
            }
            let changed = about.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
            into.hasher.update(path.as_os_str().as_encoded_bytes());
            into.hasher.update(about.len().to_le_bytes());
            into.hasher.update(changed.unwrap_or_default().as_nanos().to_le_bytes());
            into.files.push((path, of));
        }
    }
    Ok(())
}

/// A name for what the folder holds now: another when a file of it is another.
pub(in crate::checks) fn version(folder: &Path) -> Result<String, OsvError> {
    let listing = list(folder)?;
    Ok(digest::finish(listing.hasher).hex()[..12].to_owned())
}
