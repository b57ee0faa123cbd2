//! What a `COPY` takes from the context.

use std::path::{Component, Path, PathBuf};

use super::{ignore::Ignore, ignore::glob};
use crate::layer::{Found, Node, Root};

/// The context without what is ignored.
pub(super) struct Context<'a> {
    pub(super) root: &'a Root,
    pub(super) ignore: Ignore,
}

/// One thing that a source names.
pub(super) struct Source {
    /// Its own name, for a copy into a folder.
    pub(super) name: PathBuf,
    /// A single file, or what a folder holds.
    pub(super) what: What,
}

pub(super) enum What {
    File(Node),
    /// Paths within the folder, and the nodes there.
    Folder(Vec<(PathBuf, Node)>),
}

impl Context<'_> {
    /// What `pattern` names: one thing, or several for a pattern with `*`, `?` or `[`.
    pub(super) fn sources(&self, pattern: &str) -> Result<Vec<Source>, String> {
        let path = inside(pattern)?;
        let text = path.to_string_lossy();
        let paths = if text.contains(['*', '?', '[']) { self.matching(&text)? } else { vec![path] };
        let found: Vec<Source> = paths
            .iter()
            .map(|path| self.source(path))
            .filter_map(Result::transpose)
            .collect::<Result<_, _>>()?;
        if found.is_empty() {
            let hint = "check the path, and .dockerignore";
            return Err(format!("{pattern:?} names nothing in the build context: {hint}"));
        }
        Ok(found)
    }

    fn matching(&self, pattern: &str) -> Result<Vec<PathBuf>, String> {
        let matcher = glob(pattern)?.compile_matcher();
        let nodes = self.walk(Path::new(""))?;
        Ok(nodes.into_iter().map(|node| node.path).filter(|path| matcher.is_match(path)).collect())
    }

    fn source(&self, path: &Path) -> Result<Option<Source>, String> {
        let excluded = !path.as_os_str().is_empty() && self.ignore.excludes(path);
        if excluded && !self.ignore.may_take_back() {
            return Ok(None);
        }
        let Some(node) = self.root.find(path).map_err(|error| error.to_string())? else { return Ok(None) };
        let name = path.file_name().map(PathBuf::from).unwrap_or_default();
        if node.found != Found::Folder {
            return Ok((!excluded).then_some(Source { name, what: What::File(node) }));
        }
        let below = |node: Node| Some((node.path.strip_prefix(path).ok()?.to_path_buf(), node));
        let nodes: Vec<_> = self.walk(path)?.into_iter().filter_map(below).collect();
        Ok((!excluded || !nodes.is_empty()).then_some(Source { name, what: What::Folder(nodes) }))
    }

    /// All below `path` that is not ignored.
    fn walk(&self, path: &Path) -> Result<Vec<Node>, String> {
        let take_back = self.ignore.may_take_back();
        let mut enter =
            |path: &Path, is_folder: bool| !self.ignore.excludes(path) || (is_folder && take_back);
        let mut nodes = self.root.walk(path, &mut enter).map_err(|error| error.to_string())?;
        // An excluded folder was entered for what `!` takes back below it; the folder alone does not count.
        nodes.retain(|node| !self.ignore.excludes(&node.path));
        Ok(nodes)
    }
}

/// A source's path, relative to the context; a `..` that leaves it is refused.
fn inside(source: &str) -> Result<PathBuf, String> {
    let mut path = PathBuf::new();
    for part in Path::new(source).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::ParentDir if !path.pop() => {
                return Err(format!(
                    "{source:?} leaves the build context: copy it in by the service's `prepare`"
                ));
            }
            _ => {}
        }
    }
    Ok(path)
}
