//! What a deployed stack has, each test's under names of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TimeToLiveSpecification,
};
use jiff::{SignedDuration, Timestamp};
use longshore_aws::{Account, Aws, DynamoJournal, INDEXES, Keys, Names, TTL};
use longshore_ports::{Clock, journal::Routes};

use crate::moto::Moto;
use crate::proxy::Proxy;

static STACKS: AtomicU32 = AtomicU32::new(0);

/// The suite's beginning.
pub(crate) struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        at(0)
    }
}

/// So many seconds after the suite's beginning.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_760_000_000).unwrap() + SignedDuration::from_secs(seconds)
}

/// A moto with a proxy before it, and an account there.
pub(crate) struct Cloud {
    pub(crate) proxy: Proxy,
    pub(crate) account: Account,
    pub(crate) aws: Aws,
    _moto: Arc<Moto>,
}

impl Cloud {
    pub(crate) async fn start() -> Self {
        let moto = Moto::running();
        let proxy = Proxy::start(&moto.address).await;
        let account = Account {
            region: "eu-west-1".into(),
            keys: Keys { id: "AKIATEST".into(), secret: "secret".into(), session: None },
            endpoint: Some(proxy.endpoint.clone()),
            answer_within: Duration::from_secs(20),
        };
        let aws = account.connect().unwrap();
        Self { proxy, account, aws, _moto: moto }
    }

    /// The same account, whose calls may take so long.
    pub(crate) fn within(&self, answer: Duration) -> Aws {
        Account { answer_within: answer, ..self.account.clone() }.connect().unwrap()
    }

    /// A stack: a table, a bus and a queue of its own.
    pub(crate) async fn stack(&self) -> Names {
        let name = format!("stack-{}", STACKS.fetch_add(1, Ordering::Relaxed));
        self.table(&name).await;
        let events = aws_sdk_eventbridge::Client::new(self.aws.config());
        events.create_event_bus().name(&name).send().await.unwrap();
        Names { table: name.clone(), bus: name.clone(), wakes: self.queue(&name).await }
    }

    pub(crate) async fn journal(&self, routes: Routes) -> DynamoJournal {
        DynamoJournal::new(&self.aws, self.stack().await, routes, Arc::new(StandingClock))
    }

    pub(crate) async fn queue(&self, name: &str) -> String {
        let queue = aws_sdk_sqs::Client::new(self.aws.config()).create_queue().queue_name(name);
        let address = queue.send().await.unwrap().queue_url.unwrap();
        // moto names its own address, and the proxy is to be spoken to.
        let path = address.splitn(4, '/').last().unwrap();
        format!("{}/{path}", self.proxy.endpoint)
    }

    async fn table(&self, name: &str) {
        let client = aws_sdk_dynamodb::Client::new(self.aws.config());
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
}

fn attribute(name: &str, kind: ScalarAttributeType) -> AttributeDefinition {
    AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
}

fn key(name: &str, kind: KeyType) -> KeySchemaElement {
    KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap()
}
