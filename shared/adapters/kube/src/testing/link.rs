//! The pair of virtual links that joins a cluster to the machine, and the addresses on both sides.
//!
//! Every cluster has a number, and the one that could make the link of that number has it. Addresses are of the networks
//! that RFC 2544 keeps for tests of devices: `198.18.0.0/15`.

use std::net::Ipv4Addr;
use std::process::Command;

/// As many clusters may run at once.
const MOST: u8 = 100;

/// The machine's side of the pair.
#[derive(Debug)]
pub(super) struct Link {
    number: u8,
}

impl Link {
    /// Makes a pair whose other side, `eth0`, is in the network namespace of a process.
    pub(super) fn make(pid: u32) -> Self {
        let make = |number: u8| {
            let (name, pid) = (name(number), pid.to_string());
            // Only what was made here is ours to remove.
            ip(&["link", "add", &name, "type", "veth", "peer", "name", "eth0", "netns", &pid])
                .map(|()| Self { number })
        };
        let mut refused = String::new();
        let link = (1..=MOST).find_map(|number| make(number).map_err(|why| refused = why).ok());
        let link = link.unwrap_or_else(|| panic!("no virtual link can be made: {refused}"));
        let (name, node) = (link.name(), link.node().to_string());
        must(&["address", "add", &format!("{}/30", link.host()), "dev", &name]);
        must(&["link", "set", &name, "up"]);
        for network in [link.pods(), link.services()] {
            must(&["route", "add", &network, "via", &node]);
        }
        link
    }

    /// What is to be done on the cluster's side, by a shell.
    pub(super) fn other_side(&self) -> String {
        let (node, host) = (self.node(), self.host());
        format!("ip address add {node}/30 dev eth0 && ip link set eth0 up && ip route add default via {host}")
    }

    /// The name, also of whatever else belongs to this cluster alone.
    pub(super) fn name(&self) -> String {
        name(self.number)
    }

    /// The machine, as the cluster sees it.
    pub(super) fn host(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.number, 1)
    }

    /// The node, where the API server is too.
    pub(super) fn node(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.number, 2)
    }

    /// The addresses of pods.
    pub(super) fn pods(&self) -> String {
        format!("198.19.{}.0/24", self.number)
    }

    /// The addresses of services.
    pub(super) fn services(&self) -> String {
        format!("198.19.{}.0/24", 128 + self.number)
    }

    /// The first of [`Link::services`]: the API server, as pods see it.
    pub(super) fn api_service(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 19, 128 + self.number, 1)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // It went with the namespace, or goes now.
        let _ = ip(&["link", "delete", &self.name()]);
    }
}

fn name(number: u8) -> String {
    format!("longshore{number}")
}

fn ip(words: &[&str]) -> Result<(), String> {
    let said = Command::new("ip").args(words).output().unwrap();
    let why = || String::from_utf8_lossy(&said.stderr).trim().to_owned();
    if said.status.success() { Ok(()) } else { Err(why()) }
}

fn must(words: &[&str]) {
    ip(words).unwrap_or_else(|why| panic!("ip {}: {why}", words.join(" ")));
}
