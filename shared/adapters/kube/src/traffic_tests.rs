use super::*;

fn objects(yaml: &str) -> Vec<Object> {
    crate::manifest::parse(yaml, "shop").unwrap()
}

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n\
    spec: {selector: {app: web}, type: NodePort, ports: [{name: http, port: 80, targetPort: 8080, nodePort: 30080}]}\n---\n";
const ROUTE: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: web}\n\
    spec: {parentRefs: [{name: gw}], rules: [{matches: [{path: {type: PathPrefix, value: /}}], backendRefs: [{name: web, port: 80}]}]}\n";

fn pods() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([("app", "web"), ("tier", "front")])
}

fn shared(yaml: &str, mode: Mode, weights: &[(u64, u8)], new: Option<u64>) -> Vec<Object> {
    let mut objects = objects(yaml);
    let traffic = Traffic::of(&objects, &pods());
    traffic.share(&mut objects, mode, &weights.iter().copied().collect(), new);
    objects
}

fn find<'a>(objects: &'a [Object], kind: &str, name: &str) -> &'a Object {
    objects.iter().find(|one| one.kind() == kind && one.name() == name).unwrap()
}

#[test]
fn with_a_route_the_share_is_its_weights() {
    let yaml = [SERVICE, ROUTE].concat();
    assert_eq!(Traffic::of(&objects(&yaml), &pods()).mode(10), Mode::Route);
    let all = shared(&yaml, Mode::Route, &[(3, 90), (5, 10)], None);
    let route = find(&all, "HTTPRoute", "web");
    let expected =
        json!([{"name": "web-r3", "port": 80, "weight": 90}, {"name": "web-r5", "port": 80, "weight": 10}]);
    assert_eq!(route.0["spec"]["rules"][0]["backendRefs"], expected);
    let service = find(&all, "Service", "web-r5");
    assert_eq!(service.0["spec"]["selector"], json!({"app": "web", mark::RELEASE: "5"}));
    assert_eq!(service.0["spec"]["ports"], json!([{"name": "http", "port": 80, "targetPort": 8080}]));
    assert!(service.0["spec"].get("type").is_none(), "it is only for inside");
    assert_eq!(find(&all, "Service", "web").0["spec"]["selector"], json!({"app": "web"}));
}

#[test]
fn testers_reach_the_new_release_by_a_header() {
    let yaml = [SERVICE, ROUTE].concat();
    let all = shared(&yaml, Mode::Route, &[(3, 100), (5, 0)], Some(5));
    let rules = find(&all, "HTTPRoute", "web").items("/spec/rules").to_vec();
    assert_eq!(rules.len(), 2);
    assert_eq!(rules[0]["backendRefs"], json!([{"name": "web-r5", "port": 80}]));
    let header = json!([{"type": "Exact", "name": "x-longshore-release", "value": "new"}]);
    assert_eq!(rules[0]["matches"][0]["headers"], header);
    assert_eq!(rules[0]["matches"][0]["path"]["value"], "/");
}

#[test]
fn other_back_ends_of_a_rule_keep_their_part() {
    let yaml = [
        SERVICE,
        &ROUTE.replace(
            "{name: web, port: 80}",
            "{name: web, port: 80, weight: 3}, {name: legacy, port: 80, weight: 1}",
        ),
    ]
    .concat();
    let all = shared(&yaml, Mode::Route, &[(3, 90), (5, 10)], None);
    let backends = find(&all, "HTTPRoute", "web").items("/spec/rules/0/backendRefs").to_vec();
    let weights: Vec<_> =
        backends.iter().map(|one| (one["name"].as_str().unwrap(), one["weight"].as_u64())).collect();
    // The part of `legacy` was 1 of 4.
    assert_eq!(weights, [("web-r3", Some(270)), ("web-r5", Some(30)), ("legacy", Some(100))]);
}

#[test]
fn istio_s_routes_are_shared_too() {
    let route = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: web}\n\
        spec: {hosts: [web], http: [{route: [{destination: {host: web.shop.svc.cluster.local, port: {number: 80}}}]}]}\n";
    let all = shared(&[SERVICE, route].concat(), Mode::Route, &[(3, 75), (5, 25)], Some(5));
    let http = find(&all, "VirtualService", "web").items("/spec/http").to_vec();
    assert_eq!(http[0]["match"][0]["headers"]["x-longshore-release"], json!({"exact": "new"}));
    assert_eq!(http[0]["route"][0]["destination"]["host"], "web-r5");
    let weights: Vec<_> =
        http[1]["route"].as_array().unwrap().iter().map(|one| one["weight"].as_u64().unwrap()).collect();
    assert_eq!(weights, [75, 25]);
}

#[test]
fn without_a_route_the_selector_gives_all_of_it_to_one() {
    let traffic = Traffic::of(&objects(SERVICE), &pods());
    assert_eq!(
        (traffic.mode(0), traffic.mode(100), traffic.mode(20)),
        (Mode::Selector, Mode::Selector, Mode::Instances)
    );
    let all = shared(SERVICE, Mode::Selector, &[(3, 0), (5, 100)], None);
    assert_eq!(find(&all, "Service", "web").0["spec"]["selector"][mark::RELEASE], "5");
    let all = shared(SERVICE, Mode::Instances, &[(3, 80), (5, 20)], None);
    assert_eq!(find(&all, "Service", "web").0["spec"]["selector"], json!({"app": "web"}));
}

#[test]
fn a_service_of_other_pods_is_left_alone() {
    let other = SERVICE.replace("{app: web}", "{app: admin}");
    let all = shared(&other, Mode::Selector, &[(5, 100)], None);
    assert_eq!(find(&all, "Service", "web").0["spec"]["selector"], json!({"app": "admin"}));
}

#[test]
fn instances_are_counted_for_the_share() {
    let cases = [
        (Mode::Route, 3, 10, 1),
        (Mode::Route, 10, 25, 3),
        (Mode::Selector, 3, 100, 3),
        (Mode::Selector, 3, 0, 1),
        (Mode::Instances, 9, 10, 1),
        (Mode::Instances, 3, 50, 3),
        (Mode::Instances, 2, 75, 6),
        (Mode::Instances, 1, 10, 1),
    ];
    for (mode, running, weight, count) in cases {
        assert_eq!(needed(mode, running, weight), Ok(count), "{mode:?} {running} {weight}");
    }
    assert!(needed(Mode::Instances, 3, 90).unwrap_err().contains("HTTPRoute"));
}

#[test]
fn names_beside_fit_a_label() {
    assert_eq!(beside("web", 5), "web-r5");
    let long = beside(&"a-".repeat(40), 123);
    assert!(long.len() <= 63 && long.ends_with("-r123"), "{long}");
}
