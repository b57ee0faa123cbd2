//! What is known of builds: a file for each key, written before anything of it happens.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use longshore_events::ServiceName;
use longshore_ports::{BlobRef, BuildOrder, BuildStatus, Key};
use serde::{Deserialize, Serialize};

use crate::write;

/// A build.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    /// Its key.
    key: String,
    /// Grows with each build.
    number: u64,
    /// What is built.
    pub(super) order: BuildOrder,
    /// The life of the host that began it.
    life: String,
    /// How it ended.
    ended: Option<BuildStatus>,
}

/// Whether a build was begun.
pub(super) enum Begun {
    Now,
    Already,
    Other,
}

/// All builds.
pub(super) struct Records {
    folder: PathBuf,
    life: String,
    known: Mutex<HashMap<String, Record>>,
}

impl Records {
    pub(super) fn open(folder: &Path, life: String) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut known = HashMap::new();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                // A record that cannot be read is one that was never begun.
                if let Ok(record) = serde_json::from_slice::<Record>(&std::fs::read(&path)?) {
                    known.insert(record.key.clone(), record);
                }
            }
        }
        Ok(Self { folder: folder.to_owned(), life, known: Mutex::new(known) })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Record>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: &Key) -> Option<Record> {
        self.lock().get(&key.to_string()).cloned()
    }

    pub(super) fn newest(&self, service: &ServiceName, commit: Option<&str>) -> Option<Record> {
        let known = self.lock();
        let named =
            |record: &&Record| commit.is_none_or(|commit| record.order.commit.as_str().starts_with(commit));
        let of = known.values().filter(|record| record.order.service == *service).filter(named);
        of.max_by_key(|record| record.number).cloned()
    }

    /// How a build stands; one that an earlier life of the host left running was cut off.
    pub(super) fn status(&self, record: &Record) -> Option<BuildStatus> {
        match &record.ended {
            Some(ended) => Some(ended.clone()),
            None => (record.life == self.life).then_some(BuildStatus::Running),
        }
    }

    pub(super) fn begin(&self, key: &Key, order: &BuildOrder) -> io::Result<Begun> {
        let mut known = self.lock();
        let text = key.to_string();
        if let Some(record) = known.get(&text) {
            if record.order != *order {
                return Ok(Begun::Other);
            }
            if self.status(record).is_some() {
                return Ok(Begun::Already);
            }
        }
        let number = known.values().map(|record| record.number).max().unwrap_or(0) + 1;
        let record =
            Record { key: text.clone(), number, order: order.clone(), life: self.life.clone(), ended: None };
        self.write(&record)?;
        known.insert(text, record);
        Ok(Begun::Now)
    }

    /// Records how a build ended. For this life of the host it has ended also when that cannot be written.
    pub(super) fn end(&self, key: &Key, status: BuildStatus) -> io::Result<()> {
        let mut known = self.lock();
        let Some(record) = known.get_mut(&key.to_string()) else { return Ok(()) };
        record.ended = Some(status);
        self.write(record)
    }

    /// A build whose task is gone does not run any more: if it has not ended, it must be begun again.
    pub(super) fn cut_off(&self, key: &Key) {
        if let Some(record) = self.lock().get_mut(&key.to_string()) {
            record.life.clear();
        }
    }

    fn write(&self, record: &Record) -> io::Result<()> {
        let name = BlobRef::of(record.key.as_bytes()).0;
        let text = serde_json::to_vec(record).map_err(io::Error::other)?;
        write::write_whole(&self.folder.join(format!("{}.json", &name.hex()[..32])), &text, 0o644)
    }
}
