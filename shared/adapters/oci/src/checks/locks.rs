//! The packages that lock files name: Cargo, npm, PyPI, Go.
//!
//! Sources: "Cargo.lock vs Cargo.toml", "package-lock.json" of npm, PEP 440 and pip's "Requirements File Format", "go.mod
//! file reference". What these tools write is read line by line where lines are all they write.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value};

/// At most so many packages of one file.
const MAX_PACKAGES: usize = 50_000;
/// The deepest nesting of npm's older lock files.
const DEPTH: usize = 50;

/// Where a package comes from; advisories name it by the same word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Ecosystem {
    Cargo,
    Npm,
    PyPi,
    Go,
}

impl Ecosystem {
    /// Its name in OSV's schema.
    pub(super) fn osv(self) -> &'static str {
        match self {
            Self::Cargo => "crates.io",
            Self::Npm => "npm",
            Self::PyPi => "PyPI",
            Self::Go => "Go",
        }
    }

    /// Its name in a package URL.
    pub(super) fn purl(self) -> &'static str {
        match self {
            Self::Cargo => "cargo",
            Self::Npm => "npm",
            Self::PyPi => "pypi",
            Self::Go => "golang",
        }
    }
}

/// A package at a version, as its ecosystem writes them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Package {
    pub(super) ecosystem: Ecosystem,
    pub(super) name: String,
    pub(super) version: String,
}

/// A lock file that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} cannot be read as a lock file: {why}")]
pub(super) struct Unreadable {
    pub(super) path: String,
    pub(super) why: String,
}

/// Whether a file of this name is a lock file.
pub(super) fn is_lock(name: &str) -> bool {
    reader(name).is_some()
}

/// Either can be read whatever it holds, or not.
enum Reader {
    Any(fn(&str) -> Vec<Package>),
    Strict(fn(&str) -> Result<Vec<Package>, String>),
}

fn reader(name: &str) -> Option<Reader> {
    Some(match name {
        "Cargo.lock" => Reader::Strict(cargo),
        "package-lock.json" | "npm-shrinkwrap.json" | ".package-lock.json" => Reader::Strict(npm),
        "poetry.lock" | "uv.lock" => Reader::Strict(poetry),
        "requirements.txt" => Reader::Any(requirements),
        "go.mod" => Reader::Any(go_mod),
        "go.sum" => Reader::Any(go_sum),
        _ => return None,
    })
}

/// The packages that the lock file at `path` names, each once.
pub(super) fn packages(path: &str, content: &[u8]) -> Result<BTreeSet<Package>, Unreadable> {
    let unreadable = |why: String| Unreadable { path: path.to_owned(), why };
    let name = path.rsplit('/').next().unwrap_or_default();
    let read = reader(name).ok_or_else(|| unreadable("its name is none that is known".into()))?;
    let text = std::str::from_utf8(content).map_err(|_| unreadable("it is not UTF-8".into()))?;
    let found = match read {
        Reader::Any(read) => read(text),
        Reader::Strict(read) => read(text).map_err(unreadable)?,
    };
    let found: BTreeSet<_> = found.into_iter().collect();
    if found.len() > MAX_PACKAGES {
        return Err(unreadable(format!("it names more than {MAX_PACKAGES} packages")));
    }
    Ok(found)
}

fn package(ecosystem: Ecosystem, name: &str, version: &str) -> Package {
    let short = |text: &str| text.chars().take(200).collect();
    Package { ecosystem, name: short(name), version: short(version) }
}

/// The `[[package]]` tables of a TOML file that a tool wrote: their simple texts.
fn tables(text: &str) -> Vec<Vec<(&str, &str)>> {
    let mut tables: Vec<Vec<(&str, &str)>> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with('[') {
            inside = line.trim_end() == "[[package]]";
            tables.extend(inside.then(Vec::new));
        } else if let Some((name, value)) = line.split_once(" = ").filter(|_| inside)
            && let Some(table) = tables.last_mut()
        {
            table.push((name, value.trim_end()));
        }
    }
    tables
}

fn field<'a>(table: &[(&str, &'a str)], name: &str) -> Option<&'a str> {
    let value = table.iter().find(|(known, _)| *known == name)?.1;
    value.strip_prefix('"')?.strip_suffix('"')
}

fn of_tables(
    text: &str,
    named: impl Fn(&[(&str, &str)], &str, &str) -> Option<Package>,
) -> Result<Vec<Package>, String> {
    let tables = tables(text);
    if tables.is_empty() && !text.trim().is_empty() && !text.contains("version = ") {
        return Err("it has no [[package]]".into());
    }
    let package = |table: &Vec<(&str, &str)>| named(table, field(table, "name")?, field(table, "version")?);
    Ok(tables.iter().filter_map(package).collect())
}

/// A crate without a source is of the workspace itself.
fn cargo(text: &str) -> Result<Vec<Package>, String> {
    of_tables(text, |table, name, version| {
        let registry = field(table, "source").is_some_and(|source| source.starts_with("registry+"));
        registry.then(|| package(Ecosystem::Cargo, name, version))
    })
}

fn poetry(text: &str) -> Result<Vec<Package>, String> {
    of_tables(text, |_, name, version| Some(package(Ecosystem::PyPi, &pypi_name(name), version)))
}

/// Names of PyPI that are one: PEP 503.
fn pypi_name(name: &str) -> String {
    let parts: Vec<_> = name.split(['-', '_', '.']).filter(|part| !part.is_empty()).collect();
    parts.join("-").to_lowercase()
}

#[derive(Deserialize)]
struct NpmLock {
    #[serde(rename = "lockfileVersion")]
    _version: Option<Value>,
    packages: Option<Map<String, Value>>,
    dependencies: Option<Map<String, Value>>,
}

fn npm(text: &str) -> Result<Vec<Package>, String> {
    let lock: NpmLock = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    if let Some(packages) = &lock.packages {
        for (place, value) in packages {
            let Some((_, name)) = place.rsplit_once("node_modules/") else { continue };
            let name = value["name"].as_str().unwrap_or(name);
            found.extend(value["version"].as_str().map(|version| package(Ecosystem::Npm, name, version)));
        }
        return Ok(found);
    }
    let dependencies = lock.dependencies.ok_or("it has neither packages nor dependencies")?;
    nested(&dependencies, DEPTH, &mut found)?;
    Ok(found)
}

/// npm's lock files of version 1.
fn nested(dependencies: &Map<String, Value>, depth: usize, found: &mut Vec<Package>) -> Result<(), String> {
    if depth == 0 {
        return Err(format!("its dependencies are nested deeper than {DEPTH}"));
    }
    for (name, value) in dependencies {
        found.extend(value["version"].as_str().map(|version| package(Ecosystem::Npm, name, version)));
        if let Some(inner) = value["dependencies"].as_object() {
            nested(inner, depth - 1, found)?;
        }
    }
    Ok(())
}

/// Only what is pinned says what is installed.
fn requirements(text: &str) -> Vec<Package> {
    let pinned = |line: &str| {
        let line = line.split([';', '#', '\\']).next().unwrap_or_default().trim();
        let line = line.split(" --").next().unwrap_or_default();
        let (name, version) = line.split_once("==")?;
        let name = name.trim().split('[').next().unwrap_or_default();
        let version = version.trim_matches(['=', ' ']);
        let plain = !name.is_empty() && !name.starts_with('-') && !version.contains([',', '*', ' ']);
        plain.then(|| package(Ecosystem::PyPi, &pypi_name(name), version))
    };
    text.lines().filter_map(pinned).collect()
}

/// The modules that are required, in one line or in a block.
fn go_mod(text: &str) -> Vec<Package> {
    let (mut found, mut inside) = (Vec::new(), false);
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default().trim();
        let required = match line.strip_prefix("require") {
            Some(rest) if rest.trim() == "(" => {
                inside = true;
                continue;
            }
            Some(rest) => Some(rest.trim()),
            None if line == ")" => {
                inside = false;
                continue;
            }
            None => inside.then_some(line),
        };
        let words = required.and_then(|required| required.split_once(char::is_whitespace));
        found.extend(words.map(|(name, version)| package(Ecosystem::Go, name, version.trim())));
    }
    found
}

/// Every version that was looked at on the way: more than what is linked.
fn go_sum(text: &str) -> Vec<Package> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let (name, version) = (words.next()?, words.next()?);
        (!version.ends_with("/go.mod")).then(|| package(Ecosystem::Go, name, version))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &str, text: &str) -> Vec<String> {
        let found = packages(path, text.as_bytes()).unwrap();
        found.into_iter().map(|found| format!("{}@{}", found.name, found.version)).collect()
    }

    #[test]
    fn each_tool_is_understood() {
        let cargo = "version = 4\n\n[[package]]\nname = \"time\"\nversion = \"0.1.43\"\n\
                     source = \"registry+https://github.com/rust-lang/crates.io-index\"\ndependencies = [\n \"libc\",\n]\n\n\
                     [[package]]\nname = \"shop\"\nversion = \"0.1.0\"\n";
        assert_eq!(names("app/Cargo.lock", cargo), ["time@0.1.43"]);
        let npm = r#"{"lockfileVersion":3,"packages":{"":{"version":"1.0.0"},"node_modules/@a/b":{"version":"2.0.0"},
            "node_modules/c/node_modules/d":{"version":"3.0.0"},"node_modules/e":{"link":true}}}"#;
        assert_eq!(names("package-lock.json", npm), ["@a/b@2.0.0", "d@3.0.0"]);
        let old = r#"{"dependencies":{"a":{"version":"1.0.0","dependencies":{"b":{"version":"2.0.0"}}}}}"#;
        assert_eq!(names("package-lock.json", old), ["a@1.0.0", "b@2.0.0"]);
        let poetry = "[[package]]\nname = \"Zope_Interface\"\nversion = \"5.0\"\ndescription = \"\"\n[package.extras]\nname = \"x\"\n";
        assert_eq!(names("poetry.lock", poetry), ["zope-interface@5.0"]);
        let pip = "# x\nDjango[argon2]==3.2.1 ; python_version > '3' --hash=sha256:1\nflask>=1\n-r other.txt\nx==1.*\n";
        assert_eq!(names("requirements.txt", pip), ["django@3.2.1"]);
        let go = "module shop\n\nrequire golang.org/x/net v0.1.0\n\nrequire (\n\tgithub.com/a/b v1.2.3 // indirect\n)\n\
                  replace (\n\ta => b v1\n)\n";
        assert_eq!(names("go.mod", go), ["github.com/a/b@v1.2.3", "golang.org/x/net@v0.1.0"]);
        let sum = "golang.org/x/net v0.1.0 h1:x=\ngolang.org/x/net v0.1.0/go.mod h1:y=\n";
        assert_eq!(names("go.sum", sum), ["golang.org/x/net@v0.1.0"]);
    }

    #[test]
    fn what_cannot_be_read_says_so_and_is_not_empty() {
        let deep = format!("{}{{}}{}", r#"{"dependencies":{"a":"#.repeat(60), "}}".repeat(60));
        for (path, text) in [
            ("package-lock.json", "<html>"),
            ("package-lock.json", "{}"),
            ("package-lock.json", &deep),
            ("Cargo.lock", "garbage"),
        ] {
            let error = packages(path, text.as_bytes()).unwrap_err();
            assert_eq!(error.path, path, "{text}");
        }
        assert!(packages("go.sum", b"\xff").is_err());
    }
}
