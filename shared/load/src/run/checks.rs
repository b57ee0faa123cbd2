//! Groups and checks, counted.

/// A group's path; with a check's name, passes and fails where it stands for one.
pub(crate) type Flat = (String, Option<(String, u64, u64)>);

/// How often a check passed and failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) passes: u64,
    pub(crate) fails: u64,
}

/// A group by its path, `::outer::inner`, with its checks in the order of their first time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Group {
    path: String,
    checks: Vec<Check>,
}

/// All groups and checks of a run, or of one of its loops.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Checks(Vec<Group>);

impl Checks {
    fn group(&mut self, path: &str) -> &mut Group {
        let place = self.0.iter().position(|group| group.path == path).unwrap_or_else(|| {
            self.0.push(Group { path: path.to_owned(), checks: Vec::new() });
            self.0.len() - 1
        });
        &mut self.0[place]
    }

    /// Remembers a group, which may have no checks.
    pub(crate) fn enter(&mut self, path: &str) {
        self.group(path);
    }

    fn check(&mut self, path: &str, name: &str) -> &mut Check {
        let group = self.group(path);
        let place = group.checks.iter().position(|check| check.name == name).unwrap_or_else(|| {
            group.checks.push(Check { name: name.to_owned(), ..Check::default() });
            group.checks.len() - 1
        });
        &mut group.checks[place]
    }

    /// Counts a check.
    pub(crate) fn count(&mut self, path: &str, name: &str, passed: bool) {
        let check = self.check(path, name);
        check.passes += u64::from(passed);
        check.fails += u64::from(!passed);
    }

    /// Counts what another has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        for group in &other.0 {
            self.enter(&group.path);
            for check in &group.checks {
                let ours = self.check(&group.path, &check.name);
                ours.passes += check.passes;
                ours.fails += check.fails;
            }
        }
    }

    /// Each group by its path, and each check with its name, passes and fails.
    pub(crate) fn flat(&self) -> Vec<Flat> {
        let each = |group: &Group| {
            let own = group.checks.iter().map(|check| (check.name.clone(), check.passes, check.fails));
            let own = own.map(|check| (group.path.clone(), Some(check)));
            std::iter::once((group.path.clone(), None)).chain(own).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(each).collect()
    }

    /// From what [`flat`](Self::flat) made.
    pub(crate) fn of(all: &[Flat]) -> Self {
        let mut made = Self::default();
        for (path, check) in all {
            made.enter(path);
            if let Some((name, passes, fails)) = check {
                let check = made.check(path, name);
                (check.passes, check.fails) = (*passes, *fails);
            }
        }
        made
    }

    /// As a tree, the root first.
    pub(crate) fn tree(&self) -> Tree {
        let mut root = Tree::default();
        for group in &self.0 {
            let mut node = &mut root;
            let mut path = String::new();
            for name in group.path.split("::").filter(|name| !name.is_empty()) {
                path = format!("{path}::{name}");
                let place = node.groups.iter().position(|child| child.name == name).unwrap_or_else(|| {
                    node.groups.push(Tree { name: name.to_owned(), path: path.clone(), ..Tree::default() });
                    node.groups.len() - 1
                });
                node = &mut node.groups[place];
            }
            node.checks.clone_from(&group.checks);
        }
        root
    }

    /// Passes and fails of all checks.
    pub(crate) fn total(&self) -> (u64, u64) {
        let all = self.0.iter().flat_map(|group| &group.checks);
        all.fold((0, 0), |(passes, fails), check| (passes + check.passes, fails + check.fails))
    }
}

/// A group with its checks and groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) groups: Vec<Tree>,
    pub(crate) checks: Vec<Check>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_become_a_tree_with_their_checks() {
        let mut checks = Checks::default();
        checks.count("", "root", true);
        checks.enter("::a");
        checks.count("::a::b", "inner", false);
        let mut both = checks.clone();
        both.merge(&checks);
        let tree = both.tree();
        assert_eq!(tree.checks[0].passes, 2);
        assert_eq!(tree.groups[0].groups[0].path, "::a::b");
        assert_eq!(tree.groups[0].groups[0].checks[0].fails, 2);
        assert_eq!(both.total(), (2, 2));
    }
}
