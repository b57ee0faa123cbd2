//! A repository on disk, as far as the forges' answers need it.

use std::path::PathBuf;
use std::process::Command;

/// A repository on disk.
pub(super) struct OnDisk(pub(super) PathBuf);

/// A file that differs between two trees.
pub(super) struct Differs {
    /// `A`, `M`, `D`, `R100` …, as git writes it.
    pub(super) status: String,
    pub(super) old: String,
    pub(super) new: String,
}

/// An entry of a tree.
pub(super) struct Entry {
    pub(super) mode: String,
    /// `blob`, `tree` or `commit`.
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) path: String,
}

/// A branch or a tag.
pub(super) struct Named {
    pub(super) name: String,
    /// The commit, behind the tag object where there is one.
    pub(super) commit: String,
    /// The tag object.
    pub(super) tag: Option<String>,
}

impl OnDisk {
    /// What git says; `None` when it fails.
    pub(super) fn git(&self, args: &[&str]) -> Option<String> {
        let done = Command::new("git").arg("-C").arg(&self.0).args(args).output().ok()?;
        done.status.success().then(|| String::from_utf8_lossy(&done.stdout).trim_end().to_owned())
    }

    pub(super) fn has(&self, commit: &str) -> bool {
        self.git(&["cat-file", "-e", &format!("{commit}^{{commit}}")]).is_some()
    }

    pub(super) fn merge_base(&self, a: &str, b: &str) -> Option<String> {
        self.git(&["merge-base", a, b])
    }

    pub(super) fn count(&self, range: &str) -> u64 {
        self.git(&["rev-list", "--count", range]).and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    /// Branches (`heads`) or `tags`.
    pub(super) fn refs(&self, kind: &str) -> Vec<Named> {
        let format = "--format=%(refname:lstrip=2) %(objectname) %(*objectname)";
        let listed = self.git(&["for-each-ref", format, &format!("refs/{kind}")]).unwrap_or_default();
        let named = |line: &str| {
            let mut words = line.split(' ').map(str::to_owned);
            let (name, object) = (words.next()?, words.next()?);
            Some(match words.next().filter(|peeled| !peeled.is_empty()) {
                Some(commit) => Named { name, commit, tag: Some(object) },
                None => Named { name, commit: object, tag: None },
            })
        };
        listed.lines().filter_map(named).collect()
    }

    /// Everything in the tree of a commit, folders too; `None` when there is no such commit.
    pub(super) fn tree(&self, commit: &str) -> Option<Vec<Entry>> {
        let listed = self.git(&["ls-tree", "-r", "-t", "-z", commit])?;
        let entry = |line: &str| {
            let (words, path) = line.split_once('\t')?;
            let mut words = words.split(' ').map(str::to_owned);
            let (mode, kind, id) = (words.next()?, words.next()?, words.next()?);
            Some(Entry { mode, kind, id, path: path.to_owned() })
        };
        Some(listed.split('\0').filter_map(entry).collect())
    }

    /// How two trees differ, renames found.
    pub(super) fn differs(&self, a: &str, b: &str) -> Vec<Differs> {
        let raw = self.git(&["diff", "--name-status", "-z", "-M", a, b]).unwrap_or_default();
        let mut words = raw.split('\0').map(str::to_owned);
        let mut all = Vec::new();
        while let (Some(status), Some(old)) = (words.next(), words.next()) {
            let new = if status.starts_with(['R', 'C']) { words.next() } else { None };
            all.push(Differs { status, new: new.unwrap_or_else(|| old.clone()), old });
        }
        all
    }
}
