//! A process runner, and a relay before its socket that can keep an order back.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use longshore_ports::{Observed, Workload, Workloads as _};
use longshore_runner::{Config, PullAccess, RunnerClient};

use crate::sandbox::PATIENCE;
use crate::stage::{Stage, ask};

/// The runner of a stage; the functions reach it through the relay.
pub(crate) struct Runner {
    client: RunnerClient,
    holds: Arc<AtomicBool>,
    held: Mutex<Receiver<()>>,
    orders: Arc<Mutex<Vec<String>>>,
}

impl Runner {
    /// Starts both, in threads of the test.
    pub(crate) fn start(stage: &Stage) -> Self {
        let socket = stage.path("runner.sock");
        let config = Config {
            data: stage.path("runner"),
            socket: socket.clone(),
            proxy: "127.0.0.1:0".parse().unwrap(),
            pull: PullAccess { registry: Some(format!("http://{}", stage.registry)), login: None },
        };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        std::thread::spawn(move || runtime.block_on(longshore_runner::serve(config)).unwrap());
        let client = RunnerClient::new(socket.clone());
        let relay = UnixListener::bind(stage.path("relay.sock")).unwrap();
        let holds = Arc::new(AtomicBool::new(false));
        let orders = Arc::new(Mutex::new(Vec::new()));
        let (hold, held) = channel();
        let passing = Relay { socket, holds: Arc::clone(&holds), hold, orders: Arc::clone(&orders) };
        std::thread::spawn(move || {
            for stream in relay.incoming() {
                let passing = passing.clone();
                std::thread::spawn(move || passing.pass(&stream.unwrap()));
            }
        });
        let runner = Self { client, holds, held: Mutex::new(held), orders };
        runner.until_it_answers();
        runner
    }

    /// Keeps orders back from now on, or lets them through again.
    pub(crate) fn hold_orders(&self, hold: bool) {
        self.holds.store(hold, Ordering::SeqCst);
    }

    /// Waits until an order is kept back.
    pub(crate) fn until_an_order_is_held(&self) {
        self.held.lock().unwrap().recv_timeout(PATIENCE).unwrap();
    }

    /// The orders that reached the runner.
    pub(crate) fn orders(&self) -> Vec<String> {
        self.orders.lock().unwrap().clone()
    }

    /// What runs of `prod/shop`.
    pub(crate) fn observed(&self) -> Observed {
        let workload = Workload { environment: "prod".parse().unwrap(), service: "shop".parse().unwrap() };
        ask(self.client.observe(&workload)).unwrap()
    }

    fn until_it_answers(&self) {
        let begun = std::time::Instant::now();
        while ask(self.client.info()).is_err() {
            assert!(begun.elapsed() < PATIENCE, "the runner does not answer");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

impl Drop for Runner {
    /// What it started ends with it.
    fn drop(&mut self) {
        let ended = ask(self.client.shutdown());
        assert!(ended.is_ok() || std::thread::panicking(), "{ended:?}");
    }
}

#[derive(Clone)]
struct Relay {
    socket: std::path::PathBuf,
    holds: Arc<AtomicBool>,
    hold: Sender<()>,
    orders: Arc<Mutex<Vec<String>>>,
}

impl Relay {
    /// One connection carries one request.
    fn pass(&self, client: &UnixStream) {
        let request = whole(client);
        if request.starts_with("POST /v1/apply ") {
            if self.holds.load(Ordering::SeqCst) {
                let _ = self.hold.send(());
                // Until the client is gone: its order is lost.
                let _ = (&*client).read_to_end(&mut Vec::new());
                return;
            }
            self.orders.lock().unwrap().push(request.clone());
        }
        let runner = UnixStream::connect(&self.socket).unwrap();
        (&runner).write_all(request.as_bytes()).unwrap();
        let (mut from, mut to) = (runner.try_clone().unwrap(), client.try_clone().unwrap());
        let back = std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
        });
        let _ = (&*client).read_to_end(&mut Vec::new());
        let _ = runner.shutdown(Shutdown::Both);
        let _ = back.join();
    }
}

/// A request of the runner's client: its head, and a body of the length that it says.
fn whole(stream: &UnixStream) -> String {
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    loop {
        let n = (&*stream).read(&mut buffer).unwrap_or_default();
        text += std::str::from_utf8(&buffer[..n]).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if n == 0 {
                return text;
            }
            continue;
        };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if n == 0 || body.len() >= length.unwrap_or(0) {
            return text;
        }
    }
}
