//! The host, as a process that is killed and started again.

use std::path::{Path, PathBuf};
use std::process::Child;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use longshore_cli::api::{Events, Ready};
use longshore_events::Event;

use crate::common;

/// A host that is ready.
pub(crate) struct Host {
    folder: PathBuf,
    child: Child,
    environment: Vec<(String, String)>,
    pub(crate) ready: Ready,
}

impl Host {
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[])
    }

    /// With these variables beside those of the test.
    pub(crate) fn start_with(folder: &Path, environment: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment: Vec<_> = environment.iter().map(owned).collect();
        let (child, ready) = spawn(folder, &environment);
        Self { folder: folder.to_owned(), child, environment, ready }
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again after it was killed: where it was.
    pub(crate) fn start_again(&mut self) {
        let before = (self.ready.listen, self.ready.proxy);
        (self.child, self.ready) = spawn(&self.folder, &self.environment);
        assert_eq!((self.ready.listen, self.ready.proxy), before);
    }

    /// Every event that there is.
    pub(crate) fn events(&self) -> Vec<Event> {
        let (mut events, mut after) = (Vec::new(), 0);
        loop {
            let answer = self.request("GET", &format!("/api/events?after={after}&limit=1000"), "");
            let more: Events = serde_json::from_str(&answer).unwrap();
            if more.events.is_empty() {
                return events;
            }
            after = more.next;
            events
                .extend(more.events.iter().map(|entry| Event::from_json(&entry.event.to_string()).unwrap()));
        }
    }

    /// What is owed and due, and how every service stands.
    pub(crate) fn status(&self) -> longshore_cli::api::Status {
        serde_json::from_str(&self.request("GET", "/api/status", "")).unwrap()
    }

    /// A login to the registry, as the clients of registries read it from a file.
    pub(crate) fn logins(&self) -> String {
        let token = std::fs::read_to_string(&self.ready.token_file).unwrap();
        let login = BASE64_STANDARD.encode(format!("longshore:{}", token.trim()));
        format!(r#"{{"auths":{{"{}":{{"auth":"{login}"}}}}}}"#, self.ready.listen)
    }

    fn request(&self, method: &str, path: &str, body: &str) -> String {
        let token = std::fs::read_to_string(&self.ready.token_file).unwrap();
        let bearer = format!("Bearer {}", token.trim());
        let headers = [("authorization", &*bearer), ("content-type", "application/json")];
        let answer = common::http::send(self.ready.listen, method, path, &headers, body.as_bytes());
        assert_eq!(answer.status / 100, 2, "{answer:?}");
        answer.body
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let down = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.request("POST", "/api/down", r#"{"services":true}"#)
        }));
        if down.is_err() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

fn spawn(folder: &Path, environment: &[(String, String)]) -> (Child, Ready) {
    let mut command = common::longshore(folder, &["up", "--output", "json"]);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    common::up(command, &folder.join("host.log"))
}
