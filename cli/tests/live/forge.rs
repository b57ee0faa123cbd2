//! A forge: repositories that people push to, and a webhook for each push, sent twice, late and in any order, once
//! each time: whoever is not there to take it has missed it.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use longshore_intake::sign;
use longshore_ports::Secret;

use crate::common::http::exchange;

/// The repositories, and a working copy of each.
pub(crate) struct Forge {
    folder: PathBuf,
}

/// A push that was made.
#[derive(Debug, Clone)]
pub(crate) struct Push {
    pub(crate) service: usize,
    pub(crate) commit: String,
    pub(crate) broken: bool,
    before: String,
    number: usize,
}

impl Forge {
    pub(crate) fn new(folder: PathBuf, services: usize) -> Self {
        let forge = Self { folder };
        for service in 0..services {
            let (bare, work) = (forge.bare(service), forge.work(service));
            std::fs::create_dir_all(&work).unwrap();
            git(&forge.folder, &["init", "--quiet", "--bare", "--initial-branch=main", path(&bare)]);
            git(&work, &["init", "--quiet", "--initial-branch=main"]);
            git(&work, &["remote", "add", "origin", path(&bare)]);
            // What never changes is a layer of its own.
            let dockerfile =
                "FROM scratch\nCOPY service /\nCOPY commit broken /\nENTRYPOINT [\"/service\"]\n";
            std::fs::write(work.join("Dockerfile"), dockerfile).unwrap();
            // No two repositories have a commit in common.
            std::fs::write(work.join("name"), full_name(service)).unwrap();
        }
        forge
    }

    /// Where a service's repository can be cloned from.
    pub(crate) fn bare(&self, service: usize) -> PathBuf {
        self.folder.join(format!("s{service}.git"))
    }

    pub(crate) fn work(&self, service: usize) -> PathBuf {
        self.folder.join(format!("work-s{service}"))
    }

    /// Commits, and pushes.
    pub(crate) fn push(&self, service: usize, number: usize, broken: bool) -> Push {
        self.push_with(service, number, if broken { "true" } else { "false" })
    }

    /// With this fault: "true" is never ready; "errs" says that it is, answers with 500, and has the same image whatever
    /// the commit.
    pub(crate) fn push_with(&self, service: usize, number: usize, fault: &str) -> Push {
        let work = self.work(service);
        std::fs::write(work.join("broken"), fault).unwrap();
        if fault == "errs" {
            std::fs::write(work.join("same"), "e".repeat(40)).unwrap();
        }
        let before = match number {
            0 => "0".repeat(40),
            _ => git(&work, &["rev-parse", "HEAD"]),
        };
        std::fs::write(work.join("number"), number.to_string()).unwrap();
        git(&work, &["add", "--all"]);
        // The image's time is that of its commit.
        let at: &[_] = if fault == "errs" { &[("GIT_COMMITTER_DATE", "2026-11-24T08:00:00Z")] } else { &[] };
        git_with(&work, &["commit", "--quiet", "--message", &format!("change {number}")], at);
        git(&work, &["push", "--quiet", "origin", "main"]);
        let commit = git(&work, &["rev-parse", "HEAD"]);
        Push { service, commit, broken: fault == "true", before, number }
    }
}

/// A name as webhooks say it.
pub(crate) fn full_name(service: usize) -> String {
    format!("acme/s{service}")
}

/// Runs git with no settings of whoever runs the test; what it printed.
pub(crate) fn git(folder: &Path, words: &[&str]) -> String {
    git_with(folder, words, &[])
}

fn git_with(folder: &Path, words: &[&str], environment: &[(&str, &str)]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "gc.auto=0"])
        .args(words)
        .current_dir(folder)
        .envs(environment.iter().copied())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The webhooks on their way, and who carries them.
pub(crate) struct Mail {
    posted: mpsc::Sender<(Push, [Duration; 2])>,
    carrier: JoinHandle<Delivered>,
}

/// What became of the webhooks.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    /// The commits of those that were taken.
    pub(crate) taken: Vec<String>,
    /// How long those took to be answered.
    pub(crate) took: Vec<Duration>,
    /// How many nobody was there to take, or to say so.
    pub(crate) missed: usize,
}

impl Mail {
    /// Carries webhooks to this address.
    pub(crate) fn to(address: SocketAddr, secret: Secret) -> Self {
        let (posted, received) = mpsc::channel();
        let carrier = thread::spawn(move || carry(&received, address, &secret));
        Self { posted, carrier }
    }

    /// Sends a push's webhook twice, to arrive after these delays.
    pub(crate) fn post(&self, push: Push, delays: [Duration; 2]) {
        self.posted.send((push, delays)).unwrap();
    }

    /// Waits until all have arrived.
    pub(crate) fn delivered(self) -> Delivered {
        drop(self.posted);
        self.carrier.join().unwrap()
    }
}

fn carry(
    received: &mpsc::Receiver<(Push, [Duration; 2])>,
    address: SocketAddr,
    secret: &Secret,
) -> Delivered {
    let (mut waiting, mut pushes, mut delivered) = (BTreeSet::new(), Vec::new(), Delivered::default());
    let mut more = true;
    while more || !waiting.is_empty() {
        let wait = waiting.first().map_or(Duration::from_secs(1), |(at, ..): &(Instant, usize, usize)| {
            at.saturating_duration_since(Instant::now())
        });
        match received.recv_timeout(wait) {
            Ok((push, delays)) => {
                let arrivals = delays.into_iter().enumerate();
                waiting.extend(arrivals.map(|(n, delay)| (Instant::now() + delay, pushes.len(), n)));
                pushes.push(push);
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => {
                more = false;
                thread::sleep(wait);
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        let due = waiting.first().is_some_and(|(at, ..)| *at <= Instant::now());
        let Some((_, index, _)) = due.then(|| waiting.pop_first()).flatten() else { continue };
        let begun = Instant::now();
        match send(address, secret, &pushes[index]) {
            // A function that died behind its address.
            Ok(status) if status == "502" => delivered.missed += 1,
            Ok(status) => {
                assert_eq!(status, "202", "{:?}", pushes[index]);
                delivered.took.push(begun.elapsed());
                delivered.taken.push(pushes[index].commit.clone());
            }
            Err(_) => delivered.missed += 1,
        }
    }
    delivered
}

/// The status that was answered; an error when the host was away, or went away.
pub(crate) fn send(to: SocketAddr, secret: &Secret, push: &Push) -> io::Result<String> {
    let name = full_name(push.service);
    let body = serde_json::json!({
        "ref": "refs/heads/main", "before": push.before, "after": push.commit, "created": push.number == 0,
        "deleted": false, "forced": false, "repository": { "full_name": name }, "pusher": { "name": "test" },
        "commits": [{ "id": push.commit, "added": [], "modified": ["number", "broken"], "removed": [] }],
    });
    let body = body.to_string();
    let signature = sign::github(secret, body.as_bytes());
    let headers = [
        ("content-type", "application/json"),
        ("x-github-event", "push"),
        ("x-github-delivery", &format!("{name}-{}", push.number)),
        ("x-hub-signature-256", &signature),
    ];
    let patience = Duration::from_secs(30);
    let answer = exchange(to, "POST", "/hooks/github", &headers, body.as_bytes(), patience)?;
    Ok(answer.status.to_string())
}
