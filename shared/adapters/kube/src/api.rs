//! One namespace of a cluster, over its API: read one, read by labels, create, apply, delete.
//!
//! Source: "Kubernetes API Concepts", "Server-Side Apply" and "API Conventions" of Kubernetes' documentation.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use kube::Client;
use kube::client::Body;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{KubeError, Status};
use crate::kinds::{self, Resource};
use crate::mark::MANAGER;
use crate::object::{Object, ObjectRef};

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 32 << 20;
/// How long an answer may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How the API server names this manager in a conflict: as who created an object, or who noted something on it.
const OURS: &str = "conflict with \"longshore";

/// A namespace of a cluster.
pub(crate) struct Api {
    client: Client,
    pub(crate) namespace: String,
    /// Where kinds are that had to be asked.
    discovered: Mutex<BTreeMap<(String, String), Resource>>,
}

/// What an answer says: the body, or why there is none.
enum Answer {
    Found(Bytes),
    Refused(Status),
}

/// What is asked: the verb and the resource, as rights have them.
#[derive(Clone, Copy)]
struct Asked<'a> {
    verb: &'static str,
    api_version: &'a str,
    plural: &'a str,
}

#[derive(Deserialize)]
struct Listed {
    items: Vec<Value>,
}

#[derive(Deserialize)]
struct Discovered {
    resources: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    name: String,
    kind: String,
    namespaced: bool,
}

/// What became of a write that only holds for the version that was read.
pub(crate) enum Written {
    /// It is done.
    Done,
    /// Somebody wrote meanwhile, or created it: read again.
    Stale,
    /// Somebody else manages fields that differ: each with what the API server says.
    Managed(Vec<(String, String)>),
}

impl Api {
    pub(crate) fn new(client: Client, namespace: String) -> Self {
        Self { client, namespace, discovered: Mutex::default() }
    }

    /// The object; `None` when there is none.
    pub(crate) async fn get(&self, of: &ObjectRef) -> Result<Option<Object>, KubeError> {
        let resource = self.resource(&of.api_version, &of.kind).await?;
        let path = format!("{}/{}", self.path(&of.api_version, &resource.plural), of.name);
        let asked = Asked { verb: "get", api_version: &of.api_version, plural: &resource.plural };
        match self.ask(asked, request(Method::GET, &path, None, Vec::new())).await? {
            Answer::Found(body) => Ok(Some(Object(parse(&body)?))),
            Answer::Refused(status) if status.code == 404 => Ok(None),
            Answer::Refused(status) => Err(asked.refused(&status)),
        }
    }

    /// The objects of a kind that these labels choose, as they are now.
    pub(crate) async fn list(
        &self,
        api_version: &str,
        kind: &str,
        query: &str,
    ) -> Result<Vec<Object>, KubeError> {
        let resource = self.resource(api_version, kind).await?;
        let path = format!("{}?{query}", self.path(api_version, &resource.plural));
        let asked = Asked { verb: "list", api_version, plural: &resource.plural };
        let body = match self.ask(asked, request(Method::GET, &path, None, Vec::new())).await? {
            Answer::Found(body) => body,
            Answer::Refused(status) => return Err(asked.refused(&status)),
        };
        let listed: Listed = parse(&body)?;
        // The items of a list do not say what they are.
        let named = |item: Value| {
            let mut object = Object(item);
            object.set(&[], "apiVersion", api_version.into());
            object.set(&[], "kind", kind.into());
            object
        };
        Ok(listed.items.into_iter().map(named).collect())
    }

    /// The last lines that a container wrote before it ended, or writes.
    pub(crate) async fn log(&self, pod: &str, container: &str, ended: bool) -> Result<String, KubeError> {
        let path = format!(
            "{}/{pod}/log?container={container}&previous={ended}&tailLines=5&limitBytes=2000",
            self.path("v1", "pods")
        );
        let asked = Asked { verb: "get", api_version: "v1", plural: "pods/log" };
        match self.ask(asked, request(Method::GET, &path, None, Vec::new())).await? {
            Answer::Found(body) => Ok(String::from_utf8_lossy(&body).into_owned()),
            Answer::Refused(status) => Err(asked.refused(&status)),
        }
    }

    /// Creates an object that is not there.
    pub(crate) async fn create(&self, object: &Object) -> Result<Written, KubeError> {
        let resource = self.resource(object.api_version(), object.kind()).await?;
        let path = self.path(object.api_version(), &resource.plural);
        // A field that no schema has is refused by each apply: so it is here, and not by the second release.
        let path = format!("{path}?fieldManager={MANAGER}&fieldValidation=Strict");
        let asked = Asked { verb: "create", api_version: object.api_version(), plural: &resource.plural };
        let body = object.0.to_string().into_bytes();
        let answer = self.ask(asked, request(Method::POST, &path, Some("application/json"), body)).await?;
        written(asked, answer)
    }

    /// Applies an object by server-side apply, as long as it is as it was read. Fields that somebody else manages are never
    /// taken; those that this manager wrote otherwise, when it created the object, are.
    pub(crate) async fn apply(&self, object: &Object, found: &Object) -> Result<Written, KubeError> {
        let mut object = object.clone();
        object.set(&["metadata"], "resourceVersion", found.resource_version().into());
        let apply = async |force: bool| {
            let path = format!("?fieldManager={MANAGER}&force={force}");
            self.patch(&object.reference(), &path, "application/apply-patch+yaml", &object.0).await
        };
        match apply(false).await? {
            Written::Managed(fields) if fields.iter().all(|(_, said)| said.contains(OURS)) => {
                apply(true).await
            }
            Written::Managed(mut fields) => {
                fields.retain(|(_, said)| !said.contains(OURS));
                Ok(Written::Managed(fields))
            }
            written => Ok(written),
        }
    }

    /// Sets annotations, as long as the object is as it was read.
    pub(crate) async fn annotate(
        &self,
        found: &Object,
        annotations: &[(&str, &str)],
    ) -> Result<Written, KubeError> {
        let annotations: BTreeMap<_, _> = annotations.iter().copied().collect();
        let version = found.resource_version();
        let patch = json!({"metadata": {"resourceVersion": version, "annotations": annotations}});
        let path = format!("?fieldManager={MANAGER}-notes");
        self.patch(&found.reference(), &path, "application/merge-patch+json", &patch).await
    }

    async fn patch(
        &self,
        of: &ObjectRef,
        query: &str,
        media: &'static str,
        body: &Value,
    ) -> Result<Written, KubeError> {
        let resource = self.resource(&of.api_version, &of.kind).await?;
        let path = format!("{}/{}{query}", self.path(&of.api_version, &resource.plural), of.name);
        let asked = Asked { verb: "patch", api_version: &of.api_version, plural: &resource.plural };
        let body = body.to_string().into_bytes();
        let answer = self.ask(asked, request(Method::PATCH, &path, Some(media), body)).await?;
        written(asked, answer)
    }

    /// Deletes an object as it was read, and what it owns after it.
    pub(crate) async fn delete(&self, found: &Object) -> Result<Written, KubeError> {
        let resource = self.resource(found.api_version(), found.kind()).await?;
        let path = format!("{}/{}", self.path(found.api_version(), &resource.plural), found.name());
        let asked = Asked { verb: "delete", api_version: found.api_version(), plural: &resource.plural };
        let options = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"resourceVersion": found.resource_version()},
        });
        let body = options.to_string().into_bytes();
        match self.ask(asked, request(Method::DELETE, &path, Some("application/json"), body)).await? {
            Answer::Refused(status) if status.code == 404 => Ok(Written::Done),
            answer => written(asked, answer),
        }
    }

    /// Where a kind is.
    pub(crate) async fn resource(&self, api_version: &str, kind: &str) -> Result<Resource, KubeError> {
        let key = (api_version.to_owned(), kind.to_owned());
        let known = kinds::known(api_version, kind)
            .or_else(|| self.discovered.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned());
        if let Some(known) = known {
            return Ok(known);
        }
        let asked = Asked { verb: "get", api_version, plural: "" };
        let unknown = || KubeError::Refused {
            said: format!("the cluster knows no {kind} of {api_version}: is its CRD installed?"),
        };
        let found =
            match self.ask(asked, request(Method::GET, &kinds::root(api_version), None, vec![])).await? {
                Answer::Found(body) => parse::<Discovered>(&body)?,
                Answer::Refused(status) if status.code == 404 => return Err(unknown()),
                Answer::Refused(status) => return Err(asked.refused(&status)),
            };
        let row = found.resources.into_iter().find(|row| row.kind == kind && !row.name.contains('/'));
        let row = row.ok_or_else(unknown)?;
        let resource = Resource { plural: row.name, namespaced: row.namespaced };
        self.discovered.lock().unwrap_or_else(PoisonError::into_inner).insert(key, resource.clone());
        Ok(resource)
    }

    fn path(&self, api_version: &str, plural: &str) -> String {
        format!("{}/namespaces/{}/{plural}", kinds::root(api_version), self.namespace)
    }

    async fn ask(
        &self,
        asked: Asked<'_>,
        request: Result<Request<Body>, http::Error>,
    ) -> Result<Answer, KubeError> {
        let silent = |said: String| KubeError::Silent { said };
        let request = request.map_err(|error| KubeError::Refused { said: error.to_string() })?;
        let at = format!("{} {}", request.method(), request.uri().path());
        let answer = self.client.send(request).await.map_err(|error| unreachable_server(&error))?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        let body = body.map_err(|error| silent(format!("broke off its answer: {error}")))?.to_bytes();
        tracing::debug!(
            kube.verb = asked.verb,
            kube.resource = asked.plural,
            http.status = parts.status.as_u16(),
            "{at}"
        );
        if parts.status.is_success() {
            return Ok(Answer::Found(body));
        }
        let status = serde_json::from_slice::<Status>(&body).unwrap_or_default();
        let message = if status.message.is_empty() { plain(parts.status, &body) } else { status.message };
        Ok(Answer::Refused(Status { code: parts.status.as_u16(), message, ..status }))
    }
}

impl Asked<'_> {
    fn refused(self, status: &Status) -> KubeError {
        status.error(self.verb, kinds::group(self.api_version), self.plural)
    }
}

fn written(asked: Asked<'_>, answer: Answer) -> Result<Written, KubeError> {
    let status = match answer {
        Answer::Found(_) => return Ok(Written::Done),
        Answer::Refused(status) => status,
    };
    if status.is_managed_conflict() {
        let managed = status.managed().into_iter();
        return Ok(Written::Managed(managed.map(|(field, said)| (field.into(), said.into())).collect()));
    }
    // It is there already, or was changed meanwhile.
    if status.code == 409 {
        return Ok(Written::Stale);
    }
    Err(asked.refused(&status))
}

fn request(
    method: Method,
    path: &str,
    media: Option<&'static str>,
    body: Vec<u8>,
) -> Result<Request<Body>, http::Error> {
    let mut request = Request::builder().method(method).uri(path).header(header::ACCEPT, "application/json");
    if let Some(media) = media {
        request = request.header(header::CONTENT_TYPE, media);
    }
    request.body(Body::from(body))
}

fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, KubeError> {
    serde_json::from_slice(body)
        .map_err(|error| KubeError::Silent { said: format!("answers what is no object: {error}") })
}

/// A refusal that is no `Status`: of a proxy, or of a server that is starting.
fn plain(status: StatusCode, body: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(body).trim().chars().take(200).collect();
    if text.is_empty() { status.to_string() } else { text }
}

fn unreachable_server(error: &kube::Error) -> KubeError {
    match error {
        kube::Error::Auth(error) => KubeError::Unauthorized { said: chain(error) },
        error => KubeError::Silent { said: format!("cannot be reached: {}", chain(error)) },
    }
}

/// An error with all its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}
