//! Where the programs are that `cargo xtask peers` brings.

use std::path::{Path, PathBuf};

/// The folder in which all that changes is kept; of the cluster's own mount namespace, and in memory.
pub(super) const STATE: &str = "/run/longshore";

/// All that a cluster is made of.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    /// Kubernetes, etcd and kwok.
    pub(super) kube: PathBuf,
    /// The first process of the namespaces and of each pod, and what tests deploy.
    pub(super) service: PathBuf,
    /// Above `bin`, `sbin` and `lib`, where containerd and what it needs are.
    node: PathBuf,
}

impl Programs {
    /// Finds them, or says how they are brought.
    pub(super) fn find() -> Self {
        let containerd = on_path("containerd");
        let node = containerd.ancestors().nth(2).unwrap().to_owned();
        Self { kube: on_path("kube"), service: on_path("test-service"), node }
    }

    /// Where CNI's plug-ins are.
    pub(super) fn cni(&self) -> PathBuf {
        self.node.join("lib/cni")
    }

    /// What all of the cluster's processes get, and no more: whatever else is set is meant for others.
    pub(super) fn environment(&self) -> [(&'static str, String); 4] {
        let [bin, sbin] = ["bin", "sbin"].map(|folder| self.node.join(folder).display().to_string());
        let home = STATE.to_owned();
        [
            ("PATH", format!("{bin}:{sbin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")),
            ("LD_LIBRARY_PATH", self.libraries()),
            ("TMPDIR", home.clone()),
            ("HOME", home),
        ]
    }

    /// The libraries that were unpacked beside the programs; none where these are the system's own.
    fn libraries(&self) -> String {
        if self.node == Path::new("/usr") {
            return String::new();
        }
        let folders = [self.node.join("lib"), self.node.with_file_name("lib")];
        let read = folders.iter().filter_map(|folder| folder.read_dir().ok()).flatten();
        let found = read.filter_map(|entry| Some(entry.ok()?.path()));
        let found = found.filter(|path| path.to_string_lossy().ends_with("-linux-gnu"));
        found.map(|path| path.display().to_string()).collect::<Vec<_>>().join(":")
    }
}

#[expect(clippy::disallowed_methods, reason = "a program is found as the shell finds it")]
pub(super) fn on_path(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file());
    let found = found.unwrap_or_else(|| {
        panic!("{program} is not there: run `cargo xtask peers`, and the tests by `cargo xtask test`")
    });
    found.canonicalize().unwrap()
}
