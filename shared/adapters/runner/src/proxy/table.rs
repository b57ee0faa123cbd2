//! Which workload a request is for: by its host name.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use longshore_ports::Workload;

use super::route::Route;

/// The routes of all workloads, by host name.
#[derive(Debug, Default)]
pub(crate) struct Table(RwLock<Names>);

#[derive(Debug, Default)]
struct Names {
    routes: BTreeMap<Workload, Arc<Route>>,
    hosts: BTreeMap<String, Arc<Route>>,
}

impl Table {
    /// Adds or removes a workload's route.
    pub(crate) fn set(&self, workload: &Workload, route: Option<Arc<Route>>) {
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if names.routes.contains_key(workload) == route.is_some() {
            return;
        }
        match route {
            Some(route) => names.routes.insert(workload.clone(), route),
            None => names.routes.remove(workload),
        };
        names.hosts = names.routes.keys().flat_map(|workload| names.hosts_of(workload)).collect();
    }

    /// The route for a request's `Host`; an error names the hosts that are known.
    pub(crate) fn find(&self, host: &str) -> Result<Arc<Route>, Vec<String>> {
        let host = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let host = if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(host.to_ascii_lowercase())
        } else {
            Cow::Borrowed(host)
        };
        let names = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let only = || names.routes.values().next().filter(|_| names.routes.len() == 1 && !is_ours(&host));
        let found = names.hosts.get(&*host).or_else(only);
        found.cloned().ok_or_else(|| names.hosts.keys().cloned().collect())
    }

    /// The hosts by which a workload is known.
    pub(crate) fn hosts(&self, workload: &Workload) -> Vec<String> {
        let names = self.0.read().unwrap_or_else(PoisonError::into_inner);
        names.hosts_of(workload).into_iter().map(|(host, _)| host).collect()
    }
}

/// A name of the kind that workloads have: one that is not known is an error, not a name from elsewhere.
fn is_ours(host: &str) -> bool {
    host.ends_with(".localhost")
}

impl Names {
    /// `service.localhost` only while the service is in one environment.
    fn hosts_of(&self, workload: &Workload) -> Vec<(String, Arc<Route>)> {
        let Some(route) = self.routes.get(workload) else { return Vec::new() };
        let Workload { environment, service } = workload;
        let full = (format!("{service}.{environment}.localhost"), Arc::clone(route));
        let environments: BTreeSet<_> = self
            .routes
            .keys()
            .filter(|other| other.service == *service)
            .map(|other| &other.environment)
            .collect();
        let short = (environments.len() == 1).then(|| (format!("{service}.localhost"), Arc::clone(route)));
        [full].into_iter().chain(short).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::workload_of;

    #[test]
    fn hosts_name_a_workload_while_they_are_unambiguous() {
        let table = Table::default();
        let (prod, test) = (workload_of("prod", "shop"), workload_of("test", "shop"));
        let (a, b) = (Arc::new(Route::default()), Arc::new(Route::default()));
        table.set(&prod, Some(Arc::clone(&a)));
        for host in ["shop.prod.localhost", "Shop.localhost:8080", "127.0.0.1:8080", ""] {
            assert!(Arc::ptr_eq(&table.find(host).unwrap(), &a), "{host}");
        }
        assert_eq!(table.find("cart.localhost").unwrap_err(), ["shop.localhost", "shop.prod.localhost"]);
        table.set(&test, Some(Arc::clone(&b)));
        assert!(Arc::ptr_eq(&table.find("shop.test.localhost").unwrap(), &b));
        assert_eq!(table.find("shop.localhost").unwrap_err(), ["shop.prod.localhost", "shop.test.localhost"]);
        assert!(table.find("127.0.0.1:8080").is_err());
        table.set(&prod, None);
        assert_eq!(table.hosts(&test), ["shop.test.localhost", "shop.localhost"]);
        assert_eq!(table.hosts(&prod), Vec::<String>::new());
    }
}
