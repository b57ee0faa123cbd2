//! Queues in the places of the functions that the stack's rules name: moto fails over a rule whose target is a function.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::Target;
use longshore_aws::{Aws, testing};

/// By the functions that the rules of a bus are for, the queues that took their places; `name` calls the queue of a
/// function and one of its rules.
pub(crate) async fn queues(
    aws: &Aws,
    bus: &str,
    name: impl Fn(&str, &str) -> String,
) -> BTreeMap<String, BTreeSet<String>> {
    let client = Client::new(aws.config());
    let rules = client.list_rules().event_bus_name(bus).send().await.unwrap().rules.unwrap_or_default();
    let mut queues: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for rule in rules {
        let id = rule.name.unwrap();
        let targets = client.list_targets_by_rule().rule(&id).event_bus_name(bus).send().await.unwrap();
        let [target] = targets.targets() else { panic!("{id} has not one target: {targets:?}") };
        let removed = client.remove_targets().rule(&id).event_bus_name(bus).ids(&target.id);
        removed.send().await.unwrap();
        // A schedule: moto would bring it every event.
        if rule.event_pattern.is_none() {
            continue;
        }
        assert!(target.dead_letter_config.is_some(), "{id} sets nothing aside");
        // arn:…:function:longshore-Build-…
        let function = target.arn.rsplit(':').next().unwrap().split('-').nth(1).unwrap();
        let name = name(function, &id);
        let arn = format!("arn:aws:sqs:eu-west-1:123456789012:{name}");
        queues.entry(function.to_owned()).or_default().insert(testing::queue(aws, &name).await);
        let queue = Target::builder().id("queue").arn(arn).build().unwrap();
        client.put_targets().rule(&id).event_bus_name(bus).targets(queue).send().await.unwrap();
    }
    queues
}
