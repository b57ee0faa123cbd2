//! The demo's stage: a folder with a repository, and a host that can be killed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::api::Ready;
use crate::commands::{Client, token};

/// The demo's configuration.
const CONFIG: &str = r#"# The demo's configuration. Free ports; one repository, one service, one environment.
[host]
listen = "127.0.0.1:0"
proxy = "127.0.0.1:0"
ref_check = "5s"

[[repository]]
name = "hello"

[[service]]
name = "hello"
repository = "hello"
prepare = ["sh", "-c", "echo prepare $LONGSHORE_COMMIT $$ >> 'WITNESS' && rustc --edition 2024 -C target-feature=+crt-static --remap-path-prefix=$PWD=/src -C strip=symbols -o hello main.rs"]

[service.run]
ready = { path = "/ready", interval = "1s" }
env = { WITNESS = "WITNESS" }
drain = "2s"
stop = "2s"

[[environment]]
name = "local"
deadline = "4s"
settle = "300ms"
"#;

/// Where the demo plays.
pub(super) struct Stage {
    /// The folder of everything.
    pub(super) folder: PathBuf,
    /// The witnesses' file, outside the data folder.
    pub(super) witness: PathBuf,
    /// The running host.
    pub(super) ready: Ready,
    host: Child,
    temporary: Option<TempDir>,
}

impl Stage {
    /// Makes the folder and the repository, and starts the host.
    pub(super) fn set(dir: Option<&Path>) -> Result<Self> {
        let temporary = match dir {
            Some(_) => None,
            None => Some(tempfile::Builder::new().prefix("longshore-demo-").tempdir()?),
        };
        let folder = match (dir, &temporary) {
            (Some(dir), _) => dir.to_owned(),
            (None, Some(temporary)) => temporary.path().to_owned(),
            (None, None) => bail!("no folder for the demo"),
        };
        std::fs::create_dir_all(&folder)?;
        if std::fs::read_dir(&folder)?.next().is_some() {
            bail!("{} is not empty; the demo wants a folder of its own", folder.display());
        }
        let folder = folder.canonicalize()?;
        let witness = folder.join("witness.txt");
        std::fs::write(&witness, "")?;
        let config = CONFIG.replace("WITNESS\"", &format!("{}\"", witness.display()));
        let config = config.replace("'WITNESS'", &format!("'{}'", witness.display()));
        std::fs::write(folder.join("longshore.toml"), config)?;
        let (host, ready) = start_host(&folder)?;
        Ok(Self { folder, witness, ready, host, temporary })
    }

    /// Kills the host as a machine's trouble would: at once, and without a word.
    pub(super) fn kill_host(&mut self) -> Result<()> {
        self.host.kill()?;
        self.host.wait()?;
        Ok(())
    }

    /// Starts it again.
    pub(super) fn start_again(&mut self) -> Result<()> {
        (self.host, self.ready) = start_host(&self.folder)?;
        Ok(())
    }

    /// A client of the host.
    pub(super) fn client(&self) -> Result<Client> {
        Client::new(&self.ready.url(), &token(&self.ready.token_file)?)
    }

    /// The URL to push to, with the credential.
    pub(super) fn remote(&self) -> Result<String> {
        let token = token(&self.ready.token_file)?;
        Ok(format!("http://longshore:{token}@{}/git/hello.git", self.ready.listen))
    }

    /// A new clone of the repository, in which to commit.
    pub(super) fn clone_as(&self, name: &str) -> Result<Checkout> {
        let folder = self.folder.join(name);
        git(&self.folder, &["clone", "--quiet", &self.remote()?, name])?;
        Ok(Checkout { folder })
    }

    /// What the witnesses wrote.
    pub(super) fn witnessed(&self) -> String {
        std::fs::read_to_string(&self.witness).unwrap_or_default()
    }

    /// The last lines of the host's log.
    pub(super) fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(self.folder.join("host.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Leaves everything as it is.
    pub(super) fn keep(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            let _ = temporary.keep();
        }
    }

    /// Waits for the host to end after it was told to; then kills it.
    pub(super) fn reap(&mut self) {
        for _ in 0..200 {
            if self.host.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.kill_host();
    }
}

/// A clone in which commits are made.
pub(super) struct Checkout {
    folder: PathBuf,
}

impl Checkout {
    /// Writes the service's source and commits it; answers the commit.
    pub(super) fn commit(&self, message: &str, broken: bool) -> Result<String> {
        let write = |name: &str, text: &str| std::fs::write(self.folder.join(name), text);
        write("main.rs", include_str!("../../demo/main.rs"))?;
        write("broken.rs", if broken { "true" } else { "false" })?;
        write("message.txt", message)?;
        write("Dockerfile", "FROM scratch\nCOPY hello /hello\nENTRYPOINT [\"/hello\"]\n")?;
        write(".gitignore", "hello\n")?;
        git(&self.folder, &["add", "--all"])?;
        git(&self.folder, &["commit", "--quiet", "--message", message])?;
        git(&self.folder, &["rev-parse", "HEAD"])
    }

    /// Pushes.
    pub(super) fn push(&self) -> Result<()> {
        git(&self.folder, &["push", "--quiet", "origin", "HEAD:main"]).map(|_| ())
    }

    /// Brings in what others pushed, below what was committed here.
    pub(super) fn rebase(&self) -> Result<()> {
        git(&self.folder, &["pull", "--quiet", "--rebase", "--strategy-option", "theirs", "origin", "main"])
            .map(|_| ())
    }

    /// The commit that is checked out.
    pub(super) fn head(&self) -> Result<String> {
        git(&self.folder, &["rev-parse", "HEAD"])
    }
}

fn git(folder: &Path, args: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=Demo", "-c", "user.email=demo@example.invalid", "-c", "commit.gpgsign=false"])
        .args(["-c", "init.defaultBranch=main", "-c", "advice.detachedHead=false"])
        .args(args)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .stdin(Stdio::null())
        .output()
        .context("cannot run git; is it installed?")?;
    if !output.status.success() {
        bail!("git {} failed: {}", args[0], String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn start_host(folder: &Path) -> Result<(Child, Ready)> {
    let ready_file = folder.join("ready.json");
    let _ = std::fs::remove_file(&ready_file);
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("host.log"))?;
    let mut host = Command::new(std::env::current_exe()?)
        .current_dir(folder)
        .args(["up", "--config", "longshore.toml", "--ready-file", "ready.json"])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot start the host")?;
    for _ in 0..400 {
        if let Ok(text) = std::fs::read(&ready_file)
            && let Ok(ready) = serde_json::from_slice(&text)
        {
            return Ok((host, ready));
        }
        if let Some(status) = host.try_wait()? {
            let log = std::fs::read_to_string(folder.join("host.log")).unwrap_or_default();
            bail!("the host ended with {status}:\n{log}");
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    let _ = host.kill();
    bail!("the host was not ready within 10 s; its log is {}", folder.join("host.log").display())
}
