//! The Kubernetes manifests of a service: where they come from, and what renders them.

use longshore_events::ServiceName;

use crate::fault::{Code, Wrong};
use crate::read::Keys;
use crate::rules;

/// The longest text of rendered manifests, in bytes: what one object of Kubernetes may have, a few times over.
pub const MAX_MANIFESTS: usize = 4 << 20;

/// Each document of plain files begins with a line `---`, the files in the order of their names. A link is not followed.
const JOIN: &str = "ls -d -- \"$@\" >/dev/null && \
    find \"$@\" -type f \\( -name '*.yaml' -o -name '*.yml' -o -name '*.json' \\) -print0 | LC_ALL=C sort -z | \
    xargs -0 -r -n 1 sh -c 'echo --- && cat -- \"$1\" && echo' sh";

/// How the Kubernetes manifests of a service come to be. Paths are relative to the repository's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manifests {
    /// A chart of Helm.
    Helm {
        /// Its folder.
        chart: String,
        /// Files of values; the last one counts most.
        values: Vec<String>,
    },
    /// A kustomization.
    Kustomize {
        /// Its folder.
        folder: String,
    },
    /// Files, and folders of files, as they are.
    Files {
        /// Their paths.
        paths: Vec<String>,
    },
}

impl Manifests {
    /// The command that writes them to its output, run in the repository's root. It needs no cluster.
    pub fn command(&self, service: &ServiceName) -> Vec<String> {
        // So that no path can be taken for an option, or for the name of a chart elsewhere.
        let here = |path: &String| format!("./{path}");
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        match self {
            Self::Helm { chart, values } => {
                let mut command = words(&["helm", "template", service.as_str()]);
                command.push(here(chart));
                command.extend(words(&["--include-crds", "--skip-tests"]));
                command.extend(values.iter().flat_map(|file| ["--values".to_owned(), here(file)]));
                command
            }
            Self::Kustomize { folder } => [words(&["kustomize", "build"]), vec![here(folder)]].concat(),
            Self::Files { paths } => {
                [words(&["sh", "-c", JOIN, "sh"]), paths.iter().map(here).collect()].concat()
            }
        }
    }

    /// What is read, as far as the configuration names it.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let (one, more) = match self {
            Self::Helm { chart, values } => (Some(chart), values.as_slice()),
            Self::Kustomize { folder } => (Some(folder), &[][..]),
            Self::Files { paths } => (None, paths.as_slice()),
        };
        one.into_iter().chain(more).map(String::as_str)
    }

    /// Globs for all that is read: a push that touches it builds the service.
    pub(crate) fn globs(&self) -> impl Iterator<Item = String> {
        self.paths().flat_map(|path| {
            let path = crate::watch::escaped(path);
            let within = if path.is_empty() { "**".to_owned() } else { format!("{path}/**") };
            [path, within]
        })
    }
}

/// The table `[service.manifests]`; `None` when it has a fault, which was noted.
pub(crate) fn read(keys: &Keys<'_>) -> Option<Manifests> {
    let (helm, kustomize) = (keys.parsed("helm", rules::inside), keys.parsed("kustomize", rules::inside));
    let (values, files) = (keys.each("values", rules::inside), keys.each("files", rules::inside));
    let named: Vec<&str> = ["helm", "kustomize", "files"].into_iter().filter(|name| keys.has(name)).collect();
    let fault = |key: &str, message: &str| keys.note(key, Wrong::new(Code::Manifests, message));
    match named.as_slice() {
        [] => fault("helm", "the manifests come from nowhere: write one of `helm`, `kustomize` and `files`"),
        [_, second, ..] => {
            fault(second, "the manifests come from two places: write one of `helm`, `kustomize` and `files`");
        }
        [one] if *one != "helm" && keys.has("values") => {
            fault("values", "`values` are of a chart: write `helm`, or take them out");
        }
        ["files"] if keys.lists_nothing("files") => {
            fault("files", "`files` is empty: name a file or a folder");
        }
        ["helm"] => return Some(Manifests::Helm { chart: helm?, values: values? }),
        ["kustomize"] => return Some(Manifests::Kustomize { folder: kustomize? }),
        _ => return Some(Manifests::Files { paths: files? }),
    }
    None
}
