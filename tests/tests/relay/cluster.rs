//! What the images run on: a process runner. ECR takes no push on moto, so its images lie in the host's registry, of which
//! a relay before the runner's socket makes a mirror, as clusters have them.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use longshore_oci::server::{Store, router};
use longshore_runner::{Config, PullAccess, RunnerClient};

use crate::builds::REGISTRY;
use crate::sandbox::PATIENCE;
use crate::stack::ask;

/// A registry and a runner, in threads of the test.
pub(crate) struct Cluster {
    pub(crate) runner: RunnerClient,
    /// The registry's address.
    pub(crate) registry: String,
    /// The socket for the functions.
    pub(crate) socket: PathBuf,
    pub(crate) proxy: SocketAddr,
}

impl Cluster {
    pub(crate) fn start(folder: &Path) -> Self {
        let store = Store::open(&folder.join("registry")).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let registry = listener.local_addr().unwrap().to_string();
        apart(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router(store, Arc::new(()))).await.unwrap();
        });
        let (own, socket) = (folder.join("runner.sock"), folder.join("cluster.sock"));
        let config = Config {
            data: folder.join("runner"),
            socket: own.clone(),
            proxy: "127.0.0.1:0".parse().unwrap(),
            pull: PullAccess { registry: Some(format!("http://{registry}")), login: None },
        };
        apart(async move { longshore_runner::serve(config).await.unwrap() });
        let runner = RunnerClient::new(own.clone());
        let begun = Instant::now();
        let info = loop {
            match ask(runner.info()) {
                Ok(info) => break info,
                Err(error) => assert!(begun.elapsed() < PATIENCE, "the runner does not answer: {error}"),
            }
            thread::sleep(Duration::from_millis(5));
        };
        let relay = UnixListener::bind(&socket).unwrap();
        thread::spawn(move || {
            for stream in relay.incoming() {
                let own = own.clone();
                // A function that is killed leaves its order half sent.
                thread::spawn(move || pass(&stream.unwrap(), &own));
            }
        });
        Self { runner, registry, socket, proxy: info.proxy }
    }
}

impl Drop for Cluster {
    /// What it started ends with it.
    fn drop(&mut self) {
        let ended = ask(self.runner.shutdown());
        assert!(ended.is_ok() || thread::panicking(), "{ended:?}");
    }
}

/// Runs something on a runtime of its own.
fn apart(work: impl Future<Output = ()> + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    thread::spawn(move || runtime.block_on(work));
}

/// One connection carries one request. What the images are called is the mirror's business.
fn pass(client: &UnixStream, own: &Path) -> Option<()> {
    let (head, body) = whole(client)?;
    let body = body.replace(&format!("{REGISTRY}/"), "");
    let is_length = |line: &&str| line.to_lowercase().starts_with("content-length:");
    let head: Vec<&str> = head.lines().filter(|line| !is_length(line)).collect();
    let head = head.join("\r\n");
    let runner = UnixStream::connect(own).ok()?;
    let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    (&runner).write_all(request.as_bytes()).ok()?;
    let (mut from, mut to) = (runner.try_clone().ok()?, client.try_clone().ok()?);
    let back = thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
    });
    let _ = (&*client).read_to_end(&mut Vec::new());
    let _ = runner.shutdown(Shutdown::Both);
    back.join().ok()
}

/// The head of a request, and a body of the length that it says.
fn whole(mut stream: &UnixStream) -> Option<(String, String)> {
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
