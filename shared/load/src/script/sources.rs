//! The files of a script, read once for all VUs, and the modules that come with the engine.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::raw::Bytecode;

/// The engine's own modules.
const BUILTIN: [(&str, &str); 8] = [
    ("k6", include_str!("modules/k6.js")),
    ("k6/http", include_str!("modules/http.js")),
    ("k6/metrics", include_str!("modules/metrics.js")),
    ("k6/execution", include_str!("modules/execution.js")),
    ("k6/data", include_str!("modules/data.js")),
    ("k6/crypto", include_str!("modules/crypto.js")),
    ("k6/encoding", include_str!("modules/encoding.js")),
    ("k6/timers", include_str!("modules/timers.js")),
];

/// Modules of k6 that are not here, and what to do instead.
const REFUSED: [(&str, &str); 8] = [
    ("k6/net/grpc", "gRPC is not supported: run this script with k6"),
    ("k6/browser", "there is no browser: test pages with k6, and their requests here"),
    ("k6/experimental/browser", "there is no browser: test pages with k6, and their requests here"),
    ("k6/ws", "WebSockets are not supported: run this script with k6"),
    ("k6/websockets", "WebSockets are not supported: run this script with k6"),
    ("k6/experimental/websockets", "WebSockets are not supported: run this script with k6"),
    ("k6/html", "HTML is not parsed: use regular expressions on the body"),
    ("k6/x/", "extensions of k6 are not supported: run this script with the k6 that has them"),
];

/// What a script consists of.
#[derive(Debug)]
pub(crate) struct Sources {
    /// The script itself, absolute.
    pub(crate) main: PathBuf,
    modules: Mutex<HashMap<String, Bytecode>>,
    files: Mutex<HashMap<PathBuf, Arc<[u8]>>>,
    arrays: Mutex<Vec<(String, Arc<[String]>)>>,
}

impl Sources {
    pub(crate) fn new(main: PathBuf) -> Self {
        Self { main, modules: Mutex::default(), files: Mutex::default(), arrays: Mutex::default() }
    }

    /// What `import` of `name` in the module `base` means.
    ///
    /// # Errors
    /// It cannot be imported; the message says what to do.
    pub(crate) fn resolve(base: &str, name: &str) -> Result<String, String> {
        if BUILTIN.iter().any(|(known, _)| *known == name) {
            return Ok(name.to_owned());
        }
        if name.starts_with("http://") || name.starts_with("https://") {
            return Err(format!(
                "{name}: remote modules are not fetched: save it beside the script, and import that file"
            ));
        }
        if let Some((_, instead)) = REFUSED
            .iter()
            .find(|(known, _)| *known == name || known.ends_with('/') && name.starts_with(known))
        {
            return Err(format!("{name}: {instead}"));
        }
        if name == "k6" || name.starts_with("k6/") {
            return Err(format!("{name}: there is no such module"));
        }
        let path = name.strip_prefix("file://").unwrap_or(name);
        let is_file = path.starts_with('.') || path.starts_with('/');
        if !is_file {
            return Err(format!("{name}: only files can be imported: begin with ./ or ../"));
        }
        let folder =
            Path::new(base.strip_prefix("file://").unwrap_or(base)).parent().unwrap_or(Path::new("/"));
        Ok(format!("file://{}", tidy(&folder.join(path)).display()))
    }

    /// The text of a module.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn text(&self, name: &str) -> Result<String, String> {
        if let Some((_, text)) = BUILTIN.iter().find(|(known, _)| *known == name) {
            return Ok((*text).to_owned());
        }
        let path = Path::new(name.strip_prefix("file://").unwrap_or(name));
        if path.extension().is_some_and(|extension| extension == "ts") {
            return Err(format!(
                "{}: TypeScript is not supported: compile it to JavaScript first",
                path.display()
            ));
        }
        let bytes = self.file(path)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| format!("{}: is not UTF-8", path.display()))
    }

    /// The bytes of a file, read once.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn file(&self, path: &Path) -> Result<Arc<[u8]>, String> {
        let mut all = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(path) {
            return Ok(Arc::clone(known));
        }
        let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let bytes: Arc<[u8]> = bytes.into();
        all.insert(path.to_owned(), Arc::clone(&bytes));
        Ok(bytes)
    }

    /// Where `open()` looks: beside the script.
    pub(crate) fn beside(&self, path: &str) -> PathBuf {
        let path = path.strip_prefix("file://").unwrap_or(path);
        tidy(&self.main.parent().unwrap_or(Path::new("/")).join(path))
    }

    /// A module that was compiled before.
    pub(crate) fn compiled(&self, name: &str) -> Option<Bytecode> {
        self.modules.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Keeps a compiled module for the other VUs.
    pub(crate) fn keep(&self, name: &str, code: Bytecode) {
        self.modules.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), code);
    }

    /// The place of a shared array, if it was made.
    pub(crate) fn array(&self, name: &str) -> Option<usize> {
        self.arrays.lock().unwrap_or_else(PoisonError::into_inner).iter().position(|(known, _)| known == name)
    }

    /// Keeps a shared array; the first of a name stays.
    pub(crate) fn keep_array(&self, name: &str, elements: Vec<String>) -> usize {
        let mut all = self.arrays.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.iter().position(|(known, _)| known == name) {
            return known;
        }
        all.push((name.to_owned(), elements.into()));
        all.len() - 1
    }

    /// The elements of a shared array, as JSON.
    pub(crate) fn elements(&self, place: usize) -> Option<Arc<[String]>> {
        let all = self.arrays.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(place).map(|(_, elements)| Arc::clone(elements))
    }
}

/// Without `.` and `..`, which say nothing in an absolute path without links.
fn tidy(path: &Path) -> PathBuf {
    let mut made = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => drop(made.pop()),
            other => made.push(other),
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_files_or_modules_of_k6() {
        let resolve = |name| Sources::resolve("file:///a/b/main.js", name);
        assert_eq!(resolve("./x/../lib.js").unwrap(), "file:///a/b/lib.js");
        assert_eq!(resolve("../lib.js").unwrap(), "file:///a/lib.js");
        assert_eq!(resolve("k6/http").unwrap(), "k6/http");
        for (name, said) in [
            ("https://jslib.k6.io/k6-utils/1.4.0/index.js", "save it beside the script"),
            ("k6/net/grpc", "run this script with k6"),
            ("k6/x/sql", "extensions of k6"),
            ("k6/nothing", "no such module"),
            ("lodash", "begin with ./"),
        ] {
            assert!(resolve(name).unwrap_err().contains(said), "{name}");
        }
    }
}
