//! Which resource a path names. A repository's name has slashes, so paths are read from their end.

use longshore_events::Digest;

use super::answer::Fault;
use crate::names::{Reference, Repository};

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    Blob(Repository, Digest),
    Uploads(Repository),
    Upload(Repository, String),
    Manifest(Repository, Reference),
    Tags(Repository),
    Referrers(Repository, Digest),
}

impl Route {
    /// `path` is what follows `/v2/`, percent-decoded.
    pub(super) fn parse(path: &str) -> Result<Self, Fault> {
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            [name @ .., "tags", "list"] => Ok(Self::Tags(repository(name)?)),
            [name @ .., "blobs", "uploads", ""] | [name @ .., "blobs", "uploads"] => {
                Ok(Self::Uploads(repository(name)?))
            }
            [name @ .., "blobs", "uploads", id] => Ok(Self::Upload(repository(name)?, (*id).to_owned())),
            [name @ .., "blobs", text] => Ok(Self::Blob(repository(name)?, digest(text)?)),
            [name @ .., "manifests", text] => {
                let name = repository(name)?;
                let code = if text.contains(':') { "DIGEST_INVALID" } else { "TAG_INVALID" };
                let reference = text.parse().map_err(|error| Fault::bad(code, &error))?;
                Ok(Self::Manifest(name, reference))
            }
            [name @ .., "referrers", text] => Ok(Self::Referrers(repository(name)?, digest(text)?)),
            _ => Err(Fault::not_found("UNSUPPORTED", "there is nothing at this path")),
        }
    }
}

fn repository(parts: &[&str]) -> Result<Repository, Fault> {
    parts.join("/").parse().map_err(|error| Fault::bad("NAME_INVALID", &error))
}

pub(super) fn digest(text: &str) -> Result<Digest, Fault> {
    Digest::new(text).map_err(|error| Fault::bad("DIGEST_INVALID", &error))
}

/// The values of `key` in a query string, percent-decoded.
pub(super) fn query(query: &str, key: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name == key).then(|| decode(value))
    })
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let pair = text.get(at + 1..at + 3).filter(|_| byte == b'%');
        if let Some(decoded) = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            out.push(decoded);
            at += 3;
        } else {
            out.push(if byte == b'+' { b' ' } else { byte });
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_read_from_its_end() {
        let name = |text: &str| text.parse::<Repository>().unwrap();
        assert_eq!(Route::parse("a/blobs/uploads/").unwrap(), Route::Uploads(name("a")));
        assert_eq!(Route::parse("a/blobs/uploads").unwrap(), Route::Uploads(name("a")));
        assert_eq!(Route::parse("a/blobs/uploads/7").unwrap(), Route::Upload(name("a"), "7".to_owned()));
        assert_eq!(Route::parse("a/manifests/tags/list").unwrap(), Route::Tags(name("a/manifests")));
        for bad in
            ["", "a", "../manifests/x", "a/manifests/..", "a/blobs/sha256:x", "A/tags/list", "/tags/list"]
        {
            assert!(Route::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_query_is_decoded() {
        assert_eq!(query("a=1&digest=sha256%3Aab&c", "digest").as_deref(), Some("sha256:ab"));
        assert_eq!(query("a=%zz%4", "a").as_deref(), Some("%zz%4"));
        assert_eq!(query("a=1", "b"), None);
    }
}
