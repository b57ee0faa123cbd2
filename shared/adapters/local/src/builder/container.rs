//! Images by buildah: what takes commands to be run, in a store of each service, with its layers kept in a registry.

use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{collections::BTreeMap, net::SocketAddr};

use async_trait::async_trait;
use longshore_events::Digest;
use longshore_ports::PortError;
use tokio::sync::OnceCell;

use super::group::{self, Ended};
use super::log::Log;
use super::{Pack, PackJob, Packed};

/// So many last lines of a failed command are its reason.
const REASON_LINES: usize = 4;
/// How much of the log's end is read for them, in bytes.
const REASON_BYTES: u64 = 4 << 10;
/// A process and a mount namespace: whatever leaves the group, and every mount, ends with it.
const ISOLATE: [&str; 6] = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];

/// Builds by buildah, and pushes to a registry.
pub struct Buildah {
    /// The builder's folder, as [`super::Parts`] has it.
    folder: PathBuf,
    /// The registry's address, for the names of images.
    registry: String,
    /// What logs in there: `user:password` in Base64.
    login: String,
    environment: BTreeMap<String, String>,
    /// What the first build found out.
    ways: OnceCell<Ways>,
}

/// How buildah works here.
struct Ways {
    /// How commands begin.
    isolate: &'static [&'static str],
    /// How it stores layers.
    driver: &'static str,
}

impl Buildah {
    /// Buildah, when it is on the search path of `environment`. `login` is `user:password` in Base64, for `registry`.
    pub fn find(
        folder: &Path,
        registry: SocketAddr,
        login: String,
        environment: BTreeMap<String, String>,
    ) -> Option<Self> {
        let path = environment.get("PATH").map_or("", String::as_str);
        if !std::env::split_paths(path).any(|folder| folder.join("buildah").is_file()) {
            return None;
        }
        let folder = std::path::absolute(folder).ok()?;
        let registry = if registry.ip().is_unspecified() {
            format!("127.0.0.1:{}", registry.port())
        } else {
            registry.to_string()
        };
        Some(Self { folder, registry, login, environment, ways: OnceCell::new() })
    }

    async fn ways(&self) -> Result<&Ways, String> {
        let (probe, environment) = (self.folder.join("probe"), self.environment.clone());
        let find = || tokio::task::spawn_blocking(move || Ways::find(&probe, &environment));
        self.ways.get_or_try_init(find).await.map_err(|error| format!("cannot try buildah: {error}"))
    }

    /// Writes what buildah must know of the registry: that it speaks plain HTTP, and how to log in.
    fn prepare(&self, work: &Path) -> io::Result<(PathBuf, Removed)> {
        let (registries, logins) = (work.join("registries.conf"), Removed(work.join("logins.json")));
        let registry = &self.registry;
        // An image named without a registry is of the host's, as with the packer; else of Docker's.
        let text = format!(
            "unqualified-search-registries = [\"{registry}\", \"docker.io\"]\nshort-name-mode = \"permissive\"\n\
             [[registry]]\nlocation = \"{registry}\"\ninsecure = true\n"
        );
        fs::write(&registries, text)?;
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&logins.0)?;
        write!(file, r#"{{"auths":{{"{registry}":{{"auth":"{}"}}}}}}"#, self.login)?;
        Ok((registries, logins))
    }

    /// A store that an ended build left half done is emptied: its layers are in the registry.
    fn store(&self, job: &PackJob) -> io::Result<(PathBuf, PathBuf)> {
        let store = self.folder.join("containers").join(job.service.name.as_str());
        let busy = store.join("busy");
        if busy.exists() {
            fs::remove_dir_all(&store)?;
        }
        fs::create_dir_all(&store)?;
        fs::write(&busy, "")?;
        Ok((store, busy))
    }

    async fn run(
        &self,
        job: &PackJob,
        store: &Path,
        registries: &Path,
        words: &[String],
    ) -> Result<(), String> {
        let path = |path: PathBuf| path.to_string_lossy().into_owned();
        let ways = self.ways().await?;
        let mut command: Vec<String> = ways.isolate.iter().copied().map(str::to_owned).collect();
        command.extend(["buildah".into(), "--root".into(), path(store.join("root")), "--runroot".into()]);
        command.extend([path(store.join("run")), "--storage-driver".into(), ways.driver.into()]);
        command.extend_from_slice(words);
        let mut environment = self.environment.clone();
        environment.insert("CONTAINERS_REGISTRIES_CONF".into(), registries.to_string_lossy().into_owned());
        let log = Log::open(&job.log).map_err(|error| format!("cannot write the log: {error}"))?;
        let before = fs::metadata(&job.log).map_or(0, |data| data.len());
        let work = job.work.to_string_lossy();
        let groups = self.folder.join("groups");
        let limit = job.until.saturating_duration_since(Instant::now());
        let ended = group::run(group::Job {
            command: &command,
            folder: &job.context,
            environment: &environment,
            log,
            limit,
            groups: &groups,
            work: &work,
        });
        match ended.await.map_err(|error| format!("cannot run buildah: {error}"))?.0 {
            Ended::Exited(Some(0)) => Ok(()),
            Ended::TimedOut => Err("buildah was ended: the build took longer than its time limit".into()),
            Ended::Exited(_) => Err(format!("buildah failed: {}", last_lines(&job.log, before))),
        }
    }

    async fn build(&self, job: &PackJob) -> Result<Packed, String> {
        let io = |error: io::Error| format!("cannot prepare the build: {error}");
        let (registries, logins) = self.prepare(&job.work).map_err(io)?;
        let (store, busy) = self.store(job).map_err(io)?;
        let login = format!("--authfile={}", logins.0.display());
        let (image, begun) = (format!("localhost/{}:built", job.service.name), Instant::now());
        let cache = format!("{}/{}/cache", self.registry, job.service.image);
        // The cache does not ask for the time: any but a fixed one would make the digest depend on what is cached.
        let fixed = ["bud", "--isolation=chroot", "--layers", "--timestamp=0", "--identity-label=false"];
        let mut words: Vec<String> = fixed.map(str::to_owned).into();
        words.extend(["--pull=true".into(), login.clone(), format!("--file={}", job.dockerfile)]);
        words.extend(job.args.iter().map(|(name, value)| format!("--build-arg={name}={value}")));
        words.extend([format!("--cache-from={cache}"), format!("--cache-to={cache}")]);
        words.extend([format!("--tag={image}"), ".".to_owned()]);
        self.run(job, &store, &registries, &words).await?;
        let (pack_ms, begun) = (super::run::ms(begun), Instant::now());
        let digest = job.work.join("digest");
        let target = format!("docker://{}/{}:{}", self.registry, job.service.image, job.tag);
        let words = ["push".into(), login, format!("--digestfile={}", digest.display()), image, target];
        self.run(job, &store, &registries, &words).await?;
        let push_ms = super::run::ms(begun);
        let words = ["rmi".to_owned(), "--prune".to_owned()];
        self.run(job, &store, &registries, &words).await?;
        fs::remove_file(busy).map_err(io)?;
        let digest = fs::read_to_string(&digest).map_err(io)?;
        let digest =
            Digest::new(digest.trim()).map_err(|error| format!("buildah told no digest: {error}"))?;
        let media_type = "application/vnd.oci.image.manifest.v1+json".to_owned();
        Ok(Packed { digest, media_type, platforms: Vec::new(), pack_ms, push_ms })
    }
}

impl Ways {
    /// Tries what works here, with a store in `probe`.
    fn find(probe: &Path, environment: &BTreeMap<String, String>) -> Self {
        let works = |words: &[&str]| {
            let mut command = Command::new(words[0]);
            command.args(&words[1..]).env_clear().envs(environment);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        let isolate: &[&str] = if works(&[&ISOLATE[..], &["true"]].concat()) { &ISOLATE } else { &[] };
        let (root, run) = (probe.join("root"), probe.join("run"));
        let (root, run) = (root.to_string_lossy(), run.to_string_lossy());
        let words = ["buildah", "--root", &root, "--runroot", &run, "--storage-driver", "overlay", "images"];
        let driver = if works(&[isolate, &words].concat()) { "overlay" } else { "vfs" };
        let _ = fs::remove_dir_all(probe);
        Self { isolate, driver }
    }
}

#[async_trait]
impl Pack for Buildah {
    async fn pack(&self, job: &PackJob) -> Result<Packed, PortError> {
        let built = self.build(job).await;
        built.map_err(|reason| PortError::invalid(format!("build {}", job.service.name), reason))
    }
}

/// A file that is removed, whichever way a build ends.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn last_lines(log: &Path, from: u64) -> String {
    let read = || {
        let mut file = fs::File::open(log)?;
        let from = from.max(file.metadata()?.len().saturating_sub(REASON_BYTES));
        file.seek(SeekFrom::Start(from))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        io::Result::Ok(String::from_utf8_lossy(&text).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(REASON_LINES)..].join("; ")
}

/// How long what is ended at its limit may take to be gone.
pub(super) const ENDING: Duration = Duration::from_secs(10);
