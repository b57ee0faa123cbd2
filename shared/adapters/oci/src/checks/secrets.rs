//! Keys and tokens that lie in files, by rules.
//!
//! The shapes are those that their issuers document: "AWS IAM identifiers", "Behind GitHub's new authentication token
//! formats", "GitLab token overview", RFC 7468 for keys in PEM. An assignment to a name that says secret counts only in a
//! file of settings, when its value is long and looks random. No finding holds the secret.

use longshore_events::types::{ScanScope, Severity};
use longshore_ports::Finding;

/// A value that is assigned counts from so many characters on, and from so many bits a character.
const ASSIGNED: usize = 20;
const BITS: f64 = 4.0;
/// At most so many findings of one file: the rest of it says nothing new.
const PER_FILE: usize = 100;

/// A token that begins with a prefix and goes on with so many characters of a class.
struct Token {
    id: &'static str,
    what: &'static str,
    prefixes: &'static [&'static str],
    length: std::ops::RangeInclusive<usize>,
    class: fn(u8) -> bool,
}

const TOKENS: &[Token] = &[
    Token {
        id: "secret/aws-access-key",
        what: "an access key of AWS",
        prefixes: &["AKIA", "ASIA"],
        length: 16..=16,
        class: |b| b.is_ascii_uppercase() || b.is_ascii_digit(),
    },
    Token {
        id: "secret/github-token",
        what: "a token of GitHub",
        prefixes: &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"],
        length: 36..=251,
        class: |b| b.is_ascii_alphanumeric(),
    },
    Token {
        id: "secret/github-token",
        what: "a token of GitHub",
        prefixes: &["github_pat_"],
        length: 82..=82,
        class: |b| b.is_ascii_alphanumeric() || b == b'_',
    },
    Token {
        id: "secret/gitlab-token",
        what: "a token of GitLab",
        prefixes: &["glpat-", "gldt-", "glrt-", "glcbt-"],
        length: 20..=300,
        class: |b| b.is_ascii_alphanumeric() || b"-_.".contains(&b),
    },
];

/// Words in a name that say that its value is secret.
const NAMES: &[&str] =
    &["secret", "password", "passwd", "token", "apikey", "api_key", "api-key", "access_key", "private_key"];

/// Ends of the names of files of settings, in which an assignment counts.
const SETTINGS: &[&str] =
    &[".env", ".ini", ".conf", ".cfg", ".cnf", ".yaml", ".yml", ".json", ".toml", ".properties"];
/// Folders of files that came with packages, and files full of hashes.
const NOT_SETTINGS: &[&str] =
    &["usr/", "lib/", "node_modules/", "site-packages/", "lock", "sum", "integrity", "manifest", "sbom"];

/// The secrets in a file at `path`.
pub(super) fn find(path: &str, content: &[u8]) -> Vec<Finding> {
    let mut found = Vec::new();
    keys(path, content, &mut found);
    for token in TOKENS {
        tokens(token, path, content, &mut found);
    }
    let name = path.to_lowercase();
    let is_settings = SETTINGS.iter().any(|end| name.ends_with(end)) || name.contains("/.env.");
    if is_settings && !NOT_SETTINGS.iter().any(|part| name.contains(part)) {
        assignments(path, content, &mut found);
    }
    found
}

/// Whether a text holds a token of a known shape.
pub(super) fn holds_token(text: &str) -> bool {
    let mut found = Vec::new();
    keys("", text.as_bytes(), &mut found);
    for token in TOKENS {
        tokens(token, "", text.as_bytes(), &mut found);
    }
    !found.is_empty()
}

/// Whether a name says that its value is secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_lowercase();
    NAMES.iter().any(|word| name.contains(word))
}

/// Whether a value stands for one that comes later, or points to where it is.
pub(super) fn is_placeholder(value: &str) -> bool {
    let lower = value.to_lowercase();
    value.is_empty()
        || value.starts_with(['$', '/', '<', '{', '%'])
        || ["example", "changeme", "change-me", "placeholder", "xxxx", "your", "dummy"]
            .iter()
            .any(|word| lower.contains(word))
}

fn finding(id: &str, severity: Severity, path: &str, at: usize, content: &[u8], what: &str) -> Finding {
    let line = content[..at].split(|b| *b == b'\n').count();
    Finding {
        id: id.to_owned(),
        scope: ScanScope::Secrets,
        severity,
        title: format!("{what} lies in the image"),
        place: Some(format!("{path}:{line}")),
        package: None,
        version: None,
        fixed: None,
    }
}

fn tokens(token: &Token, path: &str, content: &[u8], found: &mut Vec<Finding>) {
    for prefix in token.prefixes {
        for at in places(content, prefix.as_bytes()) {
            if found.len() >= PER_FILE {
                return;
            }
            let rest = &content[at + prefix.len()..];
            let length = rest.iter().take(token.length.end() + 1).take_while(|b| (token.class)(**b)).count();
            let is_word = at > 0 && content[at - 1].is_ascii_alphanumeric();
            let next = rest.get(length).is_some_and(u8::is_ascii_alphanumeric);
            let value = String::from_utf8_lossy(&rest[..length]);
            if !is_word && !next && token.length.contains(&length) && !value.ends_with("EXAMPLE") {
                found.push(finding(token.id, Severity::Critical, path, at, content, token.what));
            }
        }
    }
}

/// Private keys in PEM: a heading alone, as in the code of a library, is none.
fn keys(path: &str, content: &[u8], found: &mut Vec<Finding>) {
    for at in places(content, b"-----BEGIN ") {
        if found.len() >= PER_FILE {
            return;
        }
        let rest = &content[at + 11..content.len().min(at + 4096)];
        let line = rest.split(|b| *b == b'\n').next().unwrap_or_default();
        let label = String::from_utf8_lossy(line);
        let label = label.trim_end();
        if !(label.ends_with("PRIVATE KEY-----") || label.ends_with("PRIVATE KEY BLOCK-----")) {
            continue;
        }
        let body = &rest[line.len()..];
        let end = places(body, b"-----").next().unwrap_or(body.len());
        let base64 = |line: &&[u8]| {
            line.len() >= 32 && line.iter().all(|b| b.is_ascii_alphanumeric() || b"+/=\r".contains(b))
        };
        if body[..end].split(|b| *b == b'\n').any(|line| base64(&line)) {
            let encrypted =
                label.starts_with("ENCRYPTED") || body[..end].starts_with(b"\nProc-Type: 4,ENCRYPTED");
            let (severity, what) = if encrypted {
                (Severity::Medium, "an encrypted private key")
            } else {
                (Severity::Critical, "a private key")
            };
            found.push(finding("secret/private-key", severity, path, at, content, what));
        }
    }
}

/// `NAME = "value"`, `name: value` and the like.
fn assignments(path: &str, content: &[u8], found: &mut Vec<Finding>) {
    let mut at = 0;
    for line in content.split(|b| *b == b'\n') {
        if found.len() >= PER_FILE {
            return;
        }
        let begin = at;
        at += line.len() + 1;
        let Ok(line) = std::str::from_utf8(line) else { continue };
        let Some((name, value)) = line.split_once(['=', ':']).filter(|_| line.len() < 1_000) else {
            continue;
        };
        let value = value.trim().trim_matches(['"', '\'', ',', ';', ' ']);
        if is_secret_name(name) && looks_random(value) && !is_placeholder(value) {
            let what = "a value that is named as a secret, and looks like one,";
            found.push(finding("secret/assigned", Severity::Medium, path, begin, content, what));
        }
    }
}

/// Long, of letters and digits, and without words: by its entropy.
fn looks_random(value: &str) -> bool {
    let bytes = value.as_bytes();
    let plain = bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"+/=_-.~".contains(b));
    bytes.len() >= ASSIGNED
        && plain
        && bytes.iter().any(u8::is_ascii_digit)
        && bytes.iter().any(u8::is_ascii_alphabetic)
        && entropy(bytes) >= BITS
}

/// Bits a character (Shannon).
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in bytes {
        counts[usize::from(*byte)] += 1;
    }
    let length = f64::from(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    let share = |count: &u32| f64::from(*count) / length;
    counts.iter().filter(|count| **count > 0).map(share).map(|p| -p * p.log2()).sum()
}

/// Where a text stands, in order.
fn places<'a>(content: &'a [u8], text: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let first = text.first().copied().unwrap_or_default();
    let starts = content.iter().enumerate().filter(move |(_, b)| **b == first).map(|(at, _)| at);
    starts.filter(move |at| content[*at..].starts_with(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(path: &str, content: &str) -> Vec<String> {
        find(path, content.as_bytes()).into_iter().map(|found| found.id).collect()
    }

    #[test]
    fn tokens_are_known_by_their_shape_and_are_never_shown() {
        let token = format!("ghp_{}", "a1B2".repeat(9));
        let text = format!("x\nurl = https://{token}@github.com\n");
        let found = find("app/.git/config", text.as_bytes());
        assert_eq!(
            (found[0].id.as_str(), found[0].place.as_deref()),
            ("secret/github-token", Some("app/.git/config:2"))
        );
        assert!(!format!("{found:?}").contains(&token));
        assert_eq!(ids("a", "key AKIAIOSFODNN7ABCDEFG."), ["secret/aws-access-key"]);
        assert_eq!(ids("a", &format!("glpat-{}", "x_Y1-".repeat(4))), ["secret/gitlab-token"]);
        for none in
            ["AKIAIOSFODNN7EXAMPLE", "XAKIAIOSFODNN7ABCDEFG", "AKIAIOSFODNN7ABCDEFGH", "ghp_short", "AKIA"]
        {
            assert_eq!(ids("a", none), Vec::<String>::new(), "{none}");
        }
    }

    #[test]
    fn a_private_key_is_one_with_something_in_it() {
        let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ";
        let key = |label: &str| format!("-----BEGIN {label}-----\n{body}\n{body}\n-----END {label}-----\n");
        for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "OPENSSH PRIVATE KEY"] {
            assert_eq!(ids("etc/key.pem", &key(label)), ["secret/private-key"], "{label}");
        }
        assert_eq!(find("k", key("ENCRYPTED PRIVATE KEY").as_bytes())[0].severity, Severity::Medium);
        for none in [key("CERTIFICATE"), key("PUBLIC KEY"), "\"-----BEGIN PRIVATE KEY-----\"".into()] {
            assert_eq!(ids("k", &none), Vec::<String>::new(), "{none}");
        }
    }

    #[test]
    fn an_assignment_counts_in_settings_alone_and_only_when_it_looks_random() {
        let secret = "DB_PASSWORD=q8Zr2vLx0PnT5wYbK7mJ\n";
        assert_eq!(ids("app/.env", secret), ["secret/assigned"]);
        assert_eq!(ids("app/settings.yaml", "api_key: 'q8Zr2vLx0PnT5wYbK7mJ'"), ["secret/assigned"]);
        for (path, text) in [
            ("app/main.rs", secret),
            ("usr/share/x.conf", secret),
            ("app/package-lock.json", secret),
            ("app/.env", "DB_PASSWORD=${DB_PASSWORD_FROM_VAULT_1}"),
            ("app/.env", "DB_PASSWORD=aaaaaaaaaaaaaaaaaaaaaaaaa1"),
            ("app/.env", "COLOUR=q8Zr2vLx0PnT5wYbK7mJ"),
            ("app/.env", "DB_PASSWORD=short1"),
        ] {
            assert_eq!(ids(path, text), Vec::<String>::new(), "{path} {text}");
        }
    }

    #[test]
    fn the_findings_of_one_file_are_bounded() {
        let many = "AKIAIOSFODNN7ABCDEFG\n".repeat(10_000);
        assert_eq!(find("a", many.as_bytes()).len(), PER_FILE);
    }
}
