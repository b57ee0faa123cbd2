//! A host on a folder of its own, ended with everything that it runs when the test ends.

use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output};
use std::time::{Duration, Instant};

use longshore_cli::api::{Events, Ready};

use crate::common;
use crate::common::http::{Answer, send};

/// A project with one repository whose build always fails, a service from outside, and a source of webhooks.
const CONFIG: &str = r#"
[host]
listen = "127.0.0.1:0"
proxy = "127.0.0.1:0"
max_body = "4KiB"

[[source]]
name = "github"
provider = "github"

[[repository]]
name = "shop"

[[service]]
name = "shop"
repository = "shop"
prepare = ["false"]

[[service]]
name = "tools"
image = "tools"

[[environment]]
name = "live"
"#;

/// The project's folder: a name that a careless script would trip over.
const FOLDER: &str = "it's here";

/// A folder with a configuration.
pub(crate) struct World {
    temporary: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self { temporary: tempfile::tempdir().unwrap() };
        std::fs::create_dir(world.path("")).unwrap();
        std::fs::write(world.path("longshore.toml"), CONFIG).unwrap();
        world
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path(".longshore")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.temporary.path().join(FOLDER).join(name)
    }

    /// `longshore` in the folder, with no settings of whoever runs the test.
    pub(crate) fn longshore(&self, words: &[&str]) -> Command {
        common::longshore(&self.path(""), words)
    }

    /// A host that is ready.
    pub(crate) fn up(&self) -> Host {
        self.up_with(&[])
    }

    /// A host that is ready, with options.
    pub(crate) fn up_with(&self, options: &[&str]) -> Host {
        let words = [&["up", "--output", "json"], options].concat();
        let (child, ready) = common::up(self.longshore(&words), &self.path("log"));
        let token = std::fs::read_to_string(&ready.token_file).unwrap();
        Host { child, token: token.trim().to_owned(), ready }
    }

    /// Runs git in a folder of the world.
    pub(crate) fn git(&self, folder: &str, words: &[&str]) -> Output {
        Command::new("git")
            .args(["-c", "user.name=Test", "-c", "user.email=test@example.org"])
            .args(words)
            .current_dir(self.path(folder))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .output()
            .unwrap()
    }

    /// A working copy with one commit; its id.
    pub(crate) fn working_copy(&self) -> String {
        std::fs::create_dir(self.path("work")).unwrap();
        self.git("work", &["init", "--quiet", "--initial-branch=main"]);
        std::fs::write(self.path("work/Dockerfile"), "FROM scratch\n").unwrap();
        self.git("work", &["add", "."]);
        self.git("work", &["commit", "--quiet", "--message=first"]);
        let head = self.git("work", &["rev-parse", "HEAD"]).stdout;
        String::from_utf8(head).unwrap().trim().to_owned()
    }
}

/// A running host.
pub(crate) struct Host {
    pub(crate) child: Child,
    pub(crate) ready: Ready,
    pub(crate) token: String,
}

impl Host {
    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        send(self.ready.listen, "GET", path, &[("authorization", &self.bearer())], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        let headers = [("authorization", &*self.bearer()), ("content-type", "application/json")];
        send(self.ready.listen, "POST", path, &headers, body.as_bytes())
    }

    /// Every event of a type, once there are `count`.
    pub(crate) fn events(&self, kind: &str, count: usize) -> Vec<serde_json::Value> {
        let (mut found, mut after) = (Vec::new(), 0);
        let until = Instant::now() + Duration::from_mins(1);
        while found.len() < count {
            assert!(Instant::now() < until, "{count} of {kind} awaited, these came: {found:?}");
            let answer = self.get(&format!("/api/events?after={after}&kind={kind}&wait_ms=20000"));
            let events: Events = serde_json::from_value(answer.json()).unwrap();
            after = events.next;
            found.extend(events.events.into_iter().map(|entry| entry.event));
        }
        found
    }

    /// The remote to push to, with a password.
    pub(crate) fn remote(&self, password: &str) -> String {
        format!("http://longshore:{password}@{}/git/shop.git", self.ready.listen)
    }

    /// The runner's process.
    pub(crate) fn runner_pid(&self) -> u32 {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let wanted = self.ready.data.join("runner.json");
        let is_runner = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words: Vec<_> = line.split(|byte| *byte == 0).collect();
            words.get(1) == Some(&&b"runner"[..]) && words.contains(&wanted.as_os_str().as_encoded_bytes())
        };
        let mut found =
            processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_runner);
        found.next().expect("a runner")
    }

    pub(crate) fn signal(&self, name: &str) {
        kill(name, self.child.id());
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
            return;
        }
        let body = br#"{"services":true}"#;
        let headers = [("authorization", &*self.bearer()), ("content-type", "application/json")];
        let asked = std::panic::catch_unwind(|| send(self.ready.listen, "POST", "/api/down", &headers, body));
        if asked.is_err() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

pub(crate) fn kill(signal: &str, pid: u32) {
    let status = Command::new("kill").args([format!("-{signal}"), pid.to_string()]).status().unwrap();
    assert!(status.success());
}

/// Whether a process is there, and no zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Looks until it holds: for what says nothing by itself.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < until, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
