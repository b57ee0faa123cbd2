//! Which events the rules of the template bring to which function: each rule gets a queue in the function's place.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use longshore_aws::{WAKE, testing};
use longshore_events::Data;
use longshore_frame::lambda::routes;
use serde_json::{Value, json};

use crate::queues::queues;
use crate::stack::{NAME, Stack, ask, logical, root};

/// A queue for each rule of a bus.
pub(crate) async fn rule_queues(stack: &Stack, bus: &str) -> BTreeMap<String, BTreeSet<String>> {
    queues(&stack.aws, bus, |_, rule| rule.to_owned()).await
}

/// Puts an event onto a bus, and says which functions it came to, each as often as it came.
async fn reached(
    stack: &Stack,
    bus: &str,
    queues: &BTreeMap<String, BTreeSet<String>>,
    (source, kind, detail): (&str, &str, &Value),
) -> Vec<String> {
    let entry = PutEventsRequestEntry::builder().event_bus_name(bus).source(source).detail_type(kind);
    let entry = entry.detail(detail.to_string()).build();
    let answer = Client::new(stack.aws.config()).put_events().entries(entry).send().await.unwrap();
    assert_eq!(answer.failed_entry_count, 0, "{answer:?}");
    let mut reached = Vec::new();
    for (function, queues) in queues {
        for queue in queues {
            let came = testing::receive(&stack.aws, queue).await;
            reached.extend(came.iter().map(|_| function.clone()));
        }
    }
    reached
}

#[test]
fn each_event_comes_to_whom_it_is_owed_and_each_wake_up_to_its_function() {
    let stack = Stack::deploy();
    ask(async {
        let queues = rule_queues(&stack, NAME).await;
        let all: BTreeSet<String> = routes().0.iter().map(|(function, _)| logical(function)).collect();
        assert_eq!(queues.keys().cloned().collect::<BTreeSet<_>>(), all);
        for kind in Data::KINDS {
            let mut owed: Vec<String> = routes().takers(kind).map(logical).collect();
            owed.sort();
            let detail = json!({ "specversion": "1.0", "type": kind });
            assert_eq!(reached(&stack, NAME, &queues, ("longshore", kind, &detail)).await, owed, "{kind}");
            assert!(reached(&stack, NAME, &queues, ("somebody", kind, &detail)).await.is_empty(), "{kind}");
        }
        for (function, _) in routes().0 {
            let detail = json!({ "function": function, "unit": "shop" });
            let woken = reached(&stack, NAME, &queues, ("longshore", WAKE, &detail)).await;
            assert_eq!(woken, [logical(function)]);
        }
    });
}

#[test]
fn what_aws_says_comes_to_intake_but_for_what_is_nobodys_business() {
    let stack = Stack::deploy();
    let sample = |name: &str| -> Value {
        let path = root().join(format!("events/providers/aws/{name}.body"));
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    let ours = |name: &str| {
        let mut event = sample(name);
        event["detail"]["project-name"] = format!("{NAME}-builder").into();
        event
    };
    let names =
        stack.said["found"].as_object().unwrap().values().filter_map(|found| found["AlarmName"].as_str());
    let own_alarms: Vec<Value> = names
        .map(|name| {
            let mut alarm = sample("cloudwatch_alarm");
            alarm["detail"]["alarmName"] = name.into();
            alarm
        })
        .collect();
    assert_eq!(own_alarms.len(), 4);
    let taken = [sample("ecr_push"), sample("ecr_delete"), sample("ecr_scan"), sample("ecr_referrer")];
    let taken = taken.into_iter().chain([
        sample("inspector_finding"),
        sample("inspector_scan"),
        sample("cloudwatch_alarm"),
    ]);
    let taken = taken.chain([ours("codebuild_succeeded")]).map(|event| (event, 1));
    let left = [ours("codebuild_in_progress"), sample("codebuild_of_others")];
    let left = left.into_iter().chain(own_alarms).map(|event| (event, 0));
    ask(async {
        let queues = rule_queues(&stack, "default").await;
        assert_eq!(queues.keys().collect::<Vec<_>>(), ["Intake"]);
        for (event, times) in taken.chain(left) {
            let text = |name: &str| event[name].as_str().unwrap();
            let what = (text("source"), text("detail-type"), &event["detail"]);
            assert_eq!(reached(&stack, "default", &queues, what).await.len(), times, "{event}");
        }
    });
}
