//! Images by buildah or podman: what takes commands to be run, in a store of each service, with its layers kept in a
//! registry. Docker, which needs an engine that runs all the time, is not served.

use std::fs::{self, DirBuilder};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{collections::BTreeMap, net::SocketAddr};

use async_trait::async_trait;
use longshore_events::Digest;
use longshore_ports::{BlobRef, PortError, Secrets};
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

/// A program that builds images; the two share their engine, and make the same image of the same files.
#[derive(Clone, Copy)]
enum Tool {
    Buildah,
    Podman,
}

impl Tool {
    /// The first of them on a search path.
    fn find(path: &str) -> Option<Self> {
        let is_there = |tool: &Self| std::env::split_paths(path).any(|at| at.join(tool.program()).is_file());
        [Self::Buildah, Self::Podman].into_iter().find(is_there)
    }

    /// Its name, and its program's.
    fn program(self) -> &'static str {
        match self {
            Self::Buildah => "buildah",
            Self::Podman => "podman",
        }
    }

    /// Removes images that no tag names.
    fn prune(self) -> &'static [&'static str] {
        match self {
            Self::Buildah => &["rmi", "--prune"],
            Self::Podman => &["image", "prune", "--force"],
        }
    }
}

/// Builds by a program of the machine, and pushes to a registry.
pub struct Containers {
    tool: Tool,
    /// The builder's folder, as [`super::Parts`] has it.
    folder: PathBuf,
    /// The registry's address, for the names of images.
    registry: String,
    /// What logs in there: `user:password` in Base64.
    login: String,
    secrets: Arc<dyn Secrets>,
    environment: BTreeMap<String, String>,
    /// What the first build found out.
    ways: OnceCell<Ways>,
}

/// How the program works here.
struct Ways {
    /// How commands begin.
    isolate: &'static [&'static str],
    /// How it stores layers.
    driver: &'static str,
}

/// What stands in files of the build's work folder while it runs.
struct Prepared {
    registries: PathBuf,
    login: String,
    secrets: Vec<String>,
    _removed: Vec<Removed>,
}

impl Containers {
    /// Builds in `folder` by buildah or podman, the first that is on the search path of `environment`. `login` is
    /// `user:password` in Base64, for `registry`; `secrets` has what builds mount.
    ///
    /// # Errors
    /// When the folder has no absolute path.
    pub fn find(
        folder: &Path,
        (registry, login): (SocketAddr, String),
        secrets: Arc<dyn Secrets>,
        environment: BTreeMap<String, String>,
    ) -> io::Result<Option<Self>> {
        let Some(tool) = Tool::find(environment.get("PATH").map_or("", String::as_str)) else {
            return Ok(None);
        };
        let folder = std::path::absolute(folder)?;
        let registry = if registry.ip().is_unspecified() {
            format!("127.0.0.1:{}", registry.port())
        } else {
            registry.to_string()
        };
        Ok(Some(Self { tool, folder, registry, login, secrets, environment, ways: OnceCell::new() }))
    }

    /// The program that builds.
    pub fn program(&self) -> &'static str {
        self.tool.program()
    }

    async fn ways(&self) -> Result<&Ways, String> {
        let (tool, probe, environment) = (self.tool, self.folder.join("probe"), self.environment.clone());
        let find = || tokio::task::spawn_blocking(move || Ways::find(tool, &probe, &environment));
        let found = self.ways.get_or_try_init(find).await;
        found.map_err(|error| format!("cannot try {}: {error}", tool.program()))
    }

    /// Writes what the program must know of the registry: that it speaks plain HTTP, and how to log in; and the secrets
    /// that RUN mounts.
    async fn prepare(&self, job: &PackJob) -> Result<Prepared, String> {
        let io = |error: io::Error| format!("cannot prepare the build: {error}");
        let registry = &self.registry;
        let registries = job.work.join("registries.conf");
        // An image named without a registry is of the host's, as with the packer; else of Docker's.
        let text = format!(
            "unqualified-search-registries = [\"{registry}\", \"docker.io\"]\nshort-name-mode = \"permissive\"\n\
             [[registry]]\nlocation = \"{registry}\"\ninsecure = true\n"
        );
        fs::write(&registries, text).map_err(io)?;
        let logins = format!(r#"{{"auths":{{"{registry}":{{"auth":"{}"}}}}}}"#, self.login);
        let logins = private(job.work.join("logins.json"), logins.as_bytes()).map_err(io)?;
        let login = format!("--authfile={}", logins.0.display());
        let (mut removed, mut secrets) = (vec![logins], Vec::new());
        for name in &job.secrets {
            let values = self.secrets.get(name).await.map_err(|error| error.to_string())?;
            let value = values.first().map_or(&[][..], |secret| secret.expose());
            let file = private(job.work.join(format!("secret-{name}")), value).map_err(io)?;
            secrets.push(format!("--secret=id={name},src={}", file.0.display()));
            removed.push(file);
        }
        Ok(Prepared { registries, login, secrets, _removed: removed })
    }

    async fn run(
        &self,
        job: &PackJob,
        store: &Store,
        registries: &Path,
        words: impl IntoIterator<Item = String>,
    ) -> Result<(), String> {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let ways = self.ways().await?;
        let mut command: Vec<String> = ways.isolate.iter().copied().map(str::to_owned).collect();
        command.extend([self.tool.program().into(), "--root".into(), path(&store.folder.join("root"))]);
        command.extend(["--runroot".into(), path(&store.run)]);
        command.extend(["--storage-driver".into(), ways.driver.into()]);
        command.extend(words);
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
        let tool = self.tool.program();
        match ended.await.map_err(|error| format!("cannot run {tool}: {error}"))?.0 {
            Ended::Exited(Some(0)) => Ok(()),
            Ended::TimedOut => Err(format!("{tool} was ended: the build took longer than its time limit")),
            Ended::Exited(_) => Err(format!("{tool} failed: {}", last_lines(&job.log, before))),
        }
    }

    async fn build(&self, job: &PackJob) -> Result<Packed, String> {
        let io = |error: io::Error| format!("cannot prepare the build: {error}");
        let prepared = self.prepare(job).await?;
        let Prepared { registries, login, secrets, .. } = &prepared;
        let store =
            Store::open(&self.folder.join("containers").join(job.service.name.as_str())).map_err(io)?;
        let (image, begun) = (format!("localhost/{}:built", job.service.name), Instant::now());
        let cache = format!("{}/{}/cache", self.registry, job.service.image);
        // The cache does not ask for the time: any but a fixed one would make the digest depend on what is cached.
        let fixed = ["build", "--isolation=chroot", "--layers", "--timestamp=0", "--identity-label=false"];
        let mut words: Vec<String> = fixed.map(str::to_owned).into();
        words.extend(["--pull=true".into(), login.clone(), format!("--file={}", job.dockerfile)]);
        words.extend_from_slice(secrets);
        words.extend(job.args.iter().map(|(name, value)| format!("--build-arg={name}={value}")));
        words.extend([format!("--cache-from={cache}"), format!("--cache-to={cache}")]);
        words.extend([format!("--tag={image}"), ".".to_owned()]);
        self.run(job, &store, registries, words).await?;
        let (pack_ms, begun) = (super::run::ms(begun), Instant::now());
        let digest = job.work.join("digest");
        let target = format!("docker://{}/{}:{}", self.registry, job.service.image, job.tag);
        let words =
            ["push".into(), login.clone(), format!("--digestfile={}", digest.display()), image, target];
        self.run(job, &store, registries, words).await?;
        let push_ms = super::run::ms(begun);
        let words = self.tool.prune().iter().copied().map(str::to_owned);
        self.run(job, &store, registries, words).await?;
        store.is_whole().map_err(io)?;
        let digest = fs::read_to_string(&digest).map_err(io)?;
        let digest = Digest::new(digest.trim())
            .map_err(|error| format!("{} told no digest: {error}", self.tool.program()))?;
        let media_type = "application/vnd.oci.image.manifest.v1+json".to_owned();
        Ok(Packed { digest, media_type, platforms: Vec::new(), pack_ms, push_ms })
    }
}

impl Ways {
    /// Tries what works here, with a store in `probe`.
    fn find(tool: Tool, probe: &Path, environment: &BTreeMap<String, String>) -> Self {
        let works = |words: &[&str]| {
            let mut command = Command::new(words[0]);
            command.args(&words[1..]).env_clear().envs(environment);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        let isolate: &[&str] = if works(&[&ISOLATE[..], &["true"]].concat()) { &ISOLATE } else { &[] };
        let (root, run) = (probe.join("root"), probe.join("run"));
        let (root, run) = (root.to_string_lossy(), run.to_string_lossy());
        let words =
            [tool.program(), "--root", &root, "--runroot", &run, "--storage-driver", "overlay", "images"];
        let driver = if works(&[isolate, &words].concat()) { "overlay" } else { "vfs" };
        let _ = fs::remove_dir_all(probe);
        Self { isolate, driver }
    }
}

#[async_trait]
impl Pack for Containers {
    async fn pack(&self, job: &PackJob) -> Result<Packed, PortError> {
        let built = self.build(job).await;
        built.map_err(|reason| PortError::invalid(format!("build {}", job.service.name), reason))
    }
}

/// Where the program keeps the layers of one service, and what it must remember while it runs.
struct Store {
    folder: PathBuf,
    /// Podman takes no path of more than 50 characters for it, and each time the same.
    run: PathBuf,
}

impl Store {
    /// One that an ended build left half done is emptied: its layers are in the registry.
    fn open(folder: &Path) -> io::Result<Self> {
        if folder.join("busy").exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        fs::write(folder.join("busy"), "")?;
        let name = BlobRef::of(folder.as_os_str().as_encoded_bytes()).0;
        let run = std::env::temp_dir().join(format!("longshore-{}", &name.hex()[..12]));
        DirBuilder::new().recursive(true).mode(0o700).create(&run)?;
        let made = fs::symlink_metadata(&run)?;
        if !made.is_dir() || made.uid() != rustix::process::geteuid().as_raw() {
            return Err(io::Error::other(format!("{} is somebody else's: remove it", run.display())));
        }
        Ok(Self { folder: folder.to_owned(), run })
    }

    /// Nothing in it is half done.
    fn is_whole(&self) -> io::Result<()> {
        fs::remove_file(self.folder.join("busy"))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.run);
    }
}

/// A new file that only this user may read.
fn private(path: PathBuf, content: &[u8]) -> io::Result<Removed> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    let removed = Removed(path);
    file.write_all(content)?;
    Ok(removed)
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
