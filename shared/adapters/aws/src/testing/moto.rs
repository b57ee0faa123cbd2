//! moto, started once for each process of tests and ended by its pid.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

static RUNNING: Mutex<Weak<Moto>> = Mutex::new(Weak::new());

/// A running moto. The last user's end is its own.
pub struct Moto {
    child: Child,
    /// `host:port`.
    pub address: String,
}

impl Moto {
    /// The process's moto; starts it when there is none.
    pub fn running() -> Arc<Self> {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(moto) = running.upgrade() {
            return moto;
        }
        let moto = Self::start();
        *running = Arc::downgrade(&moto);
        moto
    }

    /// One for the caller alone.
    pub fn start() -> Arc<Self> {
        let mut command = Command::new("moto-python");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/peers/aws.py"));
        // It takes a free port by itself, and says which.
        command.args(["-H", "127.0.0.1", "-p", "0"]).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| {
            panic!("moto-python: {error}; run `cargo xtask peers`, and the tests by `cargo xtask test`")
        });
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| Some(line.split_once("Running on http://")?.1.to_owned()));
        let address = address.unwrap_or_else(|| panic!("moto_server ended before it served"));
        // What it logs must go somewhere, or it would wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Arc::new(Self { child, address: address.trim().to_owned() })
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
