//! A process runner, and a relay before its socket that can keep an order back.

use std::io::Read as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use longshore_ports::{Observed, Workload, Workloads as _};
use longshore_runner::RunnerClient;

use crate::outside;
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
        let (socket, client) = outside::runner(stage.folder.path(), &stage.registry);
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
        Self { client, holds, held: Mutex::new(held), orders }
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
        let Some((head, body)) = outside::request(client) else { return };
        let request = format!("{head}\r\n\r\n{body}");
        if request.starts_with("POST /v1/apply ") {
            if self.holds.load(Ordering::SeqCst) {
                let _ = self.hold.send(());
                // Until the client is gone: its order is lost.
                let _ = (&*client).read_to_end(&mut Vec::new());
                return;
            }
            self.orders.lock().unwrap().push(request.clone());
        }
        outside::forward(client, &self.socket, &request);
    }
}
