//! Which of two versions is older, as each ecosystem orders them.
//!
//! Sources: Semantic Versioning 2.0.0, section 11, for Cargo, npm and Go (whose versions begin with `v`); PEP 440,
//! "Summary of permitted suffixes and relative ordering", for PyPI.

use std::cmp::Ordering;

use super::super::locks::Ecosystem;

/// How `a` stands to `b`; `None` when one of them is no version.
pub(super) fn compare(ecosystem: Ecosystem, a: &str, b: &str) -> Option<Ordering> {
    match ecosystem {
        Ecosystem::Cargo | Ecosystem::Npm => Some(SemVer::parse(a)?.cmp(&SemVer::parse(b)?)),
        Ecosystem::Go => {
            let bare = |text: &str| text.strip_prefix('v').unwrap_or(text).to_owned();
            Some(SemVer::parse(&bare(a))?.cmp(&SemVer::parse(&bare(b))?))
        }
        Ecosystem::PyPi => Some(pep440(a)?.cmp(&pep440(b)?)),
    }
}

#[derive(Debug, PartialEq, Eq)]
struct SemVer {
    numbers: [u64; 3],
    /// What stands before a release; empty for a release.
    pre: Vec<Part>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u64),
    Text(String),
}

impl SemVer {
    /// Missing numbers are zero: advisories write `1.2`.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().split('+').next()?;
        let (release, pre) = text.split_once('-').map_or((text, None), |(release, pre)| (release, Some(pre)));
        let mut numbers = [0; 3];
        let mut given = release.split('.');
        for number in &mut numbers {
            let Some(part) = given.next() else { break };
            *number = part.parse().ok()?;
        }
        if given.next().is_some() {
            return None;
        }
        let part = |text: &str| text.parse().map_or_else(|_| Part::Text(text.to_owned()), Part::Number);
        Some(Self { numbers, pre: pre.map(|pre| pre.split('.').map(part).collect()).unwrap_or_default() })
    }
}

impl PartialOrd for SemVer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SemVer {
    fn cmp(&self, other: &Self) -> Ordering {
        // A release is newer than what stands before it.
        let pre = match (self.pre.is_empty(), other.pre.is_empty()) {
            (false, false) => self.pre.cmp(&other.pre),
            (a, b) => a.cmp(&b),
        };
        self.numbers.cmp(&other.numbers).then(pre)
    }
}

/// Epoch, release, pre-release, post-release, development release, each so that a larger one is newer.
type Pep440 = (u64, Vec<u64>, (u8, u64), (u8, u64), (u8, u64));

fn pep440(text: &str) -> Option<Pep440> {
    let text = text.trim().to_lowercase();
    let text = text.strip_prefix('v').unwrap_or(&text);
    let text = text.split('+').next()?;
    let (epoch, text) = match text.split_once('!') {
        Some((epoch, rest)) => (epoch.parse().ok()?, rest),
        None => (0, text),
    };
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (numbers, suffix) = text.split_at(end);
    let numbers = numbers.trim_end_matches('.');
    let mut release = numbers.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u64>>>()?;
    while release.len() > 1 && release.last() == Some(&0) {
        release.pop();
    }
    let (mut pre, mut post, mut dev) = (None, None, None);
    let mut rest = suffix.trim_start_matches(['.', '-', '_']);
    while !rest.is_empty() {
        let word: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
        let after = rest[word.len()..].trim_start_matches(['.', '-', '_']);
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        let number = if digits.is_empty() { 0 } else { digits.parse().ok()? };
        match word.as_str() {
            "a" | "alpha" => pre = Some((1, number)),
            "b" | "beta" => pre = Some((2, number)),
            "rc" | "c" | "pre" | "preview" => pre = Some((3, number)),
            "post" | "rev" | "r" | "" => post = Some((1, number)),
            "dev" => dev = Some((0, number)),
            _ => return None,
        }
        rest = after[digits.len()..].trim_start_matches(['.', '-', '_']);
    }
    // A development release of a release stands before its pre-releases; a final release is after them.
    let pre = pre.unwrap_or(if post.is_none() && dev.is_some() { (0, 0) } else { (4, 0) });
    Some((epoch, release, pre, post.unwrap_or((0, 0)), dev.unwrap_or((1, 0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(ecosystem: Ecosystem, versions: &[&str]) {
        for (at, a) in versions.iter().enumerate() {
            for (other, b) in versions.iter().enumerate() {
                assert_eq!(compare(ecosystem, a, b), Some(at.cmp(&other)), "{a} and {b}");
            }
        }
    }

    #[test]
    fn versions_are_ordered_as_their_specifications_say() {
        let semver = [
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0",
            "1.2.0",
            "1.10.0",
        ];
        sorted(Ecosystem::Cargo, &semver);
        sorted(
            Ecosystem::Go,
            &["v0.0.0-20200101000000-abcdefabcdef", "v0.1.0", "v1.2.3", "v2.0.0+incompatible"],
        );
        let pep =
            ["1.dev0", "1.0a1", "1.0b2.dev3", "1.0b2", "1.0rc1", "1.0", "1.0.post1", "1.1", "1.10", "1!0.1"];
        sorted(Ecosystem::PyPi, &pep);
        assert_eq!(compare(Ecosystem::PyPi, "1.0", "1.0.0"), Some(Ordering::Equal));
        assert_eq!(compare(Ecosystem::Npm, "1.2", "1.2.0+build"), Some(Ordering::Equal));
    }

    #[test]
    fn what_is_no_version_is_not_ordered() {
        for none in ["", "latest", "1.2.3.4", "git+https://x", "99999999999999999999"] {
            assert_eq!(compare(Ecosystem::Npm, none, "1.0.0"), None, "{none}");
        }
        for none in ["", "latest", "1.0final", "99999999999999999999"] {
            assert_eq!(compare(Ecosystem::PyPi, none, "1.0"), None, "{none}");
        }
    }
}
