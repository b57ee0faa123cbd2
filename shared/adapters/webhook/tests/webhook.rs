//! Webhooks against a server that keeps what it is sent: the port's contract, and what is refused.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use longshore_policy::Notify as Named;
use longshore_ports::{EffectKind, ErrorKind, Key, Notice, Notify, PortError, Secret, Secrets, suite};
use longshore_webhook::{Form, Webhook, webhooks};

/// A secret with the address of a server.
struct Address(String);

#[async_trait]
impl Secrets for Address {
    async fn get(&self, name: &str) -> Result<Vec<Secret>, PortError> {
        assert_eq!(name, "hook");
        Ok(vec![Secret::new(format!("{}\n", self.0))])
    }
}

#[derive(Default)]
struct Server {
    heard: Mutex<Vec<String>>,
    answers: Mutex<Vec<u16>>,
}

async fn take(State(server): State<Arc<Server>>, body: String) -> StatusCode {
    server.heard.lock().unwrap().push(body);
    let answer = server.answers.lock().unwrap().pop().unwrap_or(200);
    StatusCode::from_u16(answer).unwrap()
}

async fn serve() -> (Arc<Server>, String) {
    let server = Arc::<Server>::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/t0ken", listener.local_addr().unwrap());
    let router = Router::new().route("/t0ken", post(take)).with_state(server.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (server, address)
}

fn webhook(form: Form, address: &str) -> Webhook {
    Webhook::new(form, "hook".into(), Arc::new(Address(address.into()))).unwrap()
}

fn notice() -> (Key, Notice) {
    let key = Key {
        function: "report".into(),
        unit: "u".into(),
        generation: Some(1),
        name: "notice".into(),
        kind: EffectKind::Told,
        restoring: true,
    };
    (key, Notice { title: "t".into(), text: "x".into() })
}

/// What a body says, as people read it.
fn read(form: Form, body: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let fields = body.as_object().unwrap();
    assert_eq!(fields.len(), if form == Form::Json { 3 } else { 1 });
    let all: Vec<_> = fields.values().map(|value| value.as_str().unwrap()).collect();
    let text = all.join("\n");
    if form == Form::Json {
        return text;
    }
    assert!(!text.contains("<b>"), "Slack reads < and > as its own: {text}");
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[tokio::test]
async fn both_forms_keep_the_contract() {
    for form in [Form::Json, Form::Slack] {
        let (server, address) = serve().await;
        let heard = async |_: &Webhook| {
            let heard = server.heard.lock().unwrap();
            heard.iter().map(|body| read(form, body)).collect()
        };
        suite::notify::run(async || webhook(form, &address), heard).await;
    }
}

#[tokio::test]
async fn what_is_refused_names_the_secret_and_never_the_address() {
    let (server, address) = serve().await;
    let (key, notice) = notice();
    for (status, temporary) in [(500, true), (429, true), (404, false), (302, false)] {
        server.answers.lock().unwrap().push(status);
        let error = webhook(Form::Json, &address).tell(&key, &notice).await.unwrap_err();
        assert_eq!(error.is_temporary(), temporary, "{error}");
        assert!(error.to_string().contains("the secret \"hook\""), "{error}");
        assert!(!format!("{error} {error:?}").contains("t0ken"), "{error:?}");
    }
    for strange in ["", "t0ken", "http://example.org/t0ken", "ftp://127.0.0.1/t0ken"] {
        let error = webhook(Form::Json, strange).tell(&key, &notice).await.unwrap_err();
        assert!(error.kind == ErrorKind::Denied && error.to_string().contains("is no address"), "{error}");
    }
    let error = webhook(Form::Json, "http://127.0.0.1:9/t0ken").tell(&key, &notice).await.unwrap_err();
    assert!(error.is_temporary() && !format!("{error:?}").contains("t0ken"), "{error:?}");
}

#[tokio::test]
async fn all_that_a_configuration_names_are_told_also_where_one_fails() {
    let (server, address) = serve().await;
    let (key, notice) = notice();
    let named = Named { webhook: Some("hook".into()), slack: Some("hook".into()) };
    let all = webhooks(&named, &Arc::new(Address(address.clone()))).unwrap();
    server.answers.lock().unwrap().extend([200, 500]);
    assert!(all.tell(&key, &notice).await.unwrap_err().is_temporary());
    assert_eq!(server.heard.lock().unwrap().len(), 2);
    let nobody = webhooks(&Named { webhook: None, slack: None }, &Arc::new(Address(address))).unwrap();
    assert!(nobody.is_empty());
}
