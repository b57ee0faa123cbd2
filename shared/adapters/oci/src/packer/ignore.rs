//! `.dockerignore`: what of the context is as if it were not there.
//!
//! The rules of moby's patternmatcher: the last pattern that matches a path, or a folder above it, decides; `!`
//! takes back. A pattern is anchored at the context's root.

use std::path::Path;

use globset::{Glob, GlobBuilder, GlobMatcher};

pub(super) struct Ignore {
    rules: Vec<Rule>,
}

struct Rule {
    glob: GlobMatcher,
    excludes: bool,
}

/// A glob where `*` stays within one part of a path.
pub(super) fn glob(pattern: &str) -> Result<Glob, String> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build();
    glob.map_err(|error| error.to_string())
}

impl Ignore {
    /// Nothing is ignored.
    pub(super) fn nothing() -> Self {
        Self { rules: Vec::new() }
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut rules = Vec::new();
        for line in text.trim_start_matches('\u{feff}').lines() {
            if line.starts_with('#') {
                continue;
            }
            let line = line.trim();
            let (excludes, pattern) =
                line.strip_prefix('!').map_or((true, line), |rest| (false, rest.trim()));
            let parts: Vec<&str> =
                pattern.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
            if parts.is_empty() {
                continue;
            }
            rules.push(Rule { glob: glob(&parts.join("/"))?.compile_matcher(), excludes });
        }
        Ok(Self { rules })
    }

    /// Whether the file or folder at `path` is left out.
    pub(super) fn excludes(&self, path: &Path) -> bool {
        let hit = |rule: &&Rule| {
            path.ancestors().filter(|part| !part.as_os_str().is_empty()).any(|part| rule.glob.is_match(part))
        };
        self.rules.iter().rev().find(hit).is_some_and(|rule| rule.excludes)
    }

    /// Whether something below an excluded folder may be taken back.
    pub(super) fn may_take_back(&self) -> bool {
        self.rules.iter().any(|rule| !rule.excludes)
    }
}
