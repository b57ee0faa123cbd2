//! A workload goes through rollouts in a cluster that does at once what it is told.

use serde_json::json;

use super::*;
use crate::orders::{WEB, desired, release, wanted};
use longshore_ports::{DesiredRelease, Progress};

const ROUTE: &str = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: web}\n\
    spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: web, port: 80}]}]}\n";

/// The objects of a namespace, as their controllers would leave them once `settled`.
struct Cluster {
    objects: BTreeMap<ObjectRef, Object>,
    now: Timestamp,
}

impl Cluster {
    fn new() -> Self {
        Self { objects: BTreeMap::new(), now: "2026-12-01T12:00:00Z".parse().unwrap() }
    }

    fn running(&self) -> Running {
        let has_pods = self.objects.values().filter(|object| object.template_path().is_some());
        Running::sort(has_pods.cloned().collect())
    }

    fn apply(&mut self, pair: (u64, u32), releases: &[DesiredRelease], yaml: &str) {
        let wish = desired(pair, releases);
        let wanted: Vec<_> = releases.iter().map(|release| wanted(release, yaml)).collect();
        let shape = shape(&wish, &wanted, &self.running(), self.now).unwrap();
        for of in &shape.remove {
            self.objects.remove(of);
        }
        for (mut candidate, until) in shape.drain {
            candidate.set_annotation(mark::DRAINS_UNTIL, &until.to_string());
            self.objects.insert(candidate.reference(), candidate);
        }
        let inventory = Shape::inventory_text(&shape.inventory);
        let main = shape.main.map(|mut main| {
            main.set_annotation(mark::INVENTORY, &inventory);
            main.set_annotation(mark::GENERATION, &pair.0.to_string());
            main.set_annotation(mark::STEP, &pair.1.to_string());
            main
        });
        for object in shape.objects.into_iter().chain(main) {
            let of = object.reference();
            let status = self.objects.get(&of).map_or(json!(null), |before| before.0["status"].clone());
            let before = self.objects.get(&of).map(|before| before.0["spec"].clone());
            let mut object = object;
            object.set(&["metadata"], "generation", 1.into());
            if before.as_ref() == Some(&object.0["spec"]) {
                object.set(&[], "status", status);
            }
            self.objects.insert(of, object);
        }
    }

    /// Its controllers bring everything to run.
    fn settle(&mut self) {
        for object in self.objects.values_mut().filter(|object| object.kind() == "Deployment") {
            let all = object.number("/spec/replicas").unwrap_or(1);
            let status = json!({
                "observedGeneration": 1, "replicas": all, "updatedReplicas": all, "availableReplicas": all,
                "conditions": [
                    {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
                    {"type": "Available", "status": "True"},
                ],
            });
            object.set(&[], "status", status);
        }
    }

    fn progress(&self) -> Progress {
        self.running().progress(self.now)
    }

    fn names(&self) -> Vec<String> {
        self.objects.keys().map(ToString::to_string).collect()
    }

    fn get(&self, kind: &str, name: &str) -> &Object {
        let found = self.objects.values().find(|one| one.kind() == kind && one.name() == name);
        found.unwrap_or_else(|| panic!("no {kind} {name} in {:?}", self.names()))
    }

    fn backends(&self) -> Vec<(String, u64)> {
        let rules = self.get("HTTPRoute", "web").items("/spec/rules");
        let of =
            |one: &Value| (one["name"].as_str().unwrap().to_owned(), one["weight"].as_u64().unwrap_or(1));
        rules.last().unwrap()["backendRefs"].as_array().unwrap().iter().map(of).collect()
    }

    fn selector(&self) -> Value {
        self.get("Service", "web").0["spec"]["selector"].clone()
    }
}

fn at(release: DesiredRelease, weight: u8) -> DesiredRelease {
    DesiredRelease { weight, ..release }
}

/// Release 3 runs alone.
fn started(yaml: &str) -> Cluster {
    let mut cluster = Cluster::new();
    cluster.apply((3, 1), &[release(3, 100)], yaml);
    assert_eq!(cluster.progress(), Progress::Working);
    cluster.settle();
    assert_eq!(cluster.progress(), Progress::Settled);
    cluster
}

#[test]
fn one_release_takes_another_s_place_in_place_and_what_is_left_over_goes_once_it_has_arrived() {
    let mut cluster =
        started(&[WEB, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: old}\n"].concat());
    cluster.apply((5, 1), &[release(5, 100)], WEB);
    assert!(cluster.names().contains(&"ConfigMap old".to_owned()), "old instances may need it");
    assert_eq!(cluster.progress(), Progress::Working);
    cluster.settle();
    assert_eq!(cluster.progress(), Progress::Again);
    cluster.apply((5, 1), &[release(5, 100)], WEB);
    assert_eq!(cluster.names(), ["Deployment web", "CronJob nightly", "ConfigMap web", "Service web"]);
    assert_eq!(cluster.progress(), Progress::Settled);
    assert_eq!(cluster.running().primary(), Some(5));
}

#[test]
fn a_canary_s_share_rises_when_there_are_enough_instances_for_it() {
    let yaml = [WEB, ROUTE].concat();
    let mut cluster = started(&yaml);
    let both = |old, new| [at(release(3, 0), old), at(release(5, 0), new)];
    cluster.apply((5, 1), &both(100, 0), &yaml);
    assert_eq!(cluster.backends(), [("web-r3".into(), 100), ("web-r5".into(), 0)]);
    assert_eq!(cluster.get("Deployment", "web-r5").number("/spec/replicas"), Some(1));
    cluster.settle();
    cluster.apply((5, 2), &both(34, 66), &yaml);
    assert_eq!(cluster.get("Deployment", "web-r5").number("/spec/replicas"), Some(2));
    assert_eq!(cluster.backends(), [("web-r3".into(), 100), ("web-r5".into(), 0)], "not yet");
    assert_eq!(cluster.progress(), Progress::Working);
    cluster.settle();
    assert_eq!(cluster.progress(), Progress::Again);
    cluster.apply((5, 2), &both(34, 66), &yaml);
    assert_eq!(cluster.backends(), [("web-r3".into(), 34), ("web-r5".into(), 66)]);
    assert_eq!(cluster.progress(), Progress::Settled);
    assert_eq!(cluster.running().primary(), Some(3), "the running release is left as it is");
}

#[test]
fn a_candidate_that_has_won_gives_its_traffic_back_to_the_workload_of_the_manifests_and_goes() {
    let yaml = [WEB, ROUTE].concat();
    let mut cluster = started(&yaml);
    let both = |old, new| [at(release(3, 0), old), at(release(5, 0), new)];
    for step in 1..=3 {
        cluster.apply((5, step), &both(0, 100), &yaml);
        cluster.settle();
    }
    assert_eq!(cluster.backends(), [("web-r3".into(), 0), ("web-r5".into(), 100)]);
    cluster.apply((5, 4), &[release(5, 100)], &yaml);
    assert_eq!(cluster.backends(), [("web-r5".into(), 100)], "while the other one changes");
    assert_eq!(cluster.progress(), Progress::Working);
    cluster.settle();
    assert_eq!(cluster.progress(), Progress::Again);
    cluster.apply((5, 4), &[release(5, 100)], &yaml);
    assert_eq!(cluster.backends(), [("web".into(), 1)]);
    assert_eq!(cluster.progress(), Progress::Working, "it ends what it was asked before");
    assert!(cluster.names().contains(&"Deployment web-r5".to_owned()));
    cluster.now += SignedDuration::from_secs(5);
    assert_eq!(cluster.progress(), Progress::Again);
    cluster.apply((5, 4), &[release(5, 100)], &yaml);
    assert_eq!(cluster.progress(), Progress::Settled);
    let names = ["Deployment web", "CronJob nightly", "HTTPRoute web", "ConfigMap web", "Service web"];
    assert_eq!(cluster.names(), names);
}

#[test]
fn a_candidate_that_is_taken_back_leaves_the_running_release_untouched() {
    let yaml = [WEB, ROUTE].concat();
    let mut cluster = started(&yaml);
    let before = cluster.get("Deployment", "web").0["spec"].clone();
    let both = |old, new| [at(release(3, 0), old), at(release(5, 0), new)];
    cluster.apply((5, 1), &both(100, 0), &yaml);
    cluster.settle();
    cluster.apply((5, 2), &both(90, 10), &yaml);
    cluster.apply((5, 3), &[release(3, 100)], &yaml);
    assert_eq!(cluster.backends(), [("web".into(), 1)], "at once");
    cluster.now += SignedDuration::from_secs(5);
    cluster.apply((5, 3), &[release(3, 100)], &yaml);
    assert_eq!(cluster.progress(), Progress::Settled);
    assert!(!cluster.names().iter().any(|name| name.ends_with("-r5")), "{:?}", cluster.names());
    assert_eq!(cluster.get("Deployment", "web").0["spec"], before);
}

#[test]
fn a_candidate_that_a_killed_writer_made_too_late_goes_though_nothing_knows_of_it() {
    let mut overtaken = started(WEB);
    overtaken.apply((5, 1), &[at(release(3, 0), 100), at(release(5, 0), 0)], WEB);
    overtaken.settle();
    let late = overtaken.get("Deployment", "web-r5").clone();
    let mut cluster = started(WEB);
    cluster.objects.insert(late.reference(), late);
    assert_eq!(cluster.progress(), Progress::Again);
    cluster.apply((6, 1), &[release(3, 100)], WEB);
    assert_eq!(cluster.progress(), Progress::Working, "it drains");
    cluster.now += SignedDuration::from_secs(5);
    assert_eq!(cluster.progress(), Progress::Again);
    cluster.apply((6, 1), &[release(3, 100)], WEB);
    assert_eq!(cluster.progress(), Progress::Settled);
    assert!(!cluster.names().iter().any(|name| name.ends_with("-r5")), "{:?}", cluster.names());
}

#[test]
fn without_a_route_the_service_s_selector_keeps_a_candidate_without_traffic() {
    let mut cluster = started(WEB);
    assert_eq!(cluster.selector(), json!({"app": "web"}));
    let both = |old, new| [at(release(3, 0), old), at(release(5, 0), new)];
    cluster.apply((5, 1), &both(100, 0), WEB);
    assert_eq!(cluster.selector(), json!({"app": "web", mark::RELEASE: "3"}));
    cluster.settle();
    cluster.apply((5, 2), &both(75, 25), WEB);
    assert_eq!(cluster.selector(), json!({"app": "web"}), "by the number of instances");
    assert_eq!(cluster.get("Deployment", "web-r5").number("/spec/replicas"), Some(1));
    cluster.settle();
    cluster.apply((5, 3), &both(0, 100), WEB);
    assert_eq!(cluster.selector(), json!({"app": "web"}), "two more have to come first");
    cluster.settle();
    cluster.apply((5, 3), &both(0, 100), WEB);
    assert_eq!(cluster.selector(), json!({"app": "web", mark::RELEASE: "5"}));
}

#[test]
fn what_is_replaced_in_place_alone_cannot_run_twice() {
    let yaml = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: web}\n\
        spec: {template: {spec: {containers: [{name: web, image: web}]}}}\n";
    let releases = [release(3, 100), release(5, 0)];
    let wanted: Vec<_> = releases.iter().map(|release| wanted(release, yaml)).collect();
    let error =
        shape(&desired((5, 1), &releases), &wanted, &Running::default(), Timestamp::UNIX_EPOCH).unwrap_err();
    assert!(error.to_string().contains("give the environment the strategy rolling"), "{error}");
}

#[test]
fn nothing_wished_removes_everything_and_what_carries_the_wish_last() {
    let cluster = started(WEB);
    let shape = shape(&desired((9, 0), &[]), &[], &cluster.running(), cluster.now).unwrap();
    let removed: Vec<String> = shape.remove.iter().map(ToString::to_string).collect();
    assert_eq!(removed, ["CronJob nightly", "ConfigMap web", "Service web", "Deployment web"]);
}
