//! A registry and a process runner, in threads of the test, and what stands between the runner's socket and its clients.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use longshore_oci::server::{Store, router};
use longshore_runner::{Config, PullAccess, RunnerClient};

use crate::sandbox::PATIENCE;

/// Serves a registry whose images lie in a folder; its address.
pub(crate) fn registry(folder: &Path) -> String {
    let store = Store::open(folder).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    apart(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        axum::serve(listener, router(store, Arc::new(()))).await.unwrap();
    });
    address
}

/// Starts a runner that keeps its things in a folder and has its images from a registry; its socket, and a client.
pub(crate) fn runner(folder: &Path, registry: &str) -> (PathBuf, RunnerClient) {
    let socket = folder.join("runner.sock");
    let config = Config {
        data: folder.join("runner"),
        socket: socket.clone(),
        proxy: "127.0.0.1:0".parse().unwrap(),
        pull: PullAccess { registry: Some(format!("http://{registry}")), login: None },
    };
    apart(async move { longshore_runner::serve(config).await.unwrap() });
    let begun = Instant::now();
    while UnixStream::connect(&socket).is_err() {
        assert!(begun.elapsed() < PATIENCE, "the runner does not answer");
        thread::sleep(Duration::from_millis(5));
    }
    (socket.clone(), RunnerClient::new(socket))
}

/// Runs something on a runtime of its own.
fn apart(work: impl Future<Output = ()> + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    thread::spawn(move || runtime.block_on(work));
}

/// A request of the runner's client: its head, and a body of the length that it says. `None` when the client is gone: a
/// function that is killed leaves its order half sent.
pub(crate) fn request(mut stream: &UnixStream) -> Option<(String, String)> {
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    loop {
        let n = stream.read(&mut buffer).ok().filter(|n| *n > 0)?;
        text += std::str::from_utf8(&buffer[..n]).ok()?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return Some((head.to_owned(), body.to_owned()));
        }
    }
}

/// Passes a request on to the runner, and what it answers back, until the client is gone.
pub(crate) fn forward(client: &UnixStream, runner: &Path, request: &str) -> Option<()> {
    let runner = UnixStream::connect(runner).ok()?;
    (&runner).write_all(request.as_bytes()).ok()?;
    let (mut from, mut to) = (runner.try_clone().ok()?, client.try_clone().ok()?);
    let back = thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
    });
    let _ = (&*client).read_to_end(&mut Vec::new());
    let _ = runner.shutdown(Shutdown::Both);
    back.join().ok()
}
