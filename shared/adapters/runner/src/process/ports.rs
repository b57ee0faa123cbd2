//! Free ports for what runs.
//!
//! They are taken from below the range that the kernel uses for outgoing connections: a port that was free a moment
//! ago would otherwise sometimes be some client's by the time the program listens on it.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::sync::Mutex;

use crate::release::cell::locked;

/// The lowest port given away.
const LOWEST: u16 = 15_000;

/// The ports given away by this runner.
#[derive(Debug)]
pub(crate) struct Ports {
    range: Range<u16>,
    taken: Mutex<(u16, BTreeSet<u16>)>,
}

impl Ports {
    /// Starts looking at a port that depends on `seed`, so that two runners seldom look at the same.
    pub(crate) fn new(seed: u32) -> Self {
        let range = LOWEST..outgoing().unwrap_or(32_768).max(LOWEST + 1000);
        let offset = u64::from(seed).wrapping_mul(0x9e37_79b9) % u64::from(range.end - range.start);
        let first = range.start + u16::try_from(offset).unwrap_or_default();
        Self { range, taken: Mutex::new((first, BTreeSet::new())) }
    }

    /// Takes a port that was given back before, if nobody listens on it.
    pub(crate) fn retake(&self, port: u16) -> bool {
        port > 0 && is_free(port) && locked(&self.taken).1.insert(port)
    }

    /// A port that nobody listens on.
    pub(crate) fn take(&self) -> Option<u16> {
        let mut taken = locked(&self.taken);
        for _ in 0..self.range.len() {
            let port = taken.0;
            taken.0 = if port + 1 >= self.range.end { self.range.start } else { port + 1 };
            if !taken.1.contains(&port) && is_free(port) {
                taken.1.insert(port);
                return Some(port);
            }
        }
        None
    }

    /// Notes a port that an earlier runner gave away.
    pub(crate) fn note(&self, port: u16) {
        locked(&self.taken).1.insert(port);
    }

    /// Takes a port back.
    pub(crate) fn give_back(&self, port: u16) {
        locked(&self.taken).1.remove(&port);
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// The lowest port that the kernel uses for outgoing connections.
fn outgoing() -> Option<u16> {
    fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_to_one_only() {
        let ports = Ports::new(std::process::id());
        let (a, b) = (ports.take().unwrap(), ports.take().unwrap());
        assert_ne!(a, b);
        assert!(!ports.retake(a));
        ports.give_back(a);
        assert!(ports.retake(a));
    }

    #[test]
    fn a_port_that_somebody_took_is_not_given_again() {
        let ports = Ports::new(std::process::id());
        let port = ports.take().unwrap();
        ports.give_back(port);
        let _somebody = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(!ports.retake(port));
        assert_ne!(ports.take(), Some(port));
    }
}
