//! Which pushes touch a service: its `watch` globs, checked and matched by the same rules.

use fast_glob::{glob_match, validate};

use crate::fault::{Code, Wrong};
use crate::suggest::quoted;

/// Checks one `watch` glob, which is relative to the repository's root: `*` and `?` stay within a folder, `**` crosses
/// folders.
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
    validate(text).map_err(|error| wrong(&format!("cannot be read: {error}")))?;
    Ok(text.to_owned())
}

/// The glob that matches this path and no other.
pub(crate) fn escaped(path: &str) -> String {
    let escape = |text: String, letter: char| {
        let escapes = if "*?[]{}!\\".contains(letter) { "\\" } else { "" };
        text + escapes + letter.encode_utf8(&mut [0; 4])
    };
    path.chars().fold(String::with_capacity(path.len()), escape)
}

/// Globs that were checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watch(Vec<String>);

impl Watch {
    /// Of globs that are right one by one.
    pub(crate) fn of(globs: Vec<String>) -> Self {
        Self(globs)
    }

    /// The globs, as they were written.
    pub fn globs(&self) -> &[String] {
        &self.0
    }

    /// Without globs every push touches the service.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a push that changed `paths` (relative to the repository's root) touches the service.
    pub fn touched_by<'a>(&self, paths: impl IntoIterator<Item = &'a str>) -> bool {
        let matches = |path| self.0.iter().any(|glob| glob_match(glob, path));
        self.is_empty() || paths.into_iter().any(matches)
    }
}

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

    #[test]
    fn a_folder_with_signs_of_globs_in_its_name_is_watched_by_its_name() {
        let folder = "!a/[b]{c}*?\\é";
        let glob = escaped(folder) + "/**";
        let watch = Watch::of(vec![self::glob(&glob).unwrap()]);
        assert!(watch.touched_by([format!("{folder}/x").as_str()]));
        assert!(!watch.touched_by(["!a/b/x"]));
    }

    #[test]
    fn one_star_stays_within_a_folder_and_two_cross_folders() {
        let table = [
            ("src/**", "src/a", true),
            ("src/**", "src/a/b/c", true),
            ("src/**", "src", false),
            ("**/*.md", "README.md", true),
            ("**/*.md", "docs/deep/a.md", true),
            ("src/*", "src/a/b", false),
            ("src/?.rs", "src//.rs", false),
            ("a/**/z", "a/z", true),
            ("services/{api,web}/**", "services/web/x", true),
            ("services/{api,web}/**", "services/job/x", false),
            ("a[0-9].txt", "a7.txt", true),
            ("a[!0-9].txt", "a7.txt", false),
            ("Cargo.*", "Cargo.lock", true),
            ("*", ".gitignore", true),
        ];
        for (glob, path, matches) in table {
            assert_eq!(Watch::of(vec![glob.to_owned()]).touched_by([path]), matches, "{glob} {path}");
        }
    }
}
