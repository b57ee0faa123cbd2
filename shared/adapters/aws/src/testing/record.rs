//! What was asked of AWS: by whom, which actions on which resources, and how much of it.
//!
//! Whoever asks is known by the id of its access key. Actions and resources are named as IAM names them: a transaction of
//! DynamoDB is allowed by the actions on its rows.
//!
//! Source: "Actions, resources, and condition keys" of each service, Service Authorization Reference.

use hyper::http::request::Parts;
use serde_json::Value;

/// The account that moto plays.
const ACCOUNT: &str = "123456789012";

/// One call, as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The id of the access key that signed it.
    pub who: String,
    /// As the API names it, e.g. `dynamodb:TransactWriteItems`.
    pub call: String,
    /// What IAM must allow for it: actions and ARNs.
    pub needs: Vec<(String, String)>,
    /// The parts that AWS charges for, each with its size in bytes: rows, events, messages; one where there are none.
    pub parts: Vec<usize>,
    /// The size of the answer in bytes.
    pub answered: usize,
}

/// Reads a call. Of a service that is not known here nothing is said.
pub(super) fn asked(parts: &Parts, body: &[u8]) -> Option<Asked> {
    let signed = parts.headers.get("authorization")?.to_str().ok()?;
    let (_, credential) = signed.split_once("Credential=")?;
    let mut scope = credential.split(',').next()?.split('/');
    let (who, _, region, service) = (scope.next()?, scope.next()?, scope.next()?, scope.next()?);
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let method = target.and_then(|target| target.rsplit('.').next()).unwrap_or(parts.method.as_str());
    let form = String::from_utf8_lossy(body);
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    if service == "sns" {
        let topic = form.split('&').find_map(|field| field.strip_prefix("TopicArn="))?.replace("%3A", ":");
        let call = format!("sns:{}", form.split('&').find_map(|field| field.strip_prefix("Action="))?);
        let needs = vec![(call.clone(), topic)];
        return Some(Asked { who: who.to_owned(), call, needs, parts: vec![form.len()], answered: 0 });
    }
    let call = Read { region, method, path: parts.uri.path(), body: &body };
    let (needs, sizes) = match service {
        "dynamodb" => call.dynamodb(),
        "events" => call.events(),
        "s3" => call.s3(),
        _ => (call.plain(service)?, vec![body.to_string().len()]),
    };
    let method = if service == "s3" { needs.first()?.0.clone() } else { format!("{service}:{method}") };
    Some(Asked { who: who.to_owned(), call: method, needs, parts: sizes, answered: 0 })
}

/// A call that is read.
struct Read<'a> {
    region: &'a str,
    method: &'a str,
    path: &'a str,
    body: &'a Value,
}

type Needs = Vec<(String, String)>;

impl Read<'_> {
    fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_default()
    }

    fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{ACCOUNT}:{resource}", self.region)
    }

    fn dynamodb(&self) -> (Needs, Vec<usize>) {
        let table = |name: &str| self.arn("dynamodb", &format!("table/{name}"));
        let need = |action: &str, name: &str| (format!("dynamodb:{action}"), table(name));
        match self.method {
            "TransactWriteItems" => {
                let rows = self.body["TransactItems"].as_array().into_iter().flatten();
                let rows = rows.filter_map(|row| row.as_object()?.iter().next());
                let needs = rows.clone().map(|(kind, row)| {
                    let action = if kind == "ConditionCheck" {
                        "ConditionCheckItem".into()
                    } else {
                        format!("{kind}Item")
                    };
                    need(&action, row["TableName"].as_str().unwrap_or_default())
                });
                (needs.collect(), rows.map(|(_, row)| row.to_string().len()).collect())
            }
            "BatchGetItem" => {
                let tables = self.body["RequestItems"].as_object();
                let rows = tables
                    .into_iter()
                    .flatten()
                    .map(|(_, asked)| asked["Keys"].as_array().map_or(0, Vec::len));
                let needs = tables.into_iter().flatten().map(|(name, _)| need(self.method, name));
                (needs.collect(), vec![0; rows.sum()])
            }
            method => {
                let (action, mut arn) = need(method, self.text("TableName"));
                if let Some(index) = self.body["IndexName"].as_str() {
                    arn = format!("{arn}/index/{index}");
                }
                (vec![(action, arn)], vec![self.body.to_string().len()])
            }
        }
    }

    fn events(&self) -> (Needs, Vec<usize>) {
        let entries = || self.body["Entries"].as_array().into_iter().flatten();
        let bus = |entry: &Value| entry["EventBusName"].as_str().unwrap_or("default").to_owned();
        let need = |entry: &Value| {
            let bus = bus(entry);
            let bus = bus.rsplit('/').next().unwrap_or_default();
            (format!("events:{}", self.method), self.arn("events", &format!("event-bus/{bus}")))
        };
        (entries().map(need).collect(), entries().map(|entry| entry.to_string().len()).collect())
    }

    fn s3(&self) -> (Needs, Vec<usize>) {
        let action = match self.method {
            "PUT" => "s3:PutObject",
            _ => "s3:GetObject",
        };
        (vec![(action.to_owned(), format!("arn:aws:s3:::{}", self.path.trim_start_matches('/')))], vec![0])
    }

    fn plain(&self, service: &str) -> Option<Needs> {
        let named = |text: &str, prefix: &str| match text {
            arn if arn.starts_with("arn:") => arn.to_owned(),
            name => self.arn(service, &format!("{prefix}{name}")),
        };
        let arn = match service {
            "sqs" => named(self.text("QueueUrl").rsplit('/').next()?, ""),
            "secretsmanager" => named(self.text("SecretId"), "secret:"),
            "ecr" => named(self.text("repositoryName"), "repository/"),
            "codebuild" => {
                let first = self.body["ids"].get(0).and_then(Value::as_str);
                let project = first.and_then(|id| id.split(':').next()).unwrap_or(self.text("projectName"));
                named(project, "project/")
            }
            // Whose actions have another prefix, and no resource.
            "monitoring" => return Some(vec![(format!("cloudwatch:{}", self.method), "*".into())]),
            _ => return None,
        };
        Some(vec![(format!("{service}:{}", self.method), arn)])
    }
}
