//! The paths that a push touched, out of the commits that GitHub, GitLab and Gitea list.
//!
//! They are gathered while the body is read, so that a push of any size costs no more memory than its body.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// No forge lists more commits in a push: GitHub's limit.
const MAX_COMMITS: usize = 2048;

/// Beyond either, a push's paths are dropped and said to be truncated: an event has room for 200 KB. Bytes are those of the
/// event, where some characters of a path take six.
const MAX_PATHS: usize = 3_000;
const MAX_PATH_BYTES: usize = 100 * 1024;

/// The paths that a push touched, sorted.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    pub(crate) names: Vec<String>,
    pub(crate) truncated: bool,
}

impl Paths {
    /// Nothing is known of them.
    pub(crate) fn unknown() -> Self {
        Self { names: Vec::new(), truncated: true }
    }
}

/// What a push lists.
#[derive(Debug, Default)]
pub(crate) struct ListedCommits {
    /// How many commits.
    pub(crate) count: usize,
    names: BTreeSet<String>,
    bytes: usize,
    full: bool,
}

impl ListedCommits {
    /// Their paths; `truncated` when the provider says that it lists not all of the commits.
    pub(crate) fn paths(&mut self, truncated: bool) -> Paths {
        if self.full {
            return Paths::unknown();
        }
        let names = std::mem::take(&mut self.names).into_iter().collect();
        Paths { names, truncated: truncated || self.count >= MAX_COMMITS }
    }

    fn touch(&mut self, name: &str) {
        if self.full || self.names.contains(name) {
            return;
        }
        self.bytes += in_json(name);
        self.full = self.names.len() == MAX_PATHS || self.bytes > MAX_PATH_BYTES;
        self.names.insert(name.to_owned());
    }
}

/// The bytes that a path takes in a list of JSON.
fn in_json(name: &str) -> usize {
    let byte = |byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 2,
        0..0x20 => 6,
        _ => 1,
    };
    // Its quotes and a comma.
    3 + name.bytes().map(byte).sum::<usize>()
}

impl<'de> Deserialize<'de> for ListedCommits {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut listed = Self::default();
        Commits(&mut listed).deserialize(from)?;
        Ok(listed)
    }
}

/// The list of commits. `null` is an empty list here and below: Go writes it so.
struct Commits<'a>(&'a mut ListedCommits);
/// One commit.
struct Commit<'a>(&'a mut ListedCommits);
/// One of its lists of paths.
struct Names<'a>(&'a mut ListedCommits);
/// One path.
struct Name<'a>(&'a mut ListedCommits);

/// Each is read for what it adds to the [`ListedCommits`] alone.
macro_rules! reads {
    ($($name:ident: $wanted:literal { $($visit:tt)+ })+) => { $(
        impl<'de> DeserializeSeed<'de> for $name<'_> {
            type Value = ();

            fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
                from.deserialize_any(self)
            }
        }

        impl<'de> Visitor<'de> for $name<'_> {
            type Value = ();

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($wanted)
            }

            $($visit)+
        }
    )+ };
}

reads! {
    Commits: "a list of commits" {
        fn visit_unit<E>(self) -> Result<(), E> {
            Ok(())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
            while list.next_element_seed(Commit(self.0))?.is_some() {
                self.0.count += 1;
            }
            Ok(())
        }
    }

    Commit: "a commit" {
        fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
            while let Some(name) = fields.next_key::<String>()? {
                match name.as_str() {
                    "added" | "modified" | "removed" => fields.next_value_seed(Names(self.0))?,
                    _ => drop(fields.next_value::<IgnoredAny>()?),
                }
            }
            Ok(())
        }
    }

    Names: "a list of paths" {
        fn visit_unit<E>(self) -> Result<(), E> {
            Ok(())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
            while list.next_element_seed(Name(self.0))?.is_some() {}
            Ok(())
        }
    }

    Name: "a path" {
        fn visit_str<E>(self, name: &str) -> Result<(), E> {
            self.0.touch(name);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(text: &str) -> ListedCommits {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn paths_are_gathered_once_and_sorted() {
        let mut listed = listed(
            r#"[{"id":{"x":[1]},"added":["b","\u0061"],"modified":null},{"removed":["b"],"modified":["c"]},{}]"#,
        );
        assert_eq!(listed.count, 3);
        let paths = listed.paths(false);
        assert_eq!(
            (paths.names.as_slice(), paths.truncated),
            (&["a", "b", "c"].map(String::from)[..], false)
        );
        assert_eq!(serde_json::from_str::<ListedCommits>("null").unwrap().count, 0);
    }

    #[test]
    fn too_many_paths_are_all_dropped() {
        for (count, truncated) in [(MAX_PATHS, false), (MAX_PATHS + 1, true)] {
            let names: Vec<String> = (0..count).map(|n| n.to_string()).collect();
            let text = serde_json::json!([{ "added": names }]).to_string();
            let paths = listed(&text).paths(false);
            assert_eq!((paths.names.is_empty(), paths.truncated), (truncated, truncated));
        }
        let of = |path: String| listed(&serde_json::json!([{ "added": [path] }]).to_string()).paths(false);
        assert!(of("x".repeat(MAX_PATH_BYTES)).truncated && !of("x".repeat(MAX_PATH_BYTES - 3)).truncated);
        assert!(of("\u{1}".repeat(MAX_PATH_BYTES / 6 + 1)).truncated, "each takes six bytes");
    }

    #[test]
    fn a_path_takes_as_many_bytes_as_it_has_in_json() {
        for name in ["", "src/main.rs", "ü/\u{7f}\u{2028}", "\"\\\n\r\t\u{8}\u{c}\u{b}\u{0}\u{1f}/"] {
            assert_eq!(in_json(name), serde_json::to_string(name).unwrap().len() + 1, "{name:?}");
        }
    }

    #[test]
    fn other_shapes_are_none() {
        for text in ["{}", "[0]", "[[]]", r#"[{"added":{}}]"#, r#"[{"added":[1]}]"#, r#"[{"added":"x"}]"#] {
            assert!(serde_json::from_str::<ListedCommits>(text).is_err(), "{text}");
        }
    }
}
