//! `longshore init`

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use longshore_policy::{Found, FoundDockerfile, FoundLanguage, Language};

use super::print::{line, note, raw};
use super::style::{FAINT, GOOD, NAME, STRONG, paint};
use crate::args::InitArgs;

/// How deep folders are looked into.
const DEPTH: usize = 3;
/// The length of a line of explanation.
const WIDTH: usize = 90;
/// Folders that hold what others wrote, or what was built.
const SKIPPED: [&str; 7] = ["build", "dist", "node_modules", "target", "testdata", "vendor", "venv"];

/// Writes a configuration from what is found in the folder.
pub(super) fn run(args: &InitArgs) -> Result<()> {
    let asked = &args.folder;
    let folder = asked.canonicalize().with_context(|| format!("cannot look at {}", asked.display()))?;
    let text = longshore_policy::init(&found(&folder)?);
    if args.dry_run {
        return raw(text.as_bytes());
    }
    let path = folder.join("longshore.toml");
    if path.exists() && !args.force {
        bail!("{} is there already; `--force` overwrites it, `--dry-run` only prints", path.display());
    }
    std::fs::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    line(format!("{} wrote {}; each choice is explained in it", paint(GOOD, "ok"), path.display()))?;
    explain(&text)?;
    note(format!("next: {}, then {}", paint(NAME, "longshore check"), paint(NAME, "longshore up")));
    Ok(())
}

/// Each choice that was written, with what is said of it there.
fn explain(text: &str) -> Result<()> {
    let mut heading = "";
    let mut why = String::new();
    for written in text.lines() {
        if let Some(comment) = written.strip_prefix("# ") {
            why = format!("{why} {comment}");
            continue;
        }
        if written.starts_with("[[") {
            heading = written.trim_matches(['[', ']']);
        }
        match written.split_once(" = ") {
            Some(("name", name)) => line(format!("\n  {heading} {}", paint(STRONG, name.trim_matches('"'))))?,
            Some((key, value)) if !why.is_empty() => line(format!("    {} = {value}", paint(STRONG, key)))?,
            _ => why.clear(),
        }
        for part in wrapped(&std::mem::take(&mut why)) {
            line(format!("      {}", paint(FAINT, part)))?;
        }
    }
    line("")
}

/// A text in lines.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(last) if last.len() + word.len() < WIDTH => *last = format!("{last} {word}"),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn found(folder: &Path) -> Result<Found> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or("app").to_owned();
    let branch = branch(folder).unwrap_or_default();
    let mut found = Found { repository: name, branch, dockerfiles: Vec::new(), languages: Vec::new() };
    look(folder, "", 0, &mut found)?;
    Ok(found)
}

/// The branch that is checked out, if the folder is a repository and one is.
fn branch(folder: &Path) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(folder).args(["symbolic-ref", "--short", "HEAD"]).output();
    let output = output.ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn look(root: &Path, below: &str, depth: usize, found: &mut Found) -> Result<()> {
    let folder = root.join(below);
    let entries =
        std::fs::read_dir(&folder).with_context(|| format!("cannot look into {}", folder.display()))?;
    let mut entries: Vec<_> = entries.filter_map(Result::ok).collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        if entry.file_type()?.is_dir() {
            let skipped = name.starts_with('.') || SKIPPED.contains(&name.as_str());
            if !skipped && depth < DEPTH {
                look(root, &path, depth + 1, found)?;
            }
        } else if is_dockerfile(&name) {
            let text = std::fs::read(entry.path()).unwrap_or_default();
            found.dockerfiles.push(dockerfile(path, &String::from_utf8_lossy(&text)));
        } else if let Some(language) = Language::of_marker(&name) {
            found.languages.push(FoundLanguage { folder: below.to_owned(), language });
        }
    }
    Ok(())
}

/// `Dockerfile`, `Dockerfile.worker`, `worker.Dockerfile`; not what is to be ignored.
fn is_dockerfile(name: &str) -> bool {
    let named = name == "Containerfile" || name == "Dockerfile";
    let variant = name.starts_with("Dockerfile.") || name.ends_with(".Dockerfile");
    named || variant && !name.ends_with(".dockerignore")
}

fn dockerfile(path: String, text: &str) -> FoundDockerfile {
    let mut found = FoundDockerfile { path, ..FoundDockerfile::default() };
    let port = |word: &str| word.split('/').next()?.parse::<u16>().ok();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next().map(str::to_ascii_uppercase).as_deref() {
            Some("RUN") => found.has_run = true,
            Some("EXPOSE") => found.exposes.extend(words.filter_map(port)),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dockerfile_is_known_by_its_name() {
        let names = ["Dockerfile", "Containerfile", "Dockerfile.worker", "worker.Dockerfile"];
        assert!(names.into_iter().all(is_dockerfile));
        assert!(!["Dockerfile.dockerignore", "Dockerfiles", "README.md"].into_iter().any(is_dockerfile));
    }

    #[test]
    fn ports_and_commands_of_a_dockerfile_are_found() {
        let found = dockerfile("Dockerfile".into(), "FROM x\nrun make\nEXPOSE 80 443/tcp $PORT\n");
        assert_eq!((found.has_run, found.exposes), (true, vec![80, 443]));
    }
}
