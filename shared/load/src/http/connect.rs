//! A new connection: the name's address, TCP, and TLS where asked for, each timed.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;

use super::client::Network;
use super::error::HttpError;
use super::names::overridden;
use super::stream::Stream;
use super::url::Url;
use crate::fiber::Reactor;

/// Go's dialer, as k6 sets it.
const CONNECT: Duration = Duration::from_secs(30);

/// How long the parts of connecting took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Connecting {
    pub(crate) looking_up: Duration,
    pub(crate) tcp: Duration,
    pub(crate) tls: Duration,
}

/// Connects to where the URL leads.
pub(crate) fn connect(
    reactor: &Rc<Reactor>,
    network: &Network,
    url: &Url,
    deadline: Option<Instant>,
) -> Result<(Stream, Connecting), HttpError> {
    let mut times = Connecting::default();
    let begun = Instant::now();
    let addresses = if let Some(address) = overridden(&network.options.hosts, &url.host, url.port) {
        vec![address]
    } else {
        let found = network.names.find(reactor, &url.host, deadline)?;
        found.into_iter().map(|address| SocketAddr::new(address, url.port)).collect()
    };
    let looked_up = Instant::now();
    times.looking_up = looked_up - begun;
    let mut stream = first(reactor, network, url, &addresses, deadline)?;
    let connected = Instant::now();
    times.tcp = connected - looked_up;
    if url.tls {
        let name = ServerName::try_from(url.host.clone())
            .map_err(|_| HttpError::Tls(format!("{:?} is not a name for a certificate", url.host)))?;
        let config = network.tls.config().map_err(HttpError::Tls)?;
        let tls =
            rustls::ClientConnection::new(config, name).map_err(|error| HttpError::Tls(error.to_string()))?;
        stream.secure(tls, deadline)?;
        times.tls = connected.elapsed();
    }
    Ok((stream, times))
}

/// The first address that answers.
fn first(
    reactor: &Rc<Reactor>,
    network: &Network,
    url: &Url,
    addresses: &[SocketAddr],
    deadline: Option<Instant>,
) -> Result<Stream, HttpError> {
    let mut failed = HttpError::NoSuchHost;
    for address in addresses {
        if let Some((blocked, length)) =
            network.options.blocked.iter().find(|(network, length)| contains(*network, *length, address.ip()))
        {
            return Err(HttpError::Blacklisted(format!("{} is in {blocked}/{length}", address.ip())));
        }
        network.limits.admit(&url.host, address).map_err(HttpError::Refused)?;
        let limit = Instant::now() + CONNECT;
        let limit = deadline.map_or(limit, |deadline| deadline.min(limit));
        match Stream::connect(reactor, *address, Some(limit)) {
            Ok(stream) => return Ok(stream),
            Err(HttpError::Interrupted) => return Err(HttpError::Interrupted),
            Err(HttpError::ConnectTimeout) if deadline == Some(limit) => return Err(HttpError::Timeout),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Whether an address belongs to a network, given as its address and the length of its prefix.
pub(crate) fn contains(network: IpAddr, length: u8, address: IpAddr) -> bool {
    match (network, address.to_canonical()) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
            u32::from(network) & mask == u32::from(address) & mask
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0);
            u128::from(network) & mask == u128::from(address) & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_what_shares_its_prefix() {
        let is_in = |network: &str, length, address: &str| {
            contains(network.parse().unwrap(), length, address.parse().unwrap())
        };
        assert!(is_in("10.0.0.0", 8, "10.9.8.7"));
        assert!(!is_in("10.0.0.0", 8, "11.0.0.0"));
        assert!(is_in("0.0.0.0", 0, "1.2.3.4"));
        assert!(is_in("10.0.0.1", 32, "::ffff:10.0.0.1"));
        assert!(is_in("fe80::", 10, "fe80::1") && !is_in("fe80::", 10, "::1"));
    }
}
