//! Running Trivy: in a process group of its own, with a limit of time and of what it writes.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command as Process};
use tokio::time::timeout;

/// The largest file that it may write, in blocks of 512 bytes: 2 GiB.
const BLOCKS: u64 = 4 << 20;
/// Writes no longer files than these blocks.
const SHIM: &str = "ulimit -f \"$1\" && shift && exec \"$@\"";
/// The most of an answer, or of what it complains, in bytes.
const SAID: u64 = 1 << 20;
/// Of a complaint, so much is in the reason, in bytes from its end.
const TAIL: usize = 400;
/// How long its output may stay open once it has ended.
const CLOSING: Duration = Duration::from_secs(2);

/// How Trivy is started.
pub(super) struct Command {
    pub(super) program: String,
    pub(super) environment: BTreeMap<String, String>,
    /// Where it runs: without a configuration or a list of what to ignore, which it would take up.
    pub(super) folder: PathBuf,
}

impl Command {
    /// Runs it to its end; an error says why in one line.
    pub(super) async fn run(&self, words: &[String], within: Duration) -> Result<(), String> {
        self.say(words, within).await.map(drop)
    }

    /// Runs it to its end; what it says on its standard output.
    pub(super) async fn say(&self, words: &[String], within: Duration) -> Result<Vec<u8>, String> {
        tokio::fs::create_dir_all(&self.folder)
            .await
            .map_err(|error| format!("cannot make {}: {error}", self.folder.display()))?;
        let mut child =
            self.start(words).map_err(|error| format!("cannot start {}: {error}", self.program))?;
        let group = Group::of(&child);
        let (mut out, mut complaints) = (Vec::new(), Vec::new());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let reading = async {
            tokio::join!(read(stdout, &mut out), read(stderr, &mut complaints));
        };
        let mut reading = Box::pin(reading);
        let waiting = async {
            tokio::select! {
                // What reads ends first, or a process of its own holds the output open.
                () = &mut reading => child.wait().await,
                status = child.wait() => {
                    let _ = timeout(CLOSING, &mut reading).await;
                    status
                }
            }
        };
        let ended = timeout(within, waiting).await;
        drop(reading);
        drop(group);
        let status = match ended {
            Err(_) => return Err(format!("{} did not end within {} s", self.program, within.as_secs())),
            Ok(status) => status.map_err(|error| format!("cannot wait for {}: {error}", self.program))?,
        };
        match status.code() {
            Some(0) => Ok(out),
            Some(126 | 127) => Err(format!(
                "{} is not installed here: put it on the host's PATH, or name it by `program`",
                self.program
            )),
            Some(code) => Err(format!("{} ended with status {code}: {}", self.program, tail(&complaints))),
            None => Err(format!("{} was ended by a signal: {}", self.program, tail(&complaints))),
        }
    }

    fn start(&self, words: &[String]) -> io::Result<Child> {
        Process::new("/bin/sh")
            .args(["-c", SHIM, "sh", &BLOCKS.to_string(), &self.program])
            .args(words)
            .current_dir(&self.folder)
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
    }
}

/// Reads up to the limit, and lets the rest go by: a full pipe would hold the program up.
async fn read(from: Option<impl tokio::io::AsyncRead + Unpin>, to: &mut Vec<u8>) {
    let Some(mut from) = from else { return };
    let _ = (&mut from).take(SAID).read_to_end(to).await;
    let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
}

/// A process group, whose processes are killed when this goes.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// The last words of a complaint, in one line.
fn tail(complaints: &[u8]) -> String {
    let text = String::from_utf8_lossy(complaints);
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut from = line.len().saturating_sub(TAIL);
    while !line.is_char_boundary(from) {
        from += 1;
    }
    if line.is_empty() { "it says nothing".into() } else { line[from..].to_owned() }
}

/// Empties a folder, which need not be there.
pub(super) async fn emptied(folder: &Path) -> Result<(), String> {
    let cannot = |error: io::Error| format!("cannot empty {}: {error}", folder.display());
    match tokio::fs::remove_dir_all(folder).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot(error)),
        _ => {}
    }
    tokio::fs::create_dir_all(folder).await.map_err(cannot)
}
