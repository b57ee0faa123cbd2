//! `longshore init`: writes a configuration from what was found in a repository, and says why.
//!
//! Whatever was found, what is written passes [`check`](crate::check): names are made valid, paths that cannot be named
//! are left out with a note, and every text is escaped.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::suggest::{self, quoted};
use crate::{rules, watch};

/// What was found in a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The repository's name, such as `acme/shop`, or that of its folder.
    pub repository: String,
    /// The branch that is checked out.
    pub branch: String,
    /// The Dockerfiles.
    pub dockerfiles: Vec<FoundDockerfile>,
    /// The languages, by their markers.
    pub languages: Vec<FoundLanguage>,
}

/// A Dockerfile that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundDockerfile {
    /// Its path, relative to the repository's root.
    pub path: String,
    /// The ports that it exposes.
    pub exposes: Vec<u16>,
    /// Whether it has a `RUN`, so that the built-in packer cannot serve it.
    pub has_run: bool,
}

/// A language that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundLanguage {
    /// The folder of its marker, relative to the repository's root; empty for the root.
    pub folder: String,
    /// The language.
    pub language: Language,
}

/// A language that `init` knows how to prepare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// `Cargo.toml`.
    Rust,
    /// `package.json`.
    Node,
    /// `go.mod`.
    Go,
    /// `pyproject.toml`.
    Python,
}

impl Language {
    /// The language whose marker a file of that name is.
    pub fn of_marker(file_name: &str) -> Option<Self> {
        Some(match file_name {
            "Cargo.toml" => Self::Rust,
            "package.json" => Self::Node,
            "go.mod" => Self::Go,
            "pyproject.toml" => Self::Python,
            _ => return None,
        })
    }

    /// Why, and how, the source becomes files that a Dockerfile without RUN can copy.
    fn prepare(self) -> (String, &'static str) {
        let rust_target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        match self {
            Self::Rust => (
                format!(
                    "RUSTFLAGS='-C target-feature=+crt-static' cargo build --release --target {rust_target}"
                ),
                "Rust: compiled before packing, since the packer only copies. Linked statically, because an empty base \
                 image has no C library; `--target` keeps build scripts and macros out of that. Let the Dockerfile COPY \
                 the program from target/TARGET/release/.",
            ),
            Self::Node => (
                "npm ci --omit=dev".to_owned(),
                "Node: the packages of the lock file, for the Dockerfile to COPY. The base image must bring node.",
            ),
            Self::Go => (
                "CGO_ENABLED=0 go build -trimpath -o app .".to_owned(),
                "Go: compiled before packing, since the packer only copies. Without cgo the program needs no C library, \
                 so it runs on an empty base image. Let the Dockerfile COPY the program `app`.",
            ),
            Self::Python => (
                "python3 -m pip install --target vendor .".to_owned(),
                "Python: the packages go into vendor/, for the Dockerfile to COPY and name in PYTHONPATH. The base image \
                 must bring python3.",
            ),
        }
    }
}

/// A service to write: a Dockerfile with its place, or a folder that still needs one.
struct Plan<'a> {
    name: String,
    folder: String,
    file: String,
    dockerfile: Option<&'a FoundDockerfile>,
    language: Option<Language>,
}

/// An annotated `longshore.toml` for what was found. It always passes [`check`](crate::check).
pub fn init(found: &Found) -> String {
    let mut out = Out(String::new());
    out.note(
        "Longshore's configuration. `longshore check` finds what is wrong with it, `longshore up` starts it.",
    );
    out.note(
        "Keys that are not here have defaults; samplconfig.toml in Longshore's sources shows all of them.",
    );
    let repository = write_repository(&mut out, found);
    let plans = plans(found, &repository, &mut out);
    for plan in &plans {
        write_service(&mut out, plan, &repository, plans.len() > 1);
    }
    out.heading("[[environment]]");
    out.note("Where services run: this machine. Without `services` all of them run there.");
    out.key("name", "local");
    out.0
}

fn write_repository(out: &mut Out, found: &Found) -> String {
    let name = suggest::repository(&found.repository).unwrap_or_else(|| "app".to_owned());
    out.heading("[[repository]]");
    out.note("The host keeps this repository and takes `git push`. With a `url` it would fetch from there instead.");
    if name != found.repository {
        out.note(&format!("{} cannot be a repository's name; this one is near.", quoted(&found.repository)));
    }
    out.key("name", &name);
    let branch = Some(found.branch.as_str()).filter(|branch| rules::branch(branch).is_ok());
    out.note(match branch {
        Some(_) => "The branch whose tip runs: the one that is checked out.",
        None => "The branch whose tip runs: no branch is checked out, so this is the usual one.",
    });
    out.key("branch", branch.unwrap_or("main"));
    name
}

/// The services: one for each Dockerfile; without any, one for each folder with a language; without any, one.
fn plans<'a>(found: &'a Found, repository: &str, out: &mut Out) -> Vec<Plan<'a>> {
    let language = |folder: &str| {
        let here = found.languages.iter().find(|found| rules::inside(&found.folder).as_deref() == Ok(folder));
        here.map(|found| found.language)
    };
    let mut plans = Vec::new();
    let mut names = BTreeSet::new();
    for dockerfile in &found.dockerfiles {
        let Ok(path) = rules::dockerfile(&dockerfile.path) else {
            out.note(&format!(
                "The Dockerfile {} was left out: its path cannot be named.",
                quoted(&dockerfile.path)
            ));
            continue;
        };
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", &path));
        let name = unique(&service_name(folder, file, repository), &mut names);
        let (folder, file) = (folder.to_owned(), file.to_owned());
        plans.push(Plan { name, language: language(&folder), folder, file, dockerfile: Some(dockerfile) });
    }
    if plans.is_empty() {
        let mut folders: Vec<_> =
            found.languages.iter().filter_map(|found| rules::inside(&found.folder).ok()).collect();
        folders.sort();
        folders.dedup();
        folders.extend(folders.is_empty().then(String::new));
        for folder in folders {
            let name = unique(&service_name(&folder, "Dockerfile", repository), &mut names);
            let file = "Dockerfile".to_owned();
            plans.push(Plan { name, language: language(&folder), folder, file, dockerfile: None });
        }
    }
    plans
}

/// `services/api/Dockerfile` is the service `api`; `Dockerfile.worker` and `worker.Dockerfile` are `worker`.
fn service_name(folder: &str, file: &str, repository: &str) -> String {
    let of_file = file.strip_prefix("Dockerfile.").or_else(|| file.strip_suffix(".Dockerfile"));
    let of_folder = folder.rsplit('/').next().filter(|folder| !folder.is_empty());
    let of_repository = repository.rsplit('/').next();
    let mut candidates = [of_file, of_folder, of_repository].into_iter().flatten();
    candidates.find_map(suggest::label).unwrap_or_else(|| "app".to_owned())
}

fn unique(name: &str, taken: &mut BTreeSet<String>) -> String {
    let mut unique = name.to_owned();
    let mut number = 2;
    while !taken.insert(unique.clone()) {
        let stem = name.get(..name.len().min(34)).unwrap_or(name).trim_end_matches('-');
        unique = format!("{stem}-{number}");
        number += 1;
    }
    unique
}

fn write_service(out: &mut Out, plan: &Plan<'_>, repository: &str, several: bool) {
    out.heading("[[service]]");
    out.key("name", &plan.name);
    out.key("repository", repository);
    if !plan.folder.is_empty() {
        out.note("The folder that is built; the Dockerfile sees nothing outside of it.");
        out.key("path", &plan.folder);
    }
    if several && !plan.folder.is_empty() {
        write_watch(out, &plan.folder);
    }
    write_build(out, plan);
    out.heading("[service.run]");
    write_ready(out, plan.dockerfile);
}

fn write_watch(out: &mut Out, folder: &str) {
    let glob = format!("{}/**", watch::escaped(folder));
    if watch::glob(&glob).is_ok() {
        out.note(
            "Several services share this repository: only pushes that touch this folder build this one.",
        );
        out.note("Add the folders of shared code.");
        out.list("watch", &glob);
    }
}

fn write_build(out: &mut Out, plan: &Plan<'_>) {
    match plan.dockerfile {
        None => {
            out.note("No Dockerfile was found: write this one. Without RUN the built-in packer serves it, for example:");
            out.note("  FROM scratch / COPY app /app / ENTRYPOINT [\"/app\"]");
        }
        Some(dockerfile) if dockerfile.has_run => {
            out.note(
                "It has RUN, so building it takes buildah, podman or docker on this machine. It compiles by itself, so \
                 there is no `prepare`. Without RUN the built-in packer would do, and faster.",
            );
        }
        Some(_) => out.note("It has no RUN, so the built-in packer serves it; no container tool is needed."),
    }
    out.key("dockerfile", &plan.file);
    if plan.dockerfile.is_some_and(|dockerfile| dockerfile.has_run) {
        return;
    }
    if let Some(language) = plan.language {
        let (command, why) = language.prepare();
        out.note(why);
        out.key("prepare", &command);
    } else {
        out.note("If files must be made before they are copied, say how:");
        out.note("prepare = \"make\"");
    }
}

fn write_ready(out: &mut Out, dockerfile: Option<&FoundDockerfile>) {
    out.note("The service must listen on the port in $PORT, which it is given at each start.");
    let ports: Vec<_> = dockerfile.iter().flat_map(|found| &found.exposes).map(u16::to_string).collect();
    if !ports.is_empty() {
        out.note(&format!(
            "Its Dockerfile exposes {}; see that the program does not insist on it.",
            ports.join(", ")
        ));
    }
    out.note("It gets traffic as soon as it takes connections. If a path says more, name it:");
    out.note("ready = \"/healthz\"");
}

/// TOML being written.
struct Out(String);

impl Out {
    fn heading(&mut self, heading: &str) {
        _ = writeln!(self.0, "\n{heading}");
    }

    /// A comment, in lines of at most 110 characters where its words allow; texts from outside come in quoted, so that
    /// they stay on the line.
    fn note(&mut self, text: &str) {
        let mut line = String::from("#");
        for word in text.split(' ') {
            if line.len() > 1 && line.len() + 1 + word.len() > 110 {
                _ = writeln!(self.0, "{line}");
                "#".clone_into(&mut line);
            }
            line.push(' ');
            line += word;
        }
        _ = writeln!(self.0, "{line}");
    }

    fn key(&mut self, key: &str, value: &str) {
        _ = writeln!(self.0, "{key} = {}", string(value));
    }

    fn list(&mut self, key: &str, value: &str) {
        _ = writeln!(self.0, "{key} = [{}]", string(value));
    }
}

/// A basic string of TOML.
fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            control if control.is_control() => _ = write!(out, "\\u{:04X}", u32::from(control)),
            plain => out.push(plain),
        }
    }
    out + "\""
}
