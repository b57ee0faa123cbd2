//! What a run may do to others at most: whom it speaks to, how often, how fast, how long.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::options::{Options, network};

/// The ceiling of a run. By default it has none, except that metadata services are never spoken to.
#[derive(Debug, Clone, Default)]
pub struct Ceiling {
    /// Targets that the run may speak to: `name`, `name:port`, `*.name`, an address, or a network as in `10.0.0.0/8`.
    /// `None` allows all.
    pub targets: Option<Vec<String>>,
    /// Requests of the whole run.
    pub requests: Option<u64>,
    /// Iterations a second that arrival-rate executors may begin, and the option `rps`.
    pub rate: Option<f64>,
    /// From the begin to the last interrupted iteration.
    pub duration: Option<Duration>,
    /// VUs at once.
    pub vus: Option<u64>,
}

/// A ceiling, and what was used of it.
#[derive(Debug)]
pub(crate) struct Limits {
    ceiling: Ceiling,
    requests: AtomicU64,
}

impl Limits {
    pub(crate) fn new(ceiling: Ceiling) -> Self {
        Self { ceiling, requests: AtomicU64::new(0) }
    }

    /// Whether a run with these options stays below the ceiling.
    ///
    /// # Errors
    /// What would go above it.
    pub(crate) fn check(&self, options: &Options) -> Result<(), String> {
        use crate::options::Executor;
        let total = options.max_vus();
        if let Some(most) = self.ceiling.vus.filter(|most| total > *most) {
            return Err(format!("the script wants {total} VUs, and at most {most} are allowed"));
        }
        let end = options.scenarios.iter().map(super::options::Scenario::end).max().unwrap_or_default();
        if let Some(most) = self.ceiling.duration.filter(|most| end > *most) {
            return Err(format!("the script may take {end:?}, and at most {most:?} are allowed"));
        }
        #[expect(clippy::cast_precision_loss, reason = "rates are small")]
        let rate = |executor: &Executor| match executor {
            Executor::ConstantArrivalRate { rate, time_unit, .. } => *rate as f64 / time_unit.as_secs_f64(),
            Executor::RampingArrivalRate { start_rate, stages, time_unit, .. } => {
                let most = stages.iter().map(|stage| stage.target).max().unwrap_or(0).max(*start_rate);
                most as f64 / time_unit.as_secs_f64()
            }
            _ => 0.0,
        };
        let rate: f64 = options.scenarios.iter().map(|scenario| rate(&scenario.executor)).sum();
        if let Some(most) = self.ceiling.rate.filter(|most| rate > *most) {
            return Err(format!(
                "the script begins {rate} iterations a second, and at most {most} are allowed"
            ));
        }
        Ok(())
    }

    /// Counts a request.
    ///
    /// # Errors
    /// It is one too many.
    pub(crate) fn count(&self) -> Result<(), String> {
        let Some(most) = self.ceiling.requests else { return Ok(()) };
        if self.requests.fetch_add(1, Ordering::Relaxed) < most {
            return Ok(());
        }
        Err(format!("the run has made all of the {most} requests that it may make"))
    }

    /// Whether this address, which stands for that name, may be spoken to.
    ///
    /// # Errors
    /// It may not.
    pub(crate) fn admit(&self, name: &str, address: &SocketAddr) -> Result<(), String> {
        let Some(targets) = &self.ceiling.targets else {
            return if is_metadata(address.ip()) {
                Err(format!(
                    "{} serves credentials of this machine: name it as an allowed target",
                    address.ip()
                ))
            } else {
                Ok(())
            };
        };
        if targets.iter().any(|target| matches(target, name, address)) {
            return Ok(());
        }
        Err(format!("{name} ({address}) is not one of the run's allowed targets"))
    }
}

/// Where clouds serve what a machine may know of itself, credentials among it.
fn is_metadata(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address == std::net::Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    }
}

fn matches(target: &str, name: &str, address: &SocketAddr) -> bool {
    if let Ok((of, length)) = network(target) {
        return crate::http::contains(of, length, address.ip());
    }
    if let Ok(exactly) = target.parse::<SocketAddr>() {
        return exactly == *address;
    }
    let (wanted, port) = match target.rsplit_once(':') {
        Some((wanted, port)) => (wanted, Some(port)),
        None => (target, None),
    };
    // Whoever names a host does not mean that it may turn out to be the metadata service.
    let named = wanted.strip_prefix('*').map_or(wanted.eq_ignore_ascii_case(name), |end| name.ends_with(end));
    named && port.is_none_or(|port| port == address.port().to_string()) && !is_metadata(address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(targets: Option<&[&str]>, name: &str, address: &str) -> bool {
        let targets = targets.map(|all| all.iter().map(|text| (*text).to_owned()).collect());
        Limits::new(Ceiling { targets, ..Ceiling::default() }).admit(name, &address.parse().unwrap()).is_ok()
    }

    #[test]
    fn only_allowed_targets_are_spoken_to() {
        let some: Option<&[&str]> = Some(&["shop.test", "*.api.test:443", "10.0.0.0/8", "127.0.0.1:80"]);
        for (name, address, may) in [
            ("shop.test", "1.2.3.4:80", true),
            ("x.api.test", "1.2.3.4:443", true),
            ("x.api.test", "1.2.3.4:80", false),
            ("other.test", "10.1.1.1:80", true),
            ("other.test", "1.2.3.4:80", false),
            ("127.0.0.1", "127.0.0.1:80", true),
            ("127.0.0.1", "127.0.0.1:81", false),
            ("shop.test", "169.254.169.254:80", false),
        ] {
            assert_eq!(admits(some, name, address), may, "{name} {address}");
        }
    }

    #[test]
    fn metadata_services_are_refused_unless_named() {
        assert!(admits(None, "x", "1.2.3.4:80"));
        assert!(!admits(None, "x", "169.254.169.254:80"));
        assert!(admits(Some(&["169.254.169.254"]), "x", "169.254.169.254:80"));
    }

    #[test]
    fn requests_are_counted() {
        let limits = Limits::new(Ceiling { requests: Some(2), ..Ceiling::default() });
        assert!(limits.count().is_ok() && limits.count().is_ok() && limits.count().is_err());
    }
}
