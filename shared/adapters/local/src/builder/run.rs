//! One build, from checkout to image.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::{Duration, Instant};

use longshore_events::types::BuildTimes;
use longshore_policy::{Service, ServiceSource};
use longshore_ports::{BuildOrder, Built, PortError};
use tokio::time::{sleep, timeout};

use super::container::ENDING;
use super::group::{self, Ended};
use super::log::Log;
use super::{Inner, PackJob, Packed};

/// The waits before git or the registry, when it did not answer, is asked again.
const AGAIN: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

type Attempt<'a, T> = Pin<Box<dyn Future<Output = Result<T, PortError>> + Send + 'a>>;

/// A build under way.
pub(super) struct Run<'a> {
    pub(super) inner: &'a Inner,
    order: &'a BuildOrder,
    pub(super) service: &'a Service,
    pub(super) source: &'a ServiceSource,
    /// The service's own folder: the same for each of its builds, so that they are reproducible.
    pub(super) folder: PathBuf,
    pub(super) log: PathBuf,
    begun: Instant,
    /// How long its parts took so far.
    pub(super) times: BuildTimes,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        inner: &'a Inner,
        order: &'a BuildOrder,
        (service, source): (&'a Service, &'a ServiceSource),
    ) -> Self {
        let folder = PathBuf::from(super::work_folder(&inner.folder)).join(service.name.as_str());
        let log = inner.log_path(order);
        Self {
            inner,
            order,
            service,
            source,
            folder,
            log,
            begun: Instant::now(),
            times: BuildTimes::default(),
        }
    }

    /// The whole build; an error is the reason for people, in one line.
    pub(super) async fn all(&mut self) -> Result<Built, String> {
        Log::begin(&self.log).map_err(|error| format!("cannot write the log: {error}"))?;
        let ended = self.parts().await;
        let ended = ended.map_err(|reason| reason.lines().collect::<Vec<_>>().join("; "));
        self.note(match &ended {
            Ok(_) => "the build succeeded",
            Err(reason) => reason,
        });
        ended
    }

    async fn parts(&mut self) -> Result<Built, String> {
        let begun = Instant::now();
        let checked_out = self.checkout().await;
        self.times.git_ms = ms(begun);
        let epoch = checked_out?;
        let context = self.context()?;
        let environment = self.environment(epoch);
        if let Some(command) = &self.source.prepare {
            let begun = Instant::now();
            let ended = self.command("prepare", command, &context, &environment).await;
            self.times.prepare_ms = ms(begun);
            ended?;
        }
        if let Some(command) = &self.source.test {
            let begun = Instant::now();
            let ended = self.command("test", command, &context, &environment).await;
            self.times.test_ms = ms(begun);
            ended?;
        }
        let manifests_ref = self.render(&environment).await?;
        let (job, packed) = self.pack(context, epoch).await?;
        (self.times.pack_ms, self.times.push_ms) = (packed.pack_ms, packed.push_ms);
        self.note(&format!("pushed {}@{}", job.service.image, packed.digest));
        Ok(Built {
            image: job.service.image,
            tag: job.tag,
            digest: packed.digest,
            media_type: packed.media_type,
            platforms: packed.platforms,
            manifests_ref,
            logs_ref: None,
            times: self.times,
        })
    }

    async fn checkout(&self) -> Result<u64, String> {
        let checkout = self.folder.join("src");
        tokio::fs::create_dir_all(&self.folder)
            .await
            .map_err(|error| format!("cannot make {}: {error}", self.folder.display()))?;
        self.note(&format!("checking out {} of {}", self.order.commit, self.order.repo));
        let once = || self.inner.checkout.checkout(&self.order.repo, &self.order.commit, &checkout);
        self.patiently(Duration::ZERO, once).await
    }

    /// The folder that is built. A link in the commit must not lead out of it: what lies elsewhere on this machine
    /// does not become part of an image.
    fn context(&self) -> Result<PathBuf, String> {
        let checkout = self.folder.join("src");
        let context = checkout.join(&self.source.path);
        let (service, path) = (&self.service.name, &self.source.path);
        if !context.is_dir() {
            return Err(format!("the commit has no folder {path:?}, which `path` of {service} names"));
        }
        let inside = checkout.canonicalize().and_then(|root| Ok(context.canonicalize()?.starts_with(root)));
        if !inside.map_err(|error| format!("cannot read {}: {error}", context.display()))? {
            return Err(format!(
                "{path:?}, which `path` of {service} names, is a link that leads out of the commit"
            ));
        }
        Ok(context)
    }

    async fn pack(&self, context: PathBuf, epoch: u64) -> Result<(PackJob, Packed), String> {
        let job = PackJob {
            service: self.service.clone(),
            tag: self.order.commit.to_string(),
            context,
            dockerfile: self.source.dockerfile.clone(),
            args: self.source.args.clone(),
            secrets: self.source.secrets.clone(),
            epoch,
            work: self.folder.join("pack"),
            log: self.log.clone(),
            until: Instant::now() + self.time_left(),
        };
        let once = || self.pack_once(&job);
        let packed = self.patiently(ENDING, once).await?;
        Ok((job, packed))
    }

    fn pack_once<'b>(&'b self, job: &'b PackJob) -> Attempt<'b, Packed> {
        Box::pin(async {
            let emptied = empty(&job.work).await;
            emptied.map_err(|error| PortError::unavailable("empty the work folder", error))?;
            self.inner.pack.pack(job).await
        })
    }

    /// Does something of the outside, a few times when it does not answer, within the build's time limit. What ends
    /// at that by itself gets `ending` for it.
    async fn patiently<'b, T>(
        &self,
        ending: Duration,
        once: impl Fn() -> Attempt<'b, T>,
    ) -> Result<T, String> {
        let trying = async {
            for wait in AGAIN {
                match once().await {
                    Err(error) if error.is_temporary() => {
                        self.note(&format!("{error}; trying again"));
                        sleep(wait).await;
                    }
                    other => return other,
                }
            }
            once().await
        };
        match timeout(self.time_left() + ending, trying).await {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(_) => Err(format!(
                "the build took longer than its time limit of {} s",
                self.source.timeout_ms / 1000
            )),
        }
    }

    fn time_left(&self) -> Duration {
        Duration::from_millis(self.source.timeout_ms).saturating_sub(self.begun.elapsed())
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
    ) -> Result<(), String> {
        self.note(&format!("{name}: {}", command.join(" ")));
        let program = command.first().map_or("", String::as_str);
        match self.ended(name, command, folder, environment).await? {
            Some(0) => Ok(()),
            Some(127) => Err(format!("{name} failed with status 127: {program:?} may not be a command here")),
            Some(126) => Err(format!("{name} failed with status 126: {program:?} may not be executable")),
            Some(status) => Err(format!("{name} failed with status {status}")),
            None => Err(format!("{name} was ended by a signal")),
        }
    }

    /// Runs a command in what is left of the build's time; the status that it ended with, `None` for a signal.
    pub(super) async fn ended(
        &self,
        name: &str,
        command: &[String],
        folder: &Path,
        environment: &BTreeMap<String, String>,
    ) -> Result<Option<i32>, String> {
        let log = Log::open(&self.log).map_err(|error| format!("cannot write the log: {error}"))?;
        let (groups, work) = (self.inner.folder.join("groups"), self.folder.to_string_lossy());
        let limit = self.time_left();
        let job = group::Job { command, folder, environment, log, limit, groups: &groups, work: &work };
        let (ended, left) = group::run(job).await.map_err(|error| format!("cannot run {name}: {error}"))?;
        let Ended::Exited(status) = ended else {
            return Err(format!(
                "{name} was ended: the build took longer than its time limit of {} s",
                self.source.timeout_ms / 1000
            ));
        };
        if !left.is_empty() {
            self.note(&format!("{name} left processes behind, which were ended: {}", left.join(", ")));
        }
        Ok(status)
    }

    /// Writes a line of our own into the log.
    pub(super) fn note(&self, line: &str) {
        let written = Log::open(&self.log).and_then(|mut log| log.note(line));
        if let Err(error) = written {
            tracing::warn!(service = %self.order.service, %error, "cannot write a build's log");
        }
    }
}

/// Makes a folder an empty one.
pub(super) async fn empty(folder: &Path) -> io::Result<()> {
    match tokio::fs::remove_dir_all(folder).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => tokio::fs::create_dir_all(folder).await,
    }
}

pub(super) fn ms(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}
