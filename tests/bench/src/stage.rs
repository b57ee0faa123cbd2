//! A host with one service, built and deployed by real pushes.
//!
//! Its `prepare` is trivial: it appends the commit to a program that was compiled once, so that each push has an image
//! of its own, as large as a real one's, at hardly any cost that is not ours.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use longshore_cli::api::TOKEN_USER;
use longshore_events::types::DeploymentOutcome;
use longshore_events::{Data, Event};
use tempfile::TempDir;

use crate::host::Host;
use crate::settings::Settings;

const SERVICE: &str = include_str!("../service/main.rs");
/// The service's name at the proxy.
pub(crate) const HOST_NAME: &str = "hello.local.localhost";
/// How long a push may take until it runs.
const PATIENCE: Duration = Duration::from_secs(40);
const CONFIG: &str = r#"
[host]
listen = "127.0.0.1:0"
proxy = "127.0.0.1:0"
ref_check = "1h"

[[repository]]
name = "hello"

[[service]]
name = "hello"
repository = "hello"
prepare = ["sh", "-c", "cp program hello && printf %s \"$LONGSHORE_COMMIT\" >> hello"]

[service.run]
drain = "100ms"
stop = "1s"
ready = { path = "/ready", interval = "10s" }
health = { path = "/ready", interval = "10s" }

[[environment]]
name = "local"
settle = "0ms"
"#;

/// The host, a clone of its repository, and what happened so far.
pub(crate) struct Stage {
    pub(crate) host: Host,
    pub(crate) events: Vec<Event>,
    clone: PathBuf,
    credential: String,
    folder: TempDir,
}

impl Stage {
    /// Compiles the service, starts the host, clones its repository.
    pub(crate) fn set(settings: &Settings) -> Result<Self> {
        Self::set_with(settings, "")
    }

    /// With more configuration of its environment.
    pub(crate) fn set_with(settings: &Settings, more: &str) -> Result<Self> {
        let folder = TempDir::with_prefix("longshore-bench-")?;
        fs::write(folder.path().join("longshore.toml"), format!("{CONFIG}{more}"))?;
        let host = Host::start(settings, folder.path(), None)?;
        let credential = STANDARD.encode(format!("{TOKEN_USER}:{}", host.token));
        let clone = folder.path().join("work");
        fs::create_dir(&clone)?;
        let stage = Self { host, events: Vec::new(), clone, credential, folder };
        stage.git(&["clone", "--quiet", &format!("{}/git/hello.git", stage.host.ready.url()), "."])?;
        compile(&stage.clone)?;
        fs::write(
            stage.clone.join("Dockerfile"),
            "FROM scratch\nCOPY hello /hello\nENTRYPOINT [\"/hello\"]\n",
        )?;
        fs::write(stage.clone.join(".gitignore"), "/hello\n/main.rs\n")?;
        Ok(stage)
    }

    /// The host's data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join(".longshore")
    }

    /// Commits a change; answers the commit.
    pub(crate) fn commit(&self, change: &str) -> Result<String> {
        fs::write(self.clone.join("change.txt"), change)?;
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", change])?;
        self.git(&["rev-parse", "HEAD"])
    }

    /// Pushes what was committed.
    pub(crate) fn push(&self) -> Result<()> {
        self.git(&["push", "--quiet", "origin", "HEAD:refs/heads/main"]).map(drop)
    }

    /// Waits until `commit` runs, with all that was to follow.
    pub(crate) fn until_running(&mut self, commit: &str) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let news = self.host.news()?;
            let ended = news.iter().find_map(|event| ended(event, commit));
            self.events.extend(news);
            match ended {
                Some(DeploymentOutcome::Succeeded) => return Ok(()),
                Some(other) => bail!("the rollout of {commit} ended as {other:?}"),
                None => {}
            }
        }
        bail!(
            "{commit} did not run within {} s; the last events: {:#?}",
            PATIENCE.as_secs(),
            self.events.last()
        )
    }

    fn git(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("git");
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"] {
            command.env_remove(name);
        }
        let output = command
            .current_dir(&self.clone)
            .args([
                "-c",
                "user.name=Bench",
                "-c",
                "user.email=bench@example.invalid",
                "-c",
                "commit.gpgsign=false",
            ])
            .args(["-c", "init.defaultBranch=main", "-c", "http.proxy=", "-c", "core.hooksPath=/dev/null"])
            .args(["-c", "gc.auto=0"])
            .args(arguments)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "http.extraHeader")
            .env("GIT_CONFIG_VALUE_0", format!("Authorization: Basic {}", self.credential))
            .stdin(Stdio::null())
            .output()
            .context("cannot run git")?;
        if !output.status.success() {
            bail!("git {} failed: {}", arguments[0], String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// How the rollout of `commit` ended, if this event says so.
fn ended(event: &Event, commit: &str) -> Option<DeploymentOutcome> {
    match &event.data {
        Data::DeploymentFinished(fact) if fact.commit.as_ref().is_some_and(|its| its.as_str() == commit) => {
            Some(fact.outcome)
        }
        _ => None,
    }
}

/// Compiles the service to `program`, static, so that it runs from an empty image.
fn compile(folder: &Path) -> Result<()> {
    fs::write(folder.join("main.rs"), SERVICE)?;
    let output = Command::new("rustc")
        .current_dir(folder)
        .args(["--edition", "2024", "-O", "-C", "strip=symbols", "-C", "target-feature=+crt-static"])
        .args(["-o", "program", "main.rs"])
        .output()
        .context("cannot run rustc")?;
    if !output.status.success() {
        bail!("the service does not compile: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
