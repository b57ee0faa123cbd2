//! Names within a registry, by the rules of the OCI distribution specification.
//!
//! A [`Repository`] becomes a folder of the server and a path in the client's requests: nothing that passes here has
//! `..`, a control character or a `%`.

use std::{fmt, str::FromStr};

use longshore_events::Digest;

/// A name that the distribution specification does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no valid {what}")]
pub struct InvalidReference {
    /// What it was meant to be.
    pub what: &'static str,
    /// Its start.
    pub text: String,
}

impl InvalidReference {
    fn new(what: &'static str, text: &str) -> Self {
        Self { what, text: text.chars().take(80).collect() }
    }
}

/// A repository of a registry, such as `shop/api`: without the registry's host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository(String);

impl Repository {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Repository {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let valid = text.len() <= 255 && text.split('/').all(is_component);
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidReference::new("repository name", text)) }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = text.split(word).filter(|run| !run.is_empty());
    text.starts_with(word)
        && text.ends_with(word)
        && separators.into_iter().all(|run| matches!(run, "." | "_" | "__") || run.chars().all(|c| c == '-'))
}

/// What names a manifest in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A tag.
    Tag(String),
    /// The manifest's digest.
    Digest(Digest),
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        if text.contains(':') {
            return Digest::new(text).map(Self::Digest).map_err(|_| InvalidReference::new("digest", text));
        }
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let valid = text.starts_with(word)
            && text.len() <= 128
            && text.chars().all(|c| word(c) || matches!(c, '.' | '-'));
        if valid { Ok(Self::Tag(text.to_owned())) } else { Err(InvalidReference::new("tag", text)) }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_name_cannot_leave_its_folder() {
        for good in ["a", "shop/api", "a.b_c__d---e/1"] {
            assert!(good.parse::<Repository>().is_ok(), "{good}");
        }
        for bad in
            ["", "..", "a/../b", "/a", "a/", "a//b", "A", "_tags", "a/_tags", "a..b", "a\n", "a%2fb", "a._b"]
        {
            assert!(bad.parse::<Repository>().is_err(), "{bad:?}");
        }
        assert!("a".repeat(256).parse::<Repository>().is_err());
    }

    #[test]
    fn a_tag_is_no_path() {
        for good in ["latest", "_x", "1.2-3"] {
            assert!(matches!(good.parse(), Ok(Reference::Tag(_))), "{good}");
        }
        for bad in ["", ".x", "-x", "a/b", "..", "a b", "sha256:12", &"a".repeat(129)] {
            assert!(bad.parse::<Reference>().is_err(), "{bad:?}");
        }
        let digest = format!("sha256:{}", "a".repeat(64));
        assert!(matches!(digest.parse(), Ok(Reference::Digest(_))));
    }
}
