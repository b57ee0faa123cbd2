//! Which pushes touch a service: its `watch` globs, checked and matched by the same rules.

use std::fmt;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::fault::{Code, Wrong};
use crate::suggest::quoted;

/// `*` and `?` stay within a folder, `**` crosses folders.
fn compile(text: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(text).literal_separator(true).build()
}

/// Checks one `watch` glob, which is relative to the repository's root.
pub(crate) fn glob(text: &str) -> Result<String, Wrong> {
    let wrong = |why: &str| Wrong::new(Code::InvalidGlob, format!("the glob {} {why}", quoted(text)));
    if text.is_empty() || text.contains(char::is_control) {
        return Err(wrong("is empty or holds control characters: write one such as \"src/**\""));
    }
    if text.starts_with('!') {
        return Err(wrong("negates, which is not supported: list what is to be watched"));
    }
    if text.starts_with('/') || text.split('/').any(|part| part == ".." || part == ".") {
        let plain: Vec<_> = text.split('/').filter(|part| !["", ".", ".."].contains(part)).collect();
        let wrong = wrong("can never match: globs begin at the repository's root, without `/`, `.` or `..`");
        return Err(wrong.suggest(Some(plain.join("/")).filter(|plain| !plain.is_empty())));
    }
    if text.ends_with('/') {
        return Err(wrong("names a folder: write what lies in it").suggest(Some(format!("{text}**"))));
    }
    compile(text).map_err(|error| wrong(&format!("cannot be read: {}", error.kind())))?;
    Ok(text.to_owned())
}

/// Globs that were checked, compiled once: a configuration is asked for every push.
#[derive(Clone, Default)]
pub struct Watch {
    globs: Vec<String>,
    /// `None` when all of them together are too large: then every path matches, since to build too often is safe.
    set: Option<GlobSet>,
}

impl Watch {
    /// Of globs that are right one by one.
    pub(crate) fn of(globs: Vec<String>) -> Self {
        let mut set = GlobSetBuilder::new();
        globs.iter().filter_map(|glob| compile(glob).ok()).for_each(|glob| _ = set.add(glob));
        Self { globs, set: set.build().ok() }
    }

    /// The globs, as they were written.
    pub fn globs(&self) -> &[String] {
        &self.globs
    }

    /// Without globs every push touches the service.
    pub fn is_empty(&self) -> bool {
        self.globs.is_empty()
    }

    /// Whether a push that changed `paths` (relative to the repository's root) touches the service.
    pub fn touched_by<'a>(&self, paths: impl IntoIterator<Item = &'a str>) -> bool {
        let matches = |path| self.set.as_ref().is_none_or(|set| set.is_match(path));
        self.is_empty() || paths.into_iter().any(matches)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.globs.fmt(f)
    }
}

impl PartialEq for Watch {
    fn eq(&self, other: &Self) -> bool {
        self.globs == other.globs
    }
}

impl Eq for Watch {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_that_can_never_match_are_refused() {
        for text in ["", "/src/**", "../x", "a/../b", "./src", "!docs/**", "src/", "a[", "{a,b", "a\nb"] {
            assert!(glob(text).is_err(), "{text}");
        }
        for text in ["**", "src/**", "Cargo.*", "services/{api,web}/**", "a[0-9].txt"] {
            assert_eq!(glob(text), Ok(text.to_owned()));
        }
        assert!(format!("{:?}", glob("./src").unwrap_err()).contains("Some(\"src\")"));
    }
}
