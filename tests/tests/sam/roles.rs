//! What the roles of the template allow: each function has its own, and none allows more than it names.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::blocks::binaries;
use crate::stack::{logical, transformed};

/// What may hold a wildcard, by role, with its reason.
const WILDCARDS: &[(&str, &str)] = &[
    // The services' repositories are made as services come; a prefix bounds them.
    ("BuildRole", "repository/${RepositoryPrefix}/*"),
    ("BuilderRole", "repository/${RepositoryPrefix}/*"),
    ("DeployRole", "repository/${RepositoryPrefix}/*"),
    ("GateRole", "repository/${RepositoryPrefix}/*"),
    // ecr:GetAuthorizationToken knows no resources.
    ("BuilderRole", "*"),
    ("GateRole", "*"),
    ("ScanRole", "repository/${RepositoryPrefix}/*"),
    // CloudWatch's metrics are asked without a resource.
    ("DeployRole", "*"),
    // What Inspector knows is asked without a resource.
    ("ScanRole", "*"),
    // Manifests of builds are named by their builds.
    ("BuildRole", "${Bucket.Arn}/builds/*"),
    ("BuilderRole", "${Bucket.Arn}/builds/*"),
    // Large data is named by its content.
    ("BuildRole", "${Bucket.Arn}/blobs/*"),
    ("ConsoleRole", "${Bucket.Arn}/blobs/*"),
    ("DeployRole", "${Bucket.Arn}/blobs/*"),
    ("GateRole", "${Bucket.Arn}/blobs/*"),
    ("RefcheckRole", "${Bucket.Arn}/blobs/*"),
    ("ReportRole", "${Bucket.Arn}/blobs/*"),
    ("ScanRole", "${Bucket.Arn}/blobs/*"),
    // People ask the console for whatever the table has an index for.
    ("ConsoleRole", "${Table.Arn}/index/*"),
];

/// All texts within a value.
fn texts(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| texts(value, into)),
        Value::Object(values) => values.values().for_each(|value| texts(value, into)),
        _ => {}
    }
}

/// The statements of a role, those under a condition of the template too.
fn statements(role: &Value) -> Vec<Value> {
    let policies = role["Properties"]["Policies"].as_array().unwrap();
    let all = policies.iter().flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().unwrap());
    all.map(|statement| statement["Fn::If"].get(1).unwrap_or(statement).clone()).collect()
}

#[test]
fn each_function_has_a_role_of_its_own_and_no_role_is_a_managed_one() {
    let template = transformed();
    let resources = template["Resources"].as_object().unwrap();
    let mut roles = BTreeSet::new();
    for (name, resource) in resources.iter().filter(|(_, r)| r["Type"] == "AWS::Lambda::Function") {
        let role = resource["Properties"]["Role"]["Fn::GetAtt"][0].as_str().unwrap();
        assert_eq!(role, format!("{name}Role"));
        assert!(roles.insert(role), "{role} is of two functions");
        assert!(resources[role]["Properties"]["ManagedPolicyArns"].is_null(), "{role}");
    }
    for function in binaries().keys() {
        assert!(roles.contains(&*format!("{}Role", logical(function))), "the template has no {function}");
    }
}

#[test]
fn nothing_is_allowed_by_a_wildcard_but_what_has_a_reason() {
    let template = transformed();
    let resources = template["Resources"].as_object().unwrap();
    let mut used = BTreeSet::new();
    for (role, resource) in resources.iter().filter(|(_, r)| r["Type"] == "AWS::IAM::Role") {
        for statement in statements(resource) {
            assert_eq!(statement["Effect"], "Allow");
            let (mut actions, mut on) = (Vec::new(), Vec::new());
            texts(&statement["Action"], &mut actions);
            texts(&statement["Resource"], &mut on);
            assert!(!actions.is_empty() && !on.is_empty(), "{role}: {statement}");
            assert!(actions.iter().all(|action| !action.contains('*')), "{role}: {actions:?}");
            for text in on.iter().filter(|text| text.contains('*')) {
                let reason = WILDCARDS
                    .iter()
                    .find(|(of, end)| of == role && text.ends_with(end) && (*end != "*" || text == "*"));
                used.insert(reason.unwrap_or_else(|| panic!("{role}: {text} has no reason in this test")));
            }
        }
    }
    assert_eq!(used.len(), WILDCARDS.len(), "some wildcards are gone, and their reasons are not: {used:?}");
}

#[test]
fn only_who_needs_secrets_reads_them_and_builds_read_none_of_the_functions() {
    let template = transformed();
    let resources = template["Resources"].as_object().unwrap();
    let reads = |resource: &&Value| {
        let mut on = Vec::new();
        let reads =
            statements(resource).into_iter().filter(|s| s["Action"] == "secretsmanager:GetSecretValue");
        reads.for_each(|statement| texts(&statement["Resource"], &mut on));
        on.contains(&"Secret".to_owned())
    };
    let roles = resources.iter().filter(|(_, r)| r["Type"] == "AWS::IAM::Role");
    let readers: Vec<&str> = roles.filter(|(_, role)| reads(role)).map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        readers,
        ["BuildRole", "ConsoleRole", "DeployRole", "IntakeRole", "RefcheckRole", "ReportRole"]
    );
}
