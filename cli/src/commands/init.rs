//! `longshore init`

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use longshore_policy::{Found, FoundDockerfile, FoundLanguage, Language};

use super::print::{line, note, raw};
use super::style::{GOOD, NAME, paint};
use crate::args::InitArgs;

/// How deep folders are looked into.
const DEPTH: usize = 3;

/// Writes a configuration from what is found in the folder.
pub(super) fn run(args: &InitArgs) -> Result<()> {
    let folder =
        args.folder.canonicalize().with_context(|| format!("cannot look at {}", args.folder.display()))?;
    let text = longshore_policy::init(&found(&folder)?);
    if args.dry_run {
        return raw(text.as_bytes());
    }
    let path = folder.join("longshore.toml");
    if path.exists() && !args.force {
        bail!("{} is there already; `--force` overwrites it, `--dry-run` only prints", path.display());
    }
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    line(format!("{} wrote {}; each choice is explained in it", paint(GOOD, "ok"), path.display()))?;
    note(format!("next: {}, then {}", paint(NAME, "longshore check"), paint(NAME, "longshore up")));
    Ok(())
}

fn found(folder: &Path) -> Result<Found> {
    let git = |args: &[&str]| {
        let output = Command::new("git").arg("-C").arg(folder).args(args).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        (output.status.success() && !text.is_empty()).then_some(text)
    };
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or("app").to_owned();
    let mut found = Found {
        repository: name,
        branch: git(&["symbolic-ref", "--short", "HEAD"]).unwrap_or_else(|| "main".to_owned()),
        dockerfiles: Vec::new(),
        languages: Vec::new(),
    };
    look(folder, "", 0, &mut found)?;
    Ok(found)
}

fn look(root: &Path, below: &str, depth: usize, found: &mut Found) -> Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(root.join(below))?.filter_map(Result::ok).collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        if entry.file_type()?.is_dir() {
            let skipped =
                name.starts_with('.') || ["target", "node_modules", "vendor"].contains(&name.as_str());
            if !skipped && depth < DEPTH {
                look(root, &path, depth + 1, found)?;
            }
        } else if name == "Dockerfile" || name == "Containerfile" {
            found
                .dockerfiles
                .push(dockerfile(path, &std::fs::read_to_string(entry.path()).unwrap_or_default()));
        } else if let Some(language) = Language::of_marker(&name) {
            found.languages.push(FoundLanguage { folder: below.to_owned(), language });
        }
    }
    Ok(())
}

fn dockerfile(path: String, text: &str) -> FoundDockerfile {
    let mut found = FoundDockerfile { path, ..FoundDockerfile::default() };
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next().map(str::to_ascii_uppercase).as_deref() {
            Some("RUN") => found.has_run = true,
            Some("EXPOSE") => {
                found.exposes.extend(words.filter_map(|word| word.split('/').next()?.parse::<u16>().ok()))
            }
            _ => {}
        }
    }
    found
}
