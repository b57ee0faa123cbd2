//! Clone, fetch and push over HTTP with the real git, and clients that go away.

#![allow(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod support;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use http_body_util::BodyExt as _;
use longshore_events::CommitId;
use longshore_git::{CgiRequest, GitCommand, http_backend};
use longshore_ports::Git as _;
use support::{Work, hosted, main_branch, repo};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;

/// A host as small as can be: no authentication.
async fn serve(root: PathBuf) -> String {
    let app = Router::new().fallback(git).with_state(root);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/acme/shop.git", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

async fn git(State(root): State<PathBuf>, request: Request) -> Response {
    let (parts, mut body) = request.into_parts();
    let text = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let cgi = CgiRequest {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        content_type: text("content-type"),
        content_encoding: text("content-encoding"),
        git_protocol: text("git-protocol"),
        user: "tester".into(),
    };
    let (pieces, from) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Some(Ok(frame)) = body.frame().await {
            if let Ok(data) = frame.into_data() {
                let _ = pieces.send(data).await;
            }
        }
    });
    let mut answer = match http_backend(&root, &cgi, from).await {
        Ok(answer) => answer,
        Err(error) => return Response::builder().status(400).body(Body::from(error.to_string())).unwrap(),
    };
    let mut all = answer.begin.to_vec();
    answer.rest.read_to_end(&mut all).await.unwrap();
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(all)).unwrap()
}

struct World {
    folder: TempDir,
    git: GitCommand,
    work: Work,
    url: String,
}

impl World {
    async fn new() -> Self {
        let (folder, git, work) = hosted().await;
        let root = folder.path().join("git");
        let hook = format!(
            "#!/bin/sh\necho \"$REMOTE_USER\" >>{0}\ncat >>{0}\n",
            folder.path().join("hooked").display()
        );
        git.init_bare(&repo(), &main_branch(), &hook).await.unwrap();
        Self { url: serve(root).await, folder, git, work }
    }

    async fn run(&self, args: &[&str]) -> (bool, String) {
        let mut command = tokio::process::Command::from(self.work.command());
        let output = command.args(args).output().await.unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    async fn push(&self, refs: &str) -> (bool, String) {
        self.run(&["push", &self.url, refs]).await
    }

    fn hooked(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("hooked")).unwrap_or_default()
    }

    async fn tip(&self) -> Option<CommitId> {
        self.git.tip(&repo(), &main_branch()).await.unwrap()
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("git")
    }
}

#[tokio::test]
async fn a_push_lands_and_its_hook_is_told() {
    let world = World::new().await;
    let first = world.work.commit(&[("a", "1")]);
    let (pushed, said) = world.push("main").await;
    assert!(pushed, "{said}");
    assert_eq!(world.tip().await, Some(first.clone()));
    let zero = "0".repeat(40);
    assert_eq!(world.hooked(), format!("tester\n{zero} {first} refs/heads/main\n"));
    let (cloned, said) = world.run(&["clone", "-q", &world.url, "../clone"]).await;
    assert!(cloned, "{said}");
    assert_eq!(std::fs::read_to_string(world.folder.path().join("clone/a")).unwrap(), "1");
}

#[tokio::test]
async fn a_large_push_streams_and_a_forced_one_is_taken() {
    let world = World::new().await;
    // What does not compress, larger than git's 1 MiB post buffer: sent in chunks.
    let noise: Vec<u8> =
        (0..3_000_000_u32).map(|n| n.wrapping_mul(n ^ 0x9e37_79b1).to_be_bytes()[0]).collect();
    std::fs::write(world.work.0.join("noise"), noise).unwrap();
    world.work.git(&["add", "-A"]);
    world.work.git(&["commit", "-q", "-m", "large"]);
    let (pushed, said) = world.push("main").await;
    assert!(pushed, "{said}");
    world.work.git(&["commit", "-q", "--amend", "-m", "other"]);
    assert!(!world.push("main").await.0, "git itself does not force unasked");
    assert!(world.push("+main").await.0);
    assert_eq!(world.tip().await, Some(world.work.head()));
    let (deleted, said) = world.push(":main").await;
    assert!(deleted, "{said}");
    assert_eq!(world.tip().await, None);
}

#[tokio::test]
async fn a_broken_tree_is_refused() {
    let world = World::new().await;
    world.work.commit(&[("a", "1")]);
    let blob = world.work.git(&["rev-parse", "HEAD:a"]);
    let mut mktree = world.work.command();
    let mut child = mktree.args(["mktree"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let entry = format!("100644 blob {blob}\t.git\n");
    child.stdin.take().unwrap().write_all(entry.as_bytes()).unwrap();
    let tree = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let evil = world.work.git(&["commit-tree", "-m", "evil", tree.trim()]);
    let (pushed, said) = world.push(&format!("{evil}:refs/heads/main")).await;
    assert!(!pushed && said.contains(".git"), "{said}");
    assert_eq!((world.tip().await, world.hooked()), (None, String::new()));
}

#[tokio::test]
async fn repositories_that_are_not_there_are_not_found() {
    let world = World::new().await;
    world.work.commit(&[("a", "1")]);
    for path in ["other.git", "acme/shop.git/../../etc"] {
        let url = world.url.replace("acme/shop.git", path);
        assert!(!world.run(&["ls-remote", &url]).await.0, "{path}");
    }
}

fn receive_pack() -> CgiRequest {
    CgiRequest {
        method: "POST".into(),
        path: "/acme/shop.git/git-receive-pack".into(),
        content_type: Some("application/x-git-receive-pack-request".into()),
        user: "tester".into(),
        ..CgiRequest::default()
    }
}

/// What git sends for a push of `commit` to a new branch `main`.
fn push_body(work: &Path, commit: &CommitId) -> Vec<u8> {
    let line = format!("{} {commit} refs/heads/main\0report-status\n", "0".repeat(40));
    let mut body = format!("{:04x}{line}0000", line.len() + 4).into_bytes();
    let mut command = Command::new("git");
    command.current_dir(work).args(["pack-objects", "--stdout", "--revs", "-q"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{commit}").unwrap();
    body.extend(child.wait_with_output().unwrap().stdout);
    body
}

#[tokio::test]
async fn a_push_goes_on_when_its_client_goes_away_after_it_was_sent() {
    let world = World::new().await;
    let commit = world.work.commit(&[("a", "1")]);
    // The hook tells through a pipe that it has run to its end.
    let pipe = world.folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let hook = format!("#!/bin/sh\nhead -c 300000 /dev/zero\ncat >{}\n", pipe.display());
    world.git.init_bare(&repo(), &main_branch(), &hook).await.unwrap();
    let (pieces, from) = mpsc::channel(8);
    pieces.send(Bytes::from(push_body(&world.work.0, &commit))).await.unwrap();
    drop(pieces);
    let answer = http_backend(&world.root(), &receive_pack(), from).await.unwrap();
    assert_eq!(answer.status, 200);
    drop(answer);
    let told = tokio::task::spawn_blocking(move || std::fs::read_to_string(pipe).unwrap());
    let told = tokio::time::timeout(Duration::from_secs(30), told).await.unwrap().unwrap();
    assert!(told.contains(commit.as_str()));
    assert_eq!(world.tip().await, Some(commit));
}

#[tokio::test]
async fn a_push_that_is_cut_off_changes_nothing() {
    let world = World::new().await;
    let commit = world.work.commit(&[("a", "1")]);
    let body = push_body(&world.work.0, &commit);
    for cut in [1, 60, body.len() / 2, body.len() - 1] {
        let (pieces, from) = mpsc::channel(8);
        pieces.send(Bytes::copy_from_slice(&body[..cut])).await.unwrap();
        drop(pieces);
        if let Ok(mut answer) = http_backend(&world.root(), &receive_pack(), from).await {
            answer.rest.read_to_end(&mut Vec::new()).await.unwrap();
        }
        assert_eq!((world.tip().await, world.hooked()), (None, String::new()), "cut at {cut}");
    }
}
