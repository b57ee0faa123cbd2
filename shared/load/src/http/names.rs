//! Addresses of names: looked up once a run, off the event loop.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::error::HttpError;
use crate::fiber::{Reactor, Wake};

/// What is known of a name.
#[derive(Debug, Clone)]
enum Known {
    Asked,
    Found(Vec<IpAddr>),
    Nothing,
}

/// Addresses by name, for all loops.
#[derive(Debug, Default)]
pub(crate) struct Names(Arc<Mutex<HashMap<String, Known>>>);

/// Between two looks whether an answer is there.
const LOOK: Duration = Duration::from_millis(1);

impl Names {
    /// The addresses of a name, the preferred one first. Suspends the fiber while they are looked up.
    pub(crate) fn find(
        &self,
        reactor: &Reactor,
        name: &str,
        deadline: Option<Instant>,
    ) -> Result<Vec<IpAddr>, HttpError> {
        if let Ok(address) = name.parse() {
            return Ok(vec![address]);
        }
        loop {
            match self.known(name) {
                Some(Known::Found(found)) => return Ok(found),
                Some(Known::Nothing) => return Err(HttpError::NoSuchHost),
                Some(Known::Asked) => {}
                None => self.ask(name),
            }
            let now = Instant::now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Err(HttpError::Timeout);
            }
            if reactor.park(Some(now + LOOK)) == Wake::Stop {
                return Err(HttpError::Interrupted);
            }
        }
    }

    fn known(&self, name: &str) -> Option<Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Has a thread of its own ask the system, which may take its time.
    fn ask(&self, name: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.contains_key(name) {
            return;
        }
        all.insert(name.to_owned(), Known::Asked);
        drop(all);
        let (shared, name) = (Arc::clone(&self.0), name.to_owned());
        std::thread::spawn(move || {
            let found =
                (name.as_str(), 0).to_socket_addrs().map(|all| all.map(|a| a.ip()).collect::<Vec<_>>());
            let known = match found {
                Ok(found) if !found.is_empty() => Known::Found(preferred(found)),
                _ => Known::Nothing,
            };
            shared.lock().unwrap_or_else(PoisonError::into_inner).insert(name, known);
        });
    }
}

/// IPv4 first, as k6 prefers it; each once.
fn preferred(mut found: Vec<IpAddr>) -> Vec<IpAddr> {
    found.sort_by_key(IpAddr::is_ipv6);
    found.dedup();
    found
}

/// Where the option `hosts` leads to: an address, with or without a port, by name with or without a port or by `*.name`.
pub(crate) fn overridden(
    hosts: &std::collections::BTreeMap<String, String>,
    name: &str,
    port: u16,
) -> Option<SocketAddr> {
    if hosts.is_empty() {
        return None;
    }
    let wildcard = |known: &str| known.strip_prefix('*').is_some_and(|end| name.ends_with(end));
    let to = hosts
        .get(&format!("{name}:{port}"))
        .or_else(|| hosts.get(name))
        .or_else(|| hosts.iter().find(|(known, _)| wildcard(known)).map(|(_, to)| to))?;
    to.parse().ok().or_else(|| Some(SocketAddr::new(to.parse().ok()?, port)))
}
