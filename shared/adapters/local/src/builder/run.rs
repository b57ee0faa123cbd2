//! One build, from checkout to image.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use longshore_events::types::BuildTimes;
use longshore_ports::{BuildOrder, Built};

use super::group::{self, Ended};
use super::{Inner, PackJob};

/// A build under way.
pub(super) struct Run<'a> {
    inner: &'a Inner,
    order: &'a BuildOrder,
    log: PathBuf,
    begun: Instant,
    /// How long its parts took so far.
    pub(super) times: BuildTimes,
}

impl<'a> Run<'a> {
    pub(super) fn new(inner: &'a Inner, order: &'a BuildOrder, log: PathBuf) -> Self {
        Self { inner, order, log, begun: Instant::now(), times: BuildTimes::default() }
    }

    /// The whole build; an error is the reason for people.
    pub(super) async fn all(&mut self) -> Result<Built, String> {
        let (service, source) = self.inner.source(self.order).map_err(|error| error.to_string())?;
        let (service, source) = (service.clone(), source.clone());
        let folder = self.inner.folder.join("work").join(service.name.as_str());
        self.begin_log().map_err(|error| format!("cannot write the log: {error}"))?;
        let checkout = folder.join("src");
        let begun = Instant::now();
        let epoch = self.inner.checkout.checkout(&self.order.repo, &self.order.commit, &checkout).await;
        let epoch = epoch.map_err(|error| error.to_string())?;
        self.times.git_ms = ms(begun);
        let context = checkout.join(&source.path);
        if !context.is_dir() {
            return Err(format!(
                "the commit has no folder {:?}, which `path` of {} names",
                source.path, service.name
            ));
        }
        let limit = Duration::from_millis(source.timeout_ms);
        let environment = self.environment(epoch);
        if let Some(command) = &source.prepare {
            let begun = Instant::now();
            let ended = self.command("prepare", command, &context, &environment, limit).await;
            self.times.prepare_ms = ms(begun);
            ended?;
        }
        if let Some(command) = &source.test {
            let begun = Instant::now();
            let ended = self.command("test", command, &context, &environment, limit).await;
            self.times.test_ms = ms(begun);
            ended?;
        }
        let work = folder.join("pack");
        let _ = tokio::fs::remove_dir_all(&work).await;
        tokio::fs::create_dir_all(&work)
            .await
            .map_err(|error| format!("cannot make {}: {error}", work.display()))?;
        let job = PackJob {
            tag: self.order.commit.to_string(),
            context,
            dockerfile: source.dockerfile.clone(),
            args: source.args.clone(),
            epoch,
            work,
            service,
        };
        let packed = self.inner.pack.pack(&job).await;
        let packed = packed.map_err(|error| self.note(&error.to_string()))?;
        (self.times.pack_ms, self.times.push_ms) = (packed.pack_ms, packed.push_ms);
        self.note(&format!("pushed {}@{}", job.service.image, packed.digest));
        Ok(Built {
            image: job.service.image,
            tag: job.tag,
            digest: packed.digest,
            media_type: packed.media_type,
            platforms: packed.platforms,
            logs_ref: None,
            times: self.times,
        })
    }

    fn environment(&self, epoch: u64) -> BTreeMap<String, String> {
        let mut environment = self.inner.environment.clone();
        environment.extend([
            ("LONGSHORE_SERVICE".into(), self.order.service.to_string()),
            ("LONGSHORE_COMMIT".into(), self.order.commit.to_string()),
            ("SOURCE_DATE_EPOCH".into(), epoch.to_string()),
        ]);
        environment
    }

    async fn command(
        &self,
        name: &str,
        command: &[String],
        folder: &Path,
        environment: &BTreeMap<String, String>,
        limit: Duration,
    ) -> Result<(), String> {
        self.note(&format!("{name}: {}", command.join(" ")));
        let log = self.open_log().map_err(|error| format!("cannot write the log: {error}"))?;
        let limit = limit.saturating_sub(self.begun.elapsed());
        let groups = self.inner.folder.join("groups");
        let job = group::Job { command, folder, environment, log, limit, groups: &groups };
        let (ended, left) = group::run(job).await.map_err(|error| format!("cannot run {name}: {error}"))?;
        if left && matches!(ended, Ended::Exited(_)) {
            self.note(&format!("{name} left processes behind; they were ended"));
        }
        match ended {
            Ended::Exited(Some(0)) => Ok(()),
            Ended::Exited(Some(127)) => {
                Err(self.note(&format!("{name} failed: {:?} is not a command here", command[0])))
            }
            Ended::Exited(Some(status)) => Err(self.note(&format!("{name} failed with status {status}"))),
            Ended::Exited(None) => Err(self.note(&format!("{name} was ended by a signal"))),
            Ended::TimedOut => {
                Err(self.note(&format!("{name} took longer than the build's time limit, and was ended")))
            }
        }
    }

    fn begin_log(&self) -> io::Result<()> {
        if let Some(folder) = self.log.parent() {
            std::fs::create_dir_all(folder)?;
        }
        File::create(&self.log).map(|_| ())
    }

    fn open_log(&self) -> io::Result<File> {
        OpenOptions::new().append(true).create(true).open(&self.log)
    }

    /// Writes a line of our own into the log, and answers it.
    fn note(&self, line: &str) -> String {
        if let Ok(mut log) = self.open_log() {
            let _ = writeln!(log, "longshore: {line}");
        }
        line.to_owned()
    }
}

fn ms(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}
