//! What the images run on: a process runner. ECR takes no push on moto, so its images lie in the host's registry, of which
//! a relay before the runner's socket makes a mirror, as clusters have them.

use std::net::SocketAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

use longshore_runner::RunnerClient;

use crate::builds::REGISTRY;
use crate::outside;
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
        let registry = outside::registry(&folder.join("registry"));
        let (own, runner) = outside::runner(folder, &registry);
        let socket = folder.join("cluster.sock");
        let proxy = ask(runner.info()).unwrap().proxy;
        let relay = UnixListener::bind(&socket).unwrap();
        thread::spawn(move || {
            for stream in relay.incoming() {
                let own = own.clone();
                thread::spawn(move || pass(&stream.unwrap(), &own));
            }
        });
        Self { runner, registry, socket, proxy }
    }
}

impl Drop for Cluster {
    /// What it started ends with it.
    fn drop(&mut self) {
        let ended = ask(self.runner.shutdown());
        assert!(ended.is_ok() || thread::panicking(), "{ended:?}");
    }
}

/// One connection carries one request. What the images are called is the mirror's business.
fn pass(client: &UnixStream, own: &Path) -> Option<()> {
    let (head, body) = outside::request(client)?;
    let body = body.replace(&format!("{REGISTRY}/"), "");
    let is_length = |line: &&str| line.to_lowercase().starts_with("content-length:");
    let head: Vec<&str> = head.lines().filter(|line| !is_length(line)).collect();
    let request = format!("{}\r\ncontent-length: {}\r\n\r\n{body}", head.join("\r\n"), body.len());
    outside::forward(client, own, &request)
}
