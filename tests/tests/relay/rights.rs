//! Least privilege: what each function asked of AWS, against what the template's role lets it. Nothing that it asked for may
//! be denied, and nothing granted that it never asked for.

use std::collections::BTreeSet;

use longshore_aws::testing::Asked;
use serde_json::Value;

use crate::stack::{Stack, logical};
use crate::stage::{FUNCTIONS, key};

/// What no function asks for by itself, with the reason. The ends of actions and resources.
const PLATFORM: &[(&str, &str, &str)] = &[
    ("logs:CreateLogStream", "", "Lambda writes the log as the function"),
    ("logs:PutLogEvents", "", "Lambda writes the log as the function"),
    ("sqs:SendMessage", "-DeadLetters-", "Lambda sets aside what failed as the function"),
    ("sqs:ReceiveMessage", "-Wakes-", "Lambda reads the queue as the function"),
    ("sqs:DeleteMessage", "-Wakes-", "Lambda reads the queue as the function"),
    ("sqs:GetQueueAttributes", "-Wakes-", "Lambda reads the queue as the function"),
];

/// What a function may need and no storm makes it do, with the reason: function, action, and a part of the resource.
const RARE: &[(&str, &str, &str, &str)] = &[
    ("build", "dynamodb:GetItem", "", "an event that came while its unit was busy is read"),
    ("refcheck", "dynamodb:GetItem", "", "an event that came while its unit was busy is read"),
    ("gate", "dynamodb:GetItem", "", "an event that came while its unit was busy is read"),
    ("gate", "dynamodb:UpdateItem", "", "an event is put off while the outside does not answer"),
    ("gate", "s3:PutObject", "/blobs/", "what a decision saw, where it is large"),
    ("gate", "sqs:SendMessage", "-Wakes-", "it wakes for deadlines, waivers and approvals that end"),
    ("report", "dynamodb:GetItem", "", "an event that came while its unit was busy is read"),
    ("report", "dynamodb:UpdateItem", "", "an event is put off while the outside does not answer"),
    ("report", "sqs:SendMessage", "-Wakes-", "what could not be told is tried again"),
    ("report", "events:PutEvents", "", "it says nothing but that it gave up"),
    ("report", "s3:PutObject", "/blobs/", "what a decision saw, where it is large"),
    ("gate", "ecr:GetAuthorizationToken", "", "no environment of the storm requires signatures"),
    ("gate", "ecr:BatchGetImage", "", "no environment of the storm requires signatures"),
    ("gate", "ecr:GetDownloadUrlForLayer", "", "no environment of the storm requires signatures"),
    ("gate", "ecr:ListImageReferrers", "", "no environment of the storm requires signatures"),
    ("scan", "dynamodb:GetItem", "", "an event that came while its unit was busy is read"),
    ("scan", "inspector2:ListCoverage", "", "ECR asks Inspector as the function, where Inspector scans"),
    ("scan", "inspector2:ListFindings", "", "ECR asks Inspector as the function, where Inspector scans"),
    ("build", "s3:GetObject", "/builds/", "no service of the storm renders manifests"),
    ("build", "dynamodb:UpdateItem", "", "an event is put off while the outside does not answer"),
    ("deploy", "dynamodb:UpdateItem", "", "an event is put off while the outside does not answer"),
    ("refcheck", "dynamodb:UpdateItem", "", "an event is put off while the outside does not answer"),
    ("scan", "dynamodb:UpdateItem", "", "an event is put off while the outside does not answer"),
    ("deploy", "cloudwatch:GetMetricData", "", "a rollout by steps is measured, where CloudWatch is asked"),
    ("scan", "events:PutEvents", "", "what it says is owed to nobody yet"),
    ("deploy", "s3:PutObject", "/blobs/", "what a decision saw, where it is large"),
    ("refcheck", "s3:PutObject", "/blobs/", "what a decision saw, where it is large"),
    ("sweep", "sqs:SendMessage", "-Wakes-", "a wake-up further off than SQS delays one goes in again"),
];

/// An action on a resource, in which `*` stands for anything.
type Right = (String, String);

/// What is wrong with the roles; nothing is as it should be.
pub(crate) fn faults(stack: &Stack, asked: &[Asked]) -> Vec<String> {
    let mut faults = Vec::new();
    for function in FUNCTIONS {
        let granted = granted(stack, function);
        let key = key(function);
        let needed: BTreeSet<&Right> =
            asked.iter().filter(|call| call.who == key).flat_map(|call| &call.needs).collect();
        if needed.is_empty() {
            faults.push(format!("{function} asked for nothing: the test does not reach it"));
        }
        for (action, resource) in &needed {
            if !granted.iter().any(|right| allows(right, action, resource)) {
                faults.push(format!("{function} is denied {action} on {resource}"));
            }
        }
        for right in &granted {
            let used = needed.iter().any(|(action, resource)| allows(right, action, resource));
            let platform =
                PLATFORM.iter().any(|(action, place, _)| right.0 == *action && right.1.contains(place));
            let rare = RARE.iter().any(|(of, action, place, _)| {
                *of == function && right.0 == *action && right.1.contains(place)
            });
            if !used && !platform && !rare {
                faults.push(format!("{function} may {} on {}, and never does", right.0, right.1));
            }
        }
    }
    faults
}

/// What a role allows.
fn granted(stack: &Stack, function: &str) -> BTreeSet<Right> {
    let policy = stack.found(&format!("{}Role", logical(function)));
    let statements = policy["Statement"].as_array().unwrap();
    let texts = |value: &Value| match value {
        Value::Array(list) => list.iter().map(|text| text.as_str().unwrap().to_owned()).collect::<Vec<_>>(),
        one => vec![one.as_str().unwrap().to_owned()],
    };
    let mut rights = BTreeSet::new();
    for statement in statements {
        assert_eq!(statement["Effect"], "Allow");
        for action in texts(&statement["Action"]) {
            rights
                .extend(texts(&statement["Resource"]).into_iter().map(|resource| (action.clone(), resource)));
        }
    }
    rights
}

fn allows(right: &Right, action: &str, resource: &str) -> bool {
    right.0 == action && fits(&right.1, resource)
}

/// Whether a pattern with `*` fits a text.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len()).filter(|at| text.is_char_boundary(*at)).any(|at| fits(rest, &text[at..]))
        }),
    }
}

#[test]
fn a_pattern_fits_what_it_stands_for_alone() {
    assert!(
        fits("arn:aws:s3:::b/blobs/*", "arn:aws:s3:::b/blobs/sha256/1")
            && fits("*", "")
            && fits("a*c", "abc")
    );
    assert!(
        !fits("arn:aws:s3:::b/blobs/*", "arn:aws:s3:::b/other") && !fits("a", "ab") && !fits("a*c", "ab")
    );
}
