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
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $valid:path, $pattern:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "description": $rule, "pattern": $pattern })
            }
        }

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
                    Err(InvalidName { what: $what, value: start_of(value), rule: $rule })
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
    Digest, "digest", "sha256: and 64 lower-case hexadecimal digits",
    is_digest, r"^sha256:[0-9a-f]{64}$"
);
name!(
    /// A Git commit: SHA-1 or SHA-256, never abbreviated, never all zero.
    CommitId, "commit", "40 or 64 lower-case hexadecimal digits, not all zero",
    is_commit, r"^([0-9a-f]{40}|[0-9a-f]{64})$"
);
name!(
    /// A full Git reference name, such as `refs/heads/main`.
    RefName, "ref", "starts with refs/ and follows git's check-ref-format",
    is_ref, r"^refs/[^ ~^:?*\[\\\x00-\x1f\x7f]+$"
);
name!(
    /// A repository's name, such as `shop` or `acme/shop`.
    RepositoryName, "repository name",
    "path segments of letters, digits, '.', '_' and '-' that start and end with a letter or digit, at most 200 characters",
    is_repository, r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$"
);
name!(
    /// A service's name: a DNS label, since it becomes part of a host name.
    ServiceName, "service name", "a DNS label: 1 to 40 of a-z, 0-9 and '-', starting with a letter, not ending with '-'",
    is_label, r"^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$"
);
name!(
    /// An environment's name: a DNS label.
    EnvironmentName, "environment name", "a DNS label: 1 to 40 of a-z, 0-9 and '-', starting with a letter, not ending with '-'",
    is_label, r"^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$"
);
name!(
    /// An event's id: unique and deterministic, so that the same fact said twice is one event.
    EventId, "event id", "1 to 512 printable ASCII characters without spaces",
    is_id, r"^[!-~]{1,512}$"
);
name!(
    /// The id of the chain that an event belongs to; it follows the subject from the first event on.
    ChainId, "chain id", "1 to 512 printable ASCII characters without spaces",
    is_id, r"^[!-~]{1,512}$"
);
name!(
    /// A repository in a registry, such as `127.0.0.1:5000/shop/api`, without tag or digest.
    ImageName, "image name", "an OCI repository name, with a registry host before it where there is one",
    is_image, r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,254}$"
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

impl ImageName {
    /// Whether it begins with a registry's host: `ghcr.io/acme/shop`, `localhost/shop`; not `acme/shop`.
    pub fn has_registry(&self) -> bool {
        self.0.split_once('/').is_some_and(|(first, _)| first.contains(['.', ':']) || first == "localhost")
    }
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
        let invalid = || InvalidName { what: "image reference", value: start_of(&value), rule };
        let (name, digest) = value.split_once('@').ok_or_else(invalid)?;
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

/// What an error quotes: enough to find the fault, bounded whatever a stranger sends.
fn start_of(value: &str) -> String {
    value.chars().take(80).collect()
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
    // Git allows the control characters above ASCII; a terminal that shows them does not forgive it.
    let forbidden = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
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
    (1..=512).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// A path component of the OCI distribution-spec: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn is_component(text: &str) -> bool {
    let separator = |c: char| "._-".contains(c);
    is_segment(text)
        && !text.bytes().any(|b| b.is_ascii_uppercase())
        && text
            .split(|c| !separator(c))
            .all(|run| matches!(run, "" | "." | "_" | "__") || run.bytes().all(|b| b == b'-'))
}

/// OCI distribution-spec: lower-case path components; the first may be a host with a port.
fn is_image(text: &str) -> bool {
    let host = |part: &str| {
        let (name, port) = part.split_once(':').unwrap_or((part, "0"));
        is_segment(name) && !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit())
    };
    match text.split_once('/') {
        None => text.len() <= 255 && is_component(text),
        Some((first, rest)) => {
            text.len() <= 255 && (is_component(first) || host(first)) && rest.split('/').all(is_component)
        }
    }
}
