//! What must outlive the runner: what shall run, and which processes do.
//!
//! One file for each workload and one for each release that has a process. Each is replaced as a whole (written aside,
//! synced, renamed, folder synced), so that a crash leaves the old one or the new one.

mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use longshore_ports::{Desired, DesiredRelease, Workload};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub(crate) use self::record::Record;
use self::record::Written;
use crate::error::{RunnerError, file};

/// How many releases of a workload are remembered after they ended.
const REMEMBERED: usize = 200;

/// What is durable of a workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stored {
    /// The last order.
    pub(crate) desired: Desired,
    /// The traffic's shares now: those of `desired` once a receiver was ready, and those before until then.
    #[serde(default)]
    pub(crate) shares: BTreeMap<u64, u8>,
    /// Releases that ever had a share: they may stand in while no receiver is ready.
    pub(crate) trusted: BTreeSet<u64>,
    /// How often each ended release was started: its number is never started as if for the first time again.
    pub(crate) past: BTreeMap<u64, u32>,
}

impl Stored {
    /// A workload with its first order.
    pub(crate) fn new(desired: Desired) -> Self {
        Self { desired, shares: BTreeMap::new(), trusted: BTreeSet::new(), past: BTreeMap::new() }
    }

    /// The release as ordered, if it is.
    pub(crate) fn named(&self, release: u64) -> Option<&DesiredRelease> {
        self.desired.releases.iter().find(|named| named.release == release)
    }

    /// Its share of the traffic now, in percent.
    pub(crate) fn share(&self, release: u64) -> u8 {
        self.shares.get(&release).copied().unwrap_or(0)
    }

    /// Moves the traffic to where it was ordered, once a receiver is ready or when there is none. Says whether that
    /// is a change.
    pub(crate) fn move_traffic(&mut self, is_ready: impl Fn(u64) -> bool) -> bool {
        let ordered = self.desired.releases.iter().map(|release| (release.release, release.weight));
        let ordered: BTreeMap<u64, u8> = ordered.filter(|(_, weight)| *weight > 0).collect();
        let may_move = ordered.is_empty() || ordered.keys().any(|release| is_ready(*release));
        if !may_move || ordered == self.shares {
            return false;
        }
        self.trusted.extend(ordered.keys());
        self.shares = ordered;
        true
    }

    /// Whether a release has to go: no order names it, and its successor has the traffic.
    pub(crate) fn is_over(&self, release: u64) -> bool {
        self.named(release).is_none() && self.share(release) == 0
    }

    /// Remembers that `release` ended after `starts` starts.
    pub(crate) fn ended(&mut self, release: u64, starts: u32) {
        self.past.insert(release, starts);
        self.trusted.remove(&release);
        while self.past.len() > REMEMBERED {
            self.past.pop_first();
        }
    }
}

/// The folder of these files.
#[derive(Debug, Clone)]
pub(crate) struct State {
    root: PathBuf,
}

impl State {
    /// The state below `data`.
    pub(crate) fn new(data: &Path) -> Self {
        Self { root: data.join("state") }
    }

    fn folder(&self, workload: &Workload) -> PathBuf {
        self.root.join(workload.environment.as_str()).join(workload.service.as_str())
    }

    fn record(&self, workload: &Workload, release: u64) -> PathBuf {
        self.folder(workload).join(format!("release-{release}.json"))
    }

    /// Makes a workload's state durable.
    pub(crate) fn save(&self, stored: &Stored) -> Result<(), RunnerError> {
        write(&self.folder(&stored.desired.workload).join("workload.json"), stored)
    }

    /// Makes a release's record durable.
    pub(crate) fn save_record(&self, workload: &Workload, record: &Record) -> Result<(), RunnerError> {
        write(&self.record(workload, record.wanted.release), record)
    }

    /// The record of a release, if it has one.
    pub(crate) fn load_record(
        &self,
        workload: &Workload,
        release: u64,
    ) -> Result<Option<Record>, RunnerError> {
        read(&self.record(workload, release))
    }

    /// Forgets a release that ended.
    pub(crate) fn forget(&self, workload: &Workload, release: u64) -> Result<(), RunnerError> {
        let path = self.record(workload, release);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file("remove", &path)(error)),
            _ => Ok(()),
        }
    }

    /// Every workload with the records of its releases.
    pub(crate) fn load(&self) -> Result<Vec<(Stored, Vec<Record>)>, RunnerError> {
        let mut all = self.load_all()?;
        let (path, boot) = (self.root.with_file_name("boot.json"), boot());
        let before: Option<String> = read(&path)?;
        if before.as_ref().is_some_and(|before| *before != boot) {
            // A pid and a start time of another boot may be anybody's now.
            for (stored, records) in &mut all {
                for record in records.iter_mut().filter(|record| record.process.is_some()) {
                    record.process = None;
                    self.save_record(&stored.desired.workload, record)?;
                }
            }
        }
        if before.as_ref() != Some(&boot) {
            write(&path, &boot)?;
        }
        Ok(all)
    }

    fn load_all(&self) -> Result<Vec<(Stored, Vec<Record>)>, RunnerError> {
        let mut all = Vec::new();
        for environment in children(&self.root)? {
            for service in children(&environment)? {
                if let Some(stored) = read(&service.join("workload.json"))? {
                    let records = records(&service, &stored)?;
                    all.push((stored, records));
                }
            }
        }
        Ok(all)
    }
}

/// The kernel's name for the time since the machine was started.
fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

fn records(folder: &Path, stored: &Stored) -> Result<Vec<Record>, RunnerError> {
    let mut records = Vec::new();
    for path in children(folder)? {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("release-") && path.extension().is_some_and(|extension| extension == "json") {
            records.extend(read::<Written>(&path)?.and_then(|written| written.record(stored)));
        }
    }
    Ok(records)
}

/// The entries of a folder, none if it does not exist.
pub(crate) fn children(folder: &Path) -> Result<Vec<PathBuf>, RunnerError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(file("read", folder))?,
    };
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(file("read", folder))).collect()
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, RunnerError> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(file("read", path))?,
    };
    let damaged =
        |error: serde_json::Error| RunnerError::Damaged { path: path.into(), reason: error.to_string() };
    serde_json::from_slice(&bytes).map(Some).map_err(damaged)
}

fn write(path: &Path, value: &impl Serialize) -> Result<(), RunnerError> {
    replace(path, value).map_err(file("write", path))
}

fn replace(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    if !folder.exists() {
        fs::create_dir_all(folder)?;
        sync_up(folder, 3)?;
    }
    let aside = path.with_extension("tmp");
    let mut file = File::create(&aside)?;
    file.write_all(&serde_json::to_vec(value)?)?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    File::open(folder)?.sync_all()
}

/// Syncs the folders above a new folder, so that the folder itself is durable.
fn sync_up(folder: &Path, levels: usize) -> io::Result<()> {
    folder.ancestors().skip(1).take(levels).try_for_each(|parent| File::open(parent)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Incarnation;
    use crate::testing::{desired, release};

    #[test]
    fn what_was_saved_is_loaded() {
        let data = tempfile::tempdir().unwrap();
        let state = State::new(data.path());
        let stored = Stored::new(desired(3, 1, vec![release(3, 'a', 100)]));
        let record = Record {
            wanted: stored.desired.releases[0].clone(),
            starts: 1,
            process: Some(Incarnation { pid: 7, started: 8 }),
            port: 9,
            ready: true,
            boot_ms: Some(10),
        };
        state.save(&stored).unwrap();
        state.save_record(&stored.desired.workload, &record).unwrap();
        assert_eq!(state.load().unwrap(), [(stored.clone(), vec![record])]);
        state.forget(&stored.desired.workload, 3).unwrap();
        state.forget(&stored.desired.workload, 3).unwrap();
        assert_eq!(state.load().unwrap(), [(stored, vec![])]);
    }

    #[test]
    fn the_traffic_moves_when_a_receiver_is_ready_and_the_old_release_stays_until_then() {
        let mut stored = Stored::new(desired(1, 0, vec![release(1, 'a', 100)]));
        assert!(!stored.move_traffic(|_| false));
        assert_eq!(stored.share(1), 0);
        assert!(stored.move_traffic(|_| true));
        stored.desired = desired(2, 0, vec![release(2, 'b', 100)]);
        assert!(!stored.move_traffic(|release| release == 1));
        assert_eq!((stored.share(1), stored.is_over(1)), (100, false));
        assert!(stored.move_traffic(|release| release == 2));
        assert_eq!((stored.share(2), stored.is_over(1)), (100, true));
        assert_eq!(stored.trusted, BTreeSet::from([1, 2]));
    }

    #[test]
    fn when_nothing_shall_run_everything_is_over_at_once() {
        let mut stored = Stored::new(desired(1, 0, vec![release(1, 'a', 100)]));
        stored.move_traffic(|_| true);
        stored.desired = desired(2, 0, vec![]);
        assert!(stored.move_traffic(|_| false) && stored.is_over(1));
    }

    #[test]
    fn processes_of_another_boot_are_forgotten() {
        let data = tempfile::tempdir().unwrap();
        let state = State::new(data.path());
        let stored = Stored::new(desired(3, 1, vec![release(3, 'a', 100)]));
        let process = Some(Incarnation { pid: 7, started: 8 });
        let new = Record::new(&stored.desired.releases[0], None);
        let record = Record { starts: 1, process, port: 9, ready: true, ..new };
        state.save(&stored).unwrap();
        state.save_record(&stored.desired.workload, &record).unwrap();
        assert_eq!(state.load().unwrap()[0].1, std::slice::from_ref(&record));
        fs::write(data.path().join("boot.json"), "\"an earlier one\"").unwrap();
        let forgotten = Record { process: None, ..record };
        for _ in 0..2 {
            assert_eq!(state.load().unwrap()[0].1, std::slice::from_ref(&forgotten));
        }
    }

    #[test]
    fn a_damaged_file_is_named() {
        let data = tempfile::tempdir().unwrap();
        let state = State::new(data.path());
        let stored = Stored::new(desired(1, 0, vec![]));
        state.save(&stored).unwrap();
        let path = state.folder(&stored.desired.workload).join("workload.json");
        fs::write(&path, "{").unwrap();
        let error = state.load().unwrap_err().to_string();
        assert!(error.contains("workload.json is damaged"), "{error}");
    }
}
