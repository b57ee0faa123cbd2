//! What a deployed stack has, each test's under names of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use longshore_aws::testing::{self, Moto, Proxy};
use longshore_aws::{Account, Aws, DynamoJournal, Keys, Names};
use longshore_ports::{Clock, journal::Routes};

static STACKS: AtomicU32 = AtomicU32::new(0);

/// The suite's beginning.
pub(crate) struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        at(0)
    }
}

/// Five seconds more each time that it is asked.
#[derive(Default)]
pub(crate) struct TickingClock(AtomicU32);

impl Clock for TickingClock {
    fn now(&self) -> Timestamp {
        at(5 * i64::from(self.0.fetch_add(1, Ordering::Relaxed)))
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
        testing::table(&self.aws, &name).await;
        testing::bus(&self.aws, &name).await;
        Names { table: name.clone(), bus: name.clone(), wakes: testing::queue(&self.aws, &name).await }
    }

    pub(crate) async fn journal(&self, routes: Routes) -> DynamoJournal {
        DynamoJournal::new(&self.aws, self.stack().await, routes, Arc::new(StandingClock))
    }
}
