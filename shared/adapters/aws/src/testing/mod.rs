//! A stack on moto, for the tests of this adapter and of what uses it: what a template deploys is made here by calls,
//! and what the functions wrote is read behind their backs.
#![allow(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod codebuild;
mod moto;
mod proxy;
mod record;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use aws_sdk_codebuild::types::{
    ArtifactsType, ComputeType, EnvironmentType, ProjectArtifacts, ProjectEnvironment, ProjectSource,
    SourceType,
};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType,
    Projection, ProjectionType, ScalarAttributeType, TimeToLiveSpecification,
};
use aws_sdk_eventbridge::types::Target;
use longshore_events::{Digest, Event, ImageName};
use longshore_ports::{Registry as _, journal::UnitRow};
use serde_json::{Value, json};

use crate::journal::{item, keys};
use crate::{Aws, EcrRegistry, INDEXES, TTL};

pub use moto::Moto;
pub use proxy::{Fault, Proxy};
pub use record::Asked;

/// Makes the journal's table.
pub async fn table(aws: &Aws, name: &str) {
    let client = aws_sdk_dynamodb::Client::new(aws.config());
    let mut table = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    table = table.attribute_definitions(attribute("pk", ScalarAttributeType::S));
    table = table.attribute_definitions(attribute("sk", ScalarAttributeType::S));
    table = table.key_schema(key("pk", KeyType::Hash)).key_schema(key("sk", KeyType::Range));
    for index in INDEXES {
        table = table.attribute_definitions(attribute(index.partition, ScalarAttributeType::S));
        table = table.attribute_definitions(attribute(index.sort, ScalarAttributeType::N));
        let keys = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
        let made = GlobalSecondaryIndex::builder().index_name(index.name).projection(keys);
        let made = made.key_schema(key(index.partition, KeyType::Hash));
        let made = made.key_schema(key(index.sort, KeyType::Range)).build().unwrap();
        table = table.global_secondary_indexes(made);
    }
    table.send().await.unwrap();
    let ttl = TimeToLiveSpecification::builder().enabled(true).attribute_name(TTL).build().unwrap();
    client.update_time_to_live().table_name(name).time_to_live_specification(ttl).send().await.unwrap();
}

fn attribute(name: &str, kind: ScalarAttributeType) -> AttributeDefinition {
    AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
}

fn key(name: &str, kind: KeyType) -> KeySchemaElement {
    KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap()
}

/// Makes a queue; its address, at the endpoint of the account.
pub async fn queue(aws: &Aws, name: &str) -> String {
    let queue = aws_sdk_sqs::Client::new(aws.config()).create_queue().queue_name(name);
    let address = queue.send().await.unwrap().queue_url.unwrap();
    // moto names its own address, and what stands before it is to be spoken to.
    format!("{}/{}", endpoint(aws), address.splitn(4, '/').last().unwrap())
}

/// Makes a bus.
pub async fn bus(aws: &Aws, name: &str) {
    aws_sdk_eventbridge::Client::new(aws.config()).create_event_bus().name(name).send().await.unwrap();
}

/// Makes a queue that gets all of ours that comes onto a bus. A rule whose target is a function makes moto's PutEvents
/// fail: whoever tests takes the messages from the queue, and invokes the function.
pub async fn subscribe(aws: &Aws, bus: &str) -> String {
    let name = format!("{bus}-all");
    let url = queue(aws, &name).await;
    let client = aws_sdk_eventbridge::Client::new(aws.config());
    let pattern = json!({ "source": ["longshore"] }).to_string();
    client.put_rule().name("all").event_bus_name(bus).event_pattern(pattern).send().await.unwrap();
    let arn = format!("arn:aws:sqs:{}:123456789012:{name}", aws.account.region);
    let target = Target::builder().id("queue").arn(arn).build().unwrap();
    client.put_targets().rule("all").event_bus_name(bus).targets(target).send().await.unwrap();
    url
}

/// Takes all messages that are to be had from a queue.
pub async fn receive(aws: &Aws, queue: &str) -> Vec<Value> {
    let client = aws_sdk_sqs::Client::new(aws.config());
    let mut received = Vec::new();
    loop {
        let ask = client.receive_message().queue_url(queue).max_number_of_messages(10);
        let messages = ask.send().await.unwrap().messages.unwrap_or_default();
        if messages.is_empty() {
            return received;
        }
        for message in messages {
            let handle = message.receipt_handle.unwrap();
            client.delete_message().queue_url(queue).receipt_handle(handle).send().await.unwrap();
            received.push(serde_json::from_str(&message.body.unwrap()).unwrap());
        }
    }
}

/// Makes a secret with these names and values.
pub async fn secret(aws: &Aws, name: &str, values: &BTreeMap<&str, &str>) {
    let client = aws_sdk_secretsmanager::Client::new(aws.config());
    let text = serde_json::to_string(values).unwrap();
    client.create_secret().name(name).secret_string(text).send().await.unwrap();
}

/// Gives a secret a new version; the one before stays valid.
pub async fn rotate(aws: &Aws, name: &str, values: &BTreeMap<&str, &str>) {
    let client = aws_sdk_secretsmanager::Client::new(aws.config());
    let text = serde_json::to_string(values).unwrap();
    client.put_secret_value().secret_id(name).secret_string(text).send().await.unwrap();
}

/// Makes a bucket; moto makes one for whoever names it in a path.
pub async fn bucket(aws: &Aws, name: &str) {
    // Elsewhere S3 wants to be told the region once more.
    ask(aws, "us-east-1/s3", &format!("PUT /{name}"), ("text/plain", String::new())).await;
}

/// Puts a text into a bucket.
pub async fn object(aws: &Aws, bucket: &str, name: &str, text: String) {
    ask(aws, "us-east-1/s3", &format!("PUT /{bucket}/{name}"), ("text/plain", text)).await;
}

/// Makes a stack with these outputs, and nothing in it that matters.
pub async fn stack(aws: &Aws, name: &str, outputs: &BTreeMap<&str, &str>) {
    let outputs: BTreeMap<_, _> =
        outputs.iter().map(|(name, value)| (*name, json!({ "Value": value }))).collect();
    let handle = json!({ "Type": "AWS::CloudFormation::WaitConditionHandle" });
    let template = json!({ "Resources": { "Nothing": handle }, "Outputs": outputs }).to_string();
    let encoded = template.bytes().fold(String::new(), |text, byte| format!("{text}%{byte:02X}"));
    let form = format!("Action=CreateStack&Version=2010-05-15&StackName={name}&TemplateBody={encoded}");
    ask(
        aws,
        &format!("{}/cloudformation", aws.account.region),
        "POST /",
        ("application/x-www-form-urlencoded", form),
    )
    .await;
}

/// Puts values of metrics into CloudWatch, as PutMetricData takes them.
pub async fn metric_data(aws: &Aws, body: &Value) {
    let service = format!("{}/monitoring", aws.account.region);
    let kind = "application/x-amz-json-1.0\r\nx-amz-target: GraniteServiceVersion20100801.PutMetricData";
    ask(aws, &service, "POST /", (kind, body.to_string())).await;
}

/// One plain request to a region's service of moto, which looks at no signature.
async fn ask(aws: &Aws, service: &str, line: &str, (kind, body): (&str, String)) {
    let address = endpoint(aws).trim_start_matches("http://").to_owned();
    let signed = format!("AWS4-HMAC-SHA256 Credential=AKIATEST/20261124/{service}/aws4_request");
    let request = format!(
        "{line} HTTP/1.1\r\nhost: {address}\r\nauthorization: {signed}\r\ncontent-length: {}\r\n\
         content-type: {kind}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    // Whoever answers may need this thread.
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    });
    let answer = answer.await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// Makes a project of CodeBuild.
pub async fn project(aws: &Aws, name: &str) {
    let client = aws_sdk_codebuild::Client::new(aws.config());
    // moto takes no project without a place of its source.
    let source = ProjectSource::builder().r#type(SourceType::NoSource).location("none").build().unwrap();
    let artifacts = ProjectArtifacts::builder().r#type(ArtifactsType::NoArtifacts).build().unwrap();
    let environment = ProjectEnvironment::builder().r#type(EnvironmentType::LinuxContainer);
    let environment =
        environment.image("aws/codebuild/standard:7.0").compute_type(ComputeType::BuildGeneral1Small);
    let environment = environment.privileged_mode(true).build().unwrap();
    let project = client.create_project().name(name).source(source).artifacts(artifacts);
    let role = "arn:aws:iam::123456789012:role/longshore-codebuild";
    project.environment(environment).service_role(role).send().await.unwrap();
}

/// Makes a cluster of EKS, without anything behind it.
pub async fn cluster(aws: &Aws, name: &str) {
    let role = "arn:aws:iam::123456789012:role/cluster";
    let asked = json!({ "name": name, "roleArn": role, "resourcesVpcConfig": { "subnetIds": ["subnet-1"] } });
    ask(
        aws,
        &format!("{}/eks", aws.account.region),
        "POST /clusters",
        ("application/json", asked.to_string()),
    )
    .await;
}

/// Makes a topic of SNS, and a queue that gets what is published; the topic's ARN, and the queue.
pub async fn topic(aws: &Aws, name: &str) -> (String, String) {
    let (region, queue) = (&aws.account.region, queue(aws, name).await);
    let (of, form) = (format!("{region}/sns"), "application/x-www-form-urlencoded");
    ask(aws, &of, "POST /", (form, format!("Action=CreateTopic&Version=2010-03-31&Name={name}"))).await;
    let arn = |service: &str| format!("arn:aws:{service}:{region}:123456789012:{name}");
    let (topic, subscribed) = (arn("sns"), arn("sqs"));
    let subscribe =
        format!("Action=Subscribe&Version=2010-03-31&Protocol=sqs&TopicArn={topic}&Endpoint={subscribed}");
    ask(aws, &of, "POST /", (form, subscribe)).await;
    (topic, queue)
}

/// Makes a repository of ECR.
pub async fn repository(aws: &Aws, name: &str) {
    aws_sdk_ecr::Client::new(aws.config()).create_repository().repository_name(name).send().await.unwrap();
}

/// Puts a manifest without layers into ECR, under a tag; its digest. A repository or a tag that is there stays.
pub async fn image(aws: &Aws, repository: &str, tag: &str) -> Digest {
    let client = aws_sdk_ecr::Client::new(aws.config());
    let _ = client.create_repository().repository_name(repository).send().await;
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let digest = format!("sha256:{}", "c".repeat(64));
    let config =
        json!({ "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": 2 });
    let manifest = json!({
        "schemaVersion": 2, "mediaType": kind, "config": config, "layers": [], "annotations": { "tag": tag },
    });
    let put = client.put_image().repository_name(repository).image_tag(tag);
    let put = put.image_manifest(manifest.to_string()).image_manifest_media_type(kind);
    let _ = put.send().await;
    let region = &aws.account.region;
    let image = ImageName::new(format!("123456789012.dkr.ecr.{region}.amazonaws.com/{repository}")).unwrap();
    EcrRegistry::new(aws).resolve(&image, tag).await.unwrap().unwrap().digest
}

fn endpoint(aws: &Aws) -> &str {
    aws.account.endpoint.as_deref().unwrap()
}

/// All events that a table holds, the oldest first.
pub async fn events(aws: &Aws, table: &str) -> Vec<Event> {
    let rows = rows(aws, table).await;
    let is_event = |row: &&item::Item| row.get("sk") == Some(&item::text("event"));
    let mut events: Vec<Event> = rows.iter().filter(is_event).map(|row| item::event(row).unwrap()).collect();
    events.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
    events
}

/// All units of a function that a table holds, by name.
pub async fn units(aws: &Aws, table: &str, function: &str) -> Vec<(String, UnitRow)> {
    let rows = rows(aws, table).await;
    let unit = |row: &item::Item| {
        let key = keys::RowKey::of(row).filter(|key| key.sk == "unit")?;
        let (of, name) = keys::of_unit(&key)?;
        (of == function).then(|| (name.to_owned(), item::unit(row).unwrap()))
    };
    let mut units: Vec<_> = rows.iter().filter_map(unit).collect();
    units.sort_by(|a, b| a.0.cmp(&b.0));
    units
}

/// Ends every claim in a table, as if its time had passed; how many there were.
pub async fn end_claims(aws: &Aws, table: &str) -> usize {
    let client = aws_sdk_dynamodb::Client::new(aws.config());
    let rows = rows(aws, table).await;
    let claimed: Vec<_> = rows.iter().filter(|row| row.contains_key("until")).collect();
    for row in &claimed {
        let update =
            client.update_item().table_name(table).key("pk", row["pk"].clone()).key("sk", row["sk"].clone());
        let update =
            update.update_expression("SET #until = :past").expression_attribute_names("#until", "until");
        let past = AttributeValue::N("1".into());
        update.expression_attribute_values(":past", past).send().await.unwrap();
    }
    claimed.len()
}

/// Ends the claim of one invocation, which is dead, as if its time had passed.
pub async fn end_claim(aws: &Aws, table: &str, invocation: &str) {
    let client = aws_sdk_dynamodb::Client::new(aws.config());
    let held = AttributeValue::S(invocation.to_owned());
    for row in rows(aws, table).await.into_iter().filter(|row| row.get("claim") == Some(&held)) {
        let update =
            client.update_item().table_name(table).key("pk", row["pk"].clone()).key("sk", row["sk"].clone());
        let update = update.update_expression("SET #until = :past, #wake = :past");
        let update = update.condition_expression("#claim = :held");
        let update = update.expression_attribute_names("#until", "until");
        let update = update.expression_attribute_names("#wake", "wake");
        let update = update.expression_attribute_names("#claim", "claim");
        let update = update.expression_attribute_values(":past", AttributeValue::N("1".into()));
        // Somebody may have taken it over meanwhile.
        let _ = update.expression_attribute_values(":held", held.clone()).send().await;
    }
}

async fn rows(aws: &Aws, table: &str) -> Vec<item::Item> {
    let client = aws_sdk_dynamodb::Client::new(aws.config());
    let scan = client.scan().table_name(table).consistent_read(true).into_paginator().items().send();
    scan.collect::<Result<Vec<_>, _>>().await.unwrap()
}
