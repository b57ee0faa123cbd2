//! What the functions stand on: a stack on moto behind TLS, and a configuration.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use longshore_aws::testing::{self, Moto, Proxy};
use longshore_aws::{Account, Aws, Keys};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::tls;
use crate::host::runtime;
use crate::push_body::{REPOSITORIES, SECRET, body, delivery_id, repository, signature};

/// The table, the bus, the bucket and the secret.
const NAME: &str = "longshore";
const TOKEN: &str = "the token of the console";
const REGION: &str = "eu-west-1";

/// The surroundings. They end when this is dropped.
pub(crate) struct Surroundings {
    /// What a function is told.
    pub(crate) variables: Vec<(&'static str, String)>,
    aws: Aws,
    inbox: String,
    runtime: Runtime,
    _moto: std::sync::Arc<Moto>,
}

impl Surroundings {
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let runtime = runtime()?;
        let moto = Moto::start();
        let proxy = runtime.block_on(Proxy::start(&moto.address));
        let account = Account {
            region: REGION.into(),
            keys: Keys { id: "AKIATEST".into(), secret: "secret".into(), session: None },
            endpoint: Some(proxy.endpoint.clone()),
            answer_within: Duration::from_secs(20),
        };
        let aws = account.connect()?;
        let plain = proxy.endpoint.trim_start_matches("http://").parse()?;
        let secure = runtime.block_on(tls::before(plain, folder))?;
        let (wakes, inbox) = runtime.block_on(deploy(&aws));
        let config = folder.join("longshore.toml");
        std::fs::write(&config, configuration())?;
        let path = |path: &Path| path.display().to_string();
        // moto names its queues as it was asked, and who speaks TLS is to speak it to them, too.
        let wakes = wakes.replace(&proxy.endpoint, &format!("https://{secure}"));
        let variables = vec![
            ("AWS_REGION", REGION.into()),
            ("AWS_DEFAULT_REGION", REGION.into()),
            ("AWS_ACCESS_KEY_ID", "AKIATEST".into()),
            ("AWS_SECRET_ACCESS_KEY", "secret".into()),
            ("AWS_SESSION_TOKEN", "session".into()),
            ("AWS_ENDPOINT_URL", format!("https://{secure}")),
            ("AWS_CA_BUNDLE", path(&folder.join(tls::ROOT))),
            ("LONGSHORE_CONFIG", path(&config)),
            ("LONGSHORE_TABLE", NAME.into()),
            ("LONGSHORE_BUS", NAME.into()),
            ("LONGSHORE_WAKES", wakes),
            ("LONGSHORE_BUCKET", NAME.into()),
            ("LONGSHORE_SECRET", NAME.into()),
            ("LONGSHORE_CODEBUILD_PROJECT", NAME.into()),
            ("LONGSHORE_RUNNER", path(&folder.join("nobody.sock"))),
            ("LONGSHORE_REGISTRY", "127.0.0.1:9".into()),
        ];
        Ok(Self { variables, aws, inbox, runtime, _moto: moto })
    }

    /// The same, but for one variable.
    pub(crate) fn with(&self, name: &str, value: &str) -> Vec<(&'static str, String)> {
        let change = |(known, old): (&'static str, String)| match known {
            _ if known == name => (known, value.to_owned()),
            _ => (known, old),
        };
        self.variables.iter().cloned().map(change).collect()
    }

    /// What came onto the bus since the last time, as EventBridge gives it to functions.
    pub(crate) fn bus(&self) -> Vec<Value> {
        self.runtime.block_on(testing::receive(&self.aws, &self.inbox))
    }
}

/// Makes what the template deploys; answers the queue of wake-ups, and the one that all of the bus comes to.
async fn deploy(aws: &Aws) -> (String, String) {
    testing::table(aws, NAME).await;
    testing::bus(aws, NAME).await;
    testing::bucket(aws, NAME).await;
    testing::project(aws, NAME).await;
    testing::secret(aws, NAME, &BTreeMap::from([("github", SECRET), ("token", TOKEN)])).await;
    (testing::queue(aws, "wakes").await, testing::subscribe(aws, NAME).await)
}

/// The repositories of the pushes. Nobody answers at their forge.
fn configuration() -> String {
    let mut text = "[[source]]\nname = \"github\"\nprovider = \"github\"\n".to_owned();
    for number in 0..REPOSITORIES {
        let name = repository(number);
        let _ = write!(
            text,
            "[[repository]]\nname = \"{name}\"\nurl = \"https://github.com/{name}.git\"\nforge = \"github\"\n\
             api = \"http://127.0.0.1:9\"\n[[service]]\nname = \"shop-{number}\"\nrepository = \"{name}\"\n\
             image = \"shop-{number}\"\n"
        );
    }
    text + "[[environment]]\nname = \"prod\"\n"
}

/// A push of GitHub, as a function URL passes it on.
pub(crate) fn push(number: u64) -> Result<Value> {
    let body = body(number);
    let headers = json!({
        "content-type": "application/json", "x-github-event": "push",
        "x-github-delivery": delivery_id(number), "x-hub-signature-256": signature(&body),
    });
    let body = String::from_utf8(body).context("a body that is no text")?;
    Ok(request("POST", "/hooks/github", &headers, &body))
}

/// Somebody who asks the console how things stand.
pub(crate) fn status() -> Value {
    request("GET", "/api/status", &json!({ "authorization": format!("Bearer {TOKEN}") }), "")
}

fn request(method: &str, path: &str, headers: &Value, body: &str) -> Value {
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
        "requestContext": { "http": { "method": method, "path": path, "protocol": "HTTP/1.1" } },
        "headers": headers, "body": body, "isBase64Encoded": false,
    })
}
