//! The host, as a process that is killed and started again.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use longshore_cli::api::{Events, Ready};
use longshore_events::Event;

/// A host that is ready.
pub(crate) struct Host {
    folder: PathBuf,
    child: Child,
    pub(crate) ready: Ready,
}

impl Host {
    pub(crate) fn start(folder: &Path) -> Self {
        let (child, ready) = spawn(folder);
        Self { folder: folder.to_owned(), child, ready }
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again after it was killed: where it was.
    pub(crate) fn start_again(&mut self) {
        let before = (self.ready.listen, self.ready.proxy);
        (self.child, self.ready) = spawn(&self.folder);
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

    fn request(&self, method: &str, path: &str, body: &str) -> String {
        let token = std::fs::read_to_string(&self.ready.token_file).unwrap();
        let mut stream = TcpStream::connect(self.ready.listen).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            token.trim(),
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.split(' ').nth(1).is_some_and(|status| status.starts_with('2')), "{answer}");
        body.to_owned()
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

fn spawn(folder: &Path) -> (Child, Ready) {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("host.log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
    for name in ["LONGSHORE_DATA", "LONGSHORE_HOST", "LONGSHORE_TOKEN", "LONGSHORE_LOG"] {
        command.env_remove(name);
    }
    command.args(["up", "--output", "json"]).current_dir(folder).stdout(Stdio::piped()).stderr(log);
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let log = || std::fs::read_to_string(folder.join("host.log")).unwrap();
    let ready = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {}", log()));
    (child, ready)
}
