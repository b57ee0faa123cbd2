//! Who gets the traffic of a service while two releases of it run.
//!
//! With a route among the manifests (of the Gateway API, or Istio's VirtualService) its weights share the traffic, exactly. Without
//! one all of it goes to one release by the Service's selector, or it is shared by the number of instances.
//!
//! Source: "HTTPRoute", `spec.rules.backendRefs.weight`, of the Gateway API; "Virtual Service", `http.route.weight`, of Istio.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::mark;
use crate::object::Object;

/// The group of the Gateway API's routes.
const GATEWAY: &str = "gateway.networking.k8s.io/";
/// The groups of Istio's VirtualService.
const ISTIO: &str = "networking.istio.io/";
/// A request with this header and value reaches the new release, whatever its share.
const TESTERS: (&str, &str) = ("x-longshore-release", "new");
/// The Gateway API takes no more rules in one route.
const MAX_RULES: usize = 16;

/// How the traffic is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// By the weights of a route.
    Route,
    /// By a selector: all of it goes to one release.
    Selector,
    /// By the number of instances.
    Instances,
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Selector => "selector",
            Self::Instances => "instances",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Route, Self::Selector, Self::Instances].into_iter().find(|mode| mode.name() == name)
    }
}

/// Shares in percent, by release.
pub(crate) type Weights = BTreeMap<u64, u8>;

/// How the traffic can be shared, with these manifests of a service whose pods have these labels.
pub(crate) struct Traffic {
    /// The Services whose pods these are.
    services: Vec<String>,
    has_route: bool,
}

impl Traffic {
    pub(crate) fn of(objects: &[Object], pods: &BTreeMap<&str, &str>) -> Self {
        let is_front = |object: &&Object| {
            let selector = object.texts("/spec/selector");
            object.kind() == "Service"
                && !selector.is_empty()
                && selector.iter().all(|(key, value)| pods.get(key) == Some(value))
        };
        let services: Vec<String> =
            objects.iter().filter(is_front).map(|service| service.name().to_owned()).collect();
        let mut routes = objects.iter().filter(|object| is_route(object));
        let has_route = routes.any(|route| {
            let mut route = route.clone();
            let mut found = false;
            destinations(&mut route, |_, destinations| {
                found |= destinations.iter().any(|one| target(one, &services).is_some());
            });
            found
        });
        Self { services, has_route }
    }

    /// How the traffic is shared when `weight` percent of it are the candidate's.
    pub(crate) fn mode(&self, weight: u8) -> Mode {
        match weight {
            _ if self.has_route => Mode::Route,
            0 | 100 => Mode::Selector,
            _ => Mode::Instances,
        }
    }

    /// Changes the objects so that the traffic is shared so. `new` is the release that testers reach by a header.
    pub(crate) fn share(&self, objects: &mut Vec<Object>, mode: Mode, weights: &Weights, new: Option<u64>) {
        match mode {
            Mode::Instances => {}
            Mode::Selector => {
                let Some((release, _)) = weights.iter().max_by_key(|(_, weight)| **weight) else { return };
                for service in objects.iter_mut().filter(|object| self.is_front(object)) {
                    service.set(&["spec", "selector"], mark::RELEASE, release.to_string().into());
                }
            }
            Mode::Route => {
                let fronts: Vec<Object> =
                    objects.iter().filter(|object| self.is_front(object)).cloned().collect();
                for release in weights.keys().copied().chain(new.filter(|new| !weights.contains_key(new))) {
                    objects.extend(fronts.iter().map(|front| of_release(front, release)));
                }
                for route in objects.iter_mut().filter(|object| is_route(object)) {
                    self.share_route(route, weights, new);
                }
            }
        }
    }

    fn is_front(&self, object: &Object) -> bool {
        object.kind() == "Service" && self.services.iter().any(|name| name == object.name())
    }

    fn share_route(&self, route: &mut Object, weights: &Weights, new: Option<u64>) {
        let mut testers = Vec::new();
        destinations(route, |rule, destinations| {
            let ours = |one: &Value| target(one, &self.services).is_some();
            if !destinations.iter().any(ours) {
                return;
            }
            if let Some(new) = new {
                let only =
                    |one: &Value| target(one, &self.services).map(|name| renamed(one, &name, new, None));
                testers.push(for_testers(
                    rule,
                    destinations.iter().map(|one| only(one).unwrap_or(one.clone())).collect(),
                ));
            }
            let shared = destinations.iter().flat_map(|one| match target(one, &self.services) {
                None => vec![times_100(one)],
                Some(name) => {
                    // Beside others, a weight is a share of its own weight.
                    let own = if destinations.len() == 1 { 1 } else { weight(one) };
                    let each = |(release, share): (&u64, &u8)| {
                        renamed(one, &name, *release, Some(own * u64::from(*share)))
                    };
                    weights.iter().map(each).collect()
                }
            });
            *destinations = shared.collect();
        });
        if let Some(rules) = rules(route).filter(|rules| rules.len() + testers.len() <= MAX_RULES) {
            rules.splice(..0, testers);
        }
    }
}

/// What routes traffic by weights.
fn is_route(object: &Object) -> bool {
    (object.api_version().starts_with(GATEWAY) && object.kind().ends_with("Route"))
        || (object.api_version().starts_with(ISTIO) && object.kind() == "VirtualService")
}

fn is_istio(route: &Object) -> bool {
    route.kind() == "VirtualService"
}

/// The rules of a route.
fn rules(route: &mut Object) -> Option<&mut Vec<Value>> {
    let key = if is_istio(route) { "http" } else { "rules" };
    let rules = &mut route.at(&["spec"])[key];
    rules.as_array_mut()
}

/// Gives each rule of a route, and where it leads to.
fn destinations(route: &mut Object, mut each: impl FnMut(&Value, &mut Vec<Value>)) {
    let key = if is_istio(route) { "route" } else { "backendRefs" };
    for rule in rules(route).into_iter().flatten() {
        let before = rule.clone();
        if let Some(destinations) = rule.get_mut(key).and_then(Value::as_array_mut) {
            each(&before, destinations);
        }
    }
}

/// The Service of these that a destination means.
fn target(destination: &Value, services: &[String]) -> Option<String> {
    let text = |key: &str| destination.get(key).and_then(Value::as_str);
    if let Some(host) = destination.pointer("/destination/host").and_then(Value::as_str) {
        let name = host.split('.').next().unwrap_or(host);
        return services.iter().find(|service| *service == name).cloned();
    }
    let is_service = text("kind").is_none_or(|kind| kind == "Service") && text("namespace").is_none();
    let name = text("name").filter(|_| is_service)?;
    services.iter().find(|service| *service == name).cloned()
}

fn weight(destination: &Value) -> u64 {
    destination.get("weight").and_then(Value::as_u64).unwrap_or(1)
}

/// Another destination of the rule, whose part stays the same beside shares in percent.
fn times_100(destination: &Value) -> Value {
    let mut destination = destination.clone();
    destination["weight"] = (100 * weight(&destination)).into();
    destination
}

/// The destination, for one release. Its weight is left out where it is the only one.
fn renamed(destination: &Value, service: &str, release: u64, weight: Option<u64>) -> Value {
    let mut destination = destination.clone();
    let name = beside(service, release);
    if destination.get("destination").is_some() {
        destination["destination"]["host"] = name.into();
    } else {
        destination["name"] = name.into();
    }
    match (weight, destination.as_object_mut()) {
        (Some(weight), _) => destination["weight"] = weight.into(),
        (None, Some(map)) => drop(map.remove("weight")),
        (None, None) => {}
    }
    destination
}

/// The rule once more, for requests with the testers' header.
fn for_testers(rule: &Value, destinations: Vec<Value>) -> Value {
    let mut rule = rule.clone();
    let (name, value) = TESTERS;
    if rule.get("route").is_some() {
        rule["route"] = destinations.into();
        let mut matches = rule.get("match").and_then(Value::as_array).cloned().unwrap_or(vec![json!({})]);
        for one in &mut matches {
            one["headers"][name] = json!({"exact": value});
        }
        rule["match"] = matches.into();
        if rule.get("name").is_some() {
            rule["name"] = format!("{}-testers", rule["name"].as_str().unwrap_or_default()).into();
        }
        return rule;
    }
    rule["backendRefs"] = destinations.into();
    let all = json!([{"path": {"type": "PathPrefix", "value": "/"}}]);
    let mut matches = rule.get("matches").and_then(Value::as_array).cloned().unwrap_or_default();
    if matches.is_empty() {
        matches.extend(all.as_array().cloned().unwrap_or_default());
    }
    for one in &mut matches {
        let mut headers = one.get("headers").and_then(Value::as_array).cloned().unwrap_or_default();
        headers.push(json!({"type": "Exact", "name": name, "value": value}));
        one["headers"] = headers.into();
    }
    rule["matches"] = matches.into();
    if let Some(map) = rule.as_object_mut() {
        map.remove("name");
    }
    rule
}

/// A Service for one release of those behind `front`.
fn of_release(front: &Object, release: u64) -> Object {
    let ports = front.items("/spec/ports").iter().map(|port| {
        let mut port = port.clone();
        if let Some(map) = port.as_object_mut() {
            map.remove("nodePort");
        }
        port
    });
    let mut selector = front.0["spec"]["selector"].clone();
    selector[mark::RELEASE] = release.to_string().into();
    Object(json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": beside(front.name(), release), "namespace": front.text("/metadata/namespace")},
        "spec": {"selector": selector, "ports": ports.collect::<Vec<_>>()},
    }))
}

/// The name of what belongs to one release alone: `web-r5`, at most 63 characters.
pub(crate) fn beside(name: &str, release: u64) -> String {
    let suffix = format!("-r{release}");
    let room = 63 - suffix.len().min(62);
    let short: String = name.chars().take(room).collect();
    format!("{}{suffix}", short.trim_end_matches(['-', '.']))
}

/// How many instances a candidate needs for its share, beside so many of the running release.
///
/// # Errors
/// When so large a share cannot be had by numbers alone.
pub(crate) fn needed(mode: Mode, running: u64, weight: u8) -> Result<u64, String> {
    let (running, weight) = (running.max(1), u64::from(weight.min(100)));
    match mode {
        Mode::Route | Mode::Selector => Ok((running * weight).div_ceil(100).max(1)),
        Mode::Instances if weight <= MOST_BY_INSTANCES => {
            let rest = 100 - weight;
            Ok(((running * weight + rest / 2) / rest).max(1))
        }
        Mode::Instances => Err(format!(
            "a share of {weight} % cannot be had by the number of instances, only up to {MOST_BY_INSTANCES} %: put an \
             HTTPRoute or a VirtualService into the manifests, or leave the step out"
        )),
    }
}

/// A larger share would take more than four times the running release's instances.
const MOST_BY_INSTANCES: u64 = 80;

#[cfg(test)]
#[path = "traffic_tests.rs"]
mod tests;
