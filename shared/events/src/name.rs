//! Names and identifiers that can only be built valid.
//!
//! Each is a string with a rule. The rule is checked where the string enters (parsing, deserialising), so that
//! whoever holds the type need not check again.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A string that breaks the rule of its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a valid {what}: {rule}")]
pub struct InvalidName {
    /// What the string was meant to be, e.g. `digest`.
    pub what: &'static str,
    /// The start of the offending string, at most 80 characters.
    pub value: String,
    /// The rule it broke.
    pub rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $valid:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(with = "String"))]
        pub struct $name(Box<str>);

        impl $name {
            #[doc = concat!("Checks that `value` is a valid ", $what, ".")]
            ///
            /// # Errors
            #[doc = concat!("[`InvalidName`] when it breaks the rule: ", $rule, ".")]
            pub fn new(value: impl AsRef<str>) -> Result<Self, InvalidName> {
                let value = value.as_ref();
                if $valid(value) {
                    Ok(Self(value.into()))
                } else {
                    let value = value.chars().take(80).collect();
                    Err(InvalidName { what: $what, value, rule: $rule })
                }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(value: String) -> Result<Self, InvalidName> {
                Self::new(value)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidName;
            fn from_str(value: &str) -> Result<Self, InvalidName> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// The SHA-256 of some content, as OCI writes it.
    ///
    /// ```
    /// # use longshore_events::Digest;
    /// assert!(Digest::new(format!("sha256:{}", "0".repeat(64))).is_ok());
    /// assert!(Digest::new("sha256:short").is_err());
    /// ```
    Digest, "digest", "sha256: and 64 lower-case hexadecimal digits", is_digest
);
name!(
    /// A Git commit: SHA-1 or SHA-256, never abbreviated, never all zero.
    CommitId, "commit", "40 or 64 lower-case hexadecimal digits, not all zero", is_commit
);
name!(
    /// A full Git reference name, such as `refs/heads/main`.
    RefName, "ref", "starts with refs/ and follows git's check-ref-format", is_ref
);
name!(
    /// A repository's name, such as `shop` or `acme/shop`.
    RepositoryName, "repository name",
    "path segments of letters, digits, '.', '_' and '-' that start and end with a letter or digit, at most 200 characters", is_repository
);
name!(
    /// A service's name: a DNS label, since it becomes part of a host name.
    ServiceName, "service name", "a DNS label: 1 to 40 of a-z, 0-9 and '-', starting with a letter, not ending with '-'", is_label
);
name!(
    /// An environment's name: a DNS label.
    EnvironmentName, "environment name", "a DNS label: 1 to 40 of a-z, 0-9 and '-', starting with a letter, not ending with '-'", is_label
);
name!(
    /// An event's id: unique and deterministic, so that the same fact said twice is one event.
    EventId, "event id", "1 to 300 printable ASCII characters without spaces", is_id
);
name!(
    /// The id of the chain that an event belongs to; it follows the subject from the first event on.
    ChainId, "chain id", "1 to 300 printable ASCII characters without spaces", is_id
);
name!(
    /// A repository in a registry, such as `127.0.0.1:5000/shop/api`, without tag or digest.
    ImageName, "image name", "an OCI repository name, with a registry host before it where there is one", is_image
);

impl Digest {
    /// The 64 hexadecimal digits alone.
    pub fn hex(&self) -> &str {
        &self.0[7..]
    }
}

impl CommitId {
    /// The first 12 digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl RefName {
    /// The reference of a branch.
    ///
    /// # Errors
    /// [`InvalidName`] when `branch` is no valid branch name.
    pub fn branch(branch: &str) -> Result<Self, InvalidName> {
        Self::new(format!("refs/heads/{branch}"))
    }

    /// The name without `refs/heads/` or `refs/tags/`.
    pub fn short(&self) -> &str {
        let name = self.as_str();
        name.strip_prefix("refs/heads/").or_else(|| name.strip_prefix("refs/tags/")).unwrap_or(name)
    }
}

/// An image by its content: `name@sha256:…`. Nothing is ever deployed by tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(with = "String"))]
pub struct ImageRef {
    /// Where it lies, without tag or digest.
    pub name: ImageName,
    /// What it is.
    pub digest: Digest,
}

impl ImageRef {
    /// The image `name@digest`.
    pub fn new(name: ImageName, digest: Digest) -> Self {
        Self { name, digest }
    }
}

impl TryFrom<String> for ImageRef {
    type Error = InvalidName;
    fn try_from(value: String) -> Result<Self, InvalidName> {
        let rule = "NAME@sha256:DIGEST";
        let (name, digest) =
            value.split_once('@').ok_or(InvalidName { what: "image reference", value: value.clone(), rule })?;
        Ok(Self { name: ImageName::new(name)?, digest: Digest::new(digest)? })
    }
}

impl From<ImageRef> for String {
    fn from(image: ImageRef) -> String {
        image.to_string()
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.digest)
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && is_hex(hex))
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && is_hex(text) && text.bytes().any(|b| b != b'0')
}

/// The rules of `git check-ref-format` for a full name.
#[expect(clippy::case_sensitive_file_extension_comparisons, reason = "git's rule is case-sensitive")]
fn is_ref(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("refs/") else { return false };
    let forbidden = |c: char| c.is_ascii_control() || " ~^:?*[\\\x7f".contains(c);
    text.len() <= 400
        && !rest.is_empty()
        && !text.contains("..")
        && !text.contains("@{")
        && !text.ends_with('.')
        && !text.chars().any(forbidden)
        && rest.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"))
        && rest.split('/').all(|part| !part.starts_with('-'))
}

fn is_segment(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric();
    let bytes = text.as_bytes();
    bytes.first().copied().is_some_and(word)
        && bytes.last().copied().is_some_and(word)
        && bytes.iter().all(|&b| word(b) || b"._-".contains(&b))
        && !text.contains("..")
}

fn is_repository(text: &str) -> bool {
    text.len() <= 200 && text.split('/').all(is_segment)
}

fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=40).contains(&bytes.len())
        && bytes[0].is_ascii_lowercase()
        && bytes[bytes.len() - 1] != b'-'
        && bytes.iter().all(|&b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_id(text: &str) -> bool {
    (1..=300).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// OCI distribution-spec: lower-case path components; the first may be a host with a port.
fn is_image(text: &str) -> bool {
    let lower = |part: &str| is_segment(part) && !part.bytes().any(|b| b.is_ascii_uppercase());
    let host = |part: &str| {
        let (name, port) = part.split_once(':').unwrap_or((part, "0"));
        is_segment(name) && !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit())
    };
    match text.split_once('/') {
        None => text.len() <= 255 && lower(text),
        Some((first, rest)) => {
            text.len() <= 255 && (lower(first) || host(first)) && rest.split('/').all(lower)
        }
    }
}
