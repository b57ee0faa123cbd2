//! CloudEvents over HTTP: structured, batched and binary, from whoever holds the source's secret.
//!
//! Only what an outsider may say is taken: a push, an image, a request. What follows from them is said by Longshore's
//! functions alone. Source: CloudEvents 1.0.2, JSON format and HTTP protocol binding.

use jiff::Timestamp;
use longshore_events::types::{ImageDeleted, ImagePushed, PushReceived, RefKind, RequestMade};
use longshore_events::{Data, Event, Fact as _};
use serde::Deserialize;
use serde_json::Value;

use crate::few::Few;
use crate::hear::{Heard, Hearing, brief, first, known, without_credentials};
use crate::{Refusal, percent};

/// What an outsider may say.
const OUTSIDERS: [&str; 4] = [PushReceived::KIND, ImagePushed::KIND, ImageDeleted::KIND, RequestMade::KIND];

/// The most events of one batch.
const MAX_BATCH: usize = 2_000;

/// A CloudEvent as strangers send it. `subject` and `chainid` follow from the rest and are not read.
#[derive(Deserialize)]
struct Raw {
    specversion: String,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    time: Option<Timestamp>,
    traceparent: Option<String>,
    #[serde(default)]
    dryrun: bool,
    data: Value,
}

/// Translates a verified request.
pub(crate) fn translate(hearing: &Hearing<'_>, body: &[u8]) -> Result<Heard, Refusal> {
    let media = hearing.headers.media_type();
    let text = || std::str::from_utf8(body).map_err(|_| Refusal::NotUtf8);
    let raws: Vec<Raw> = match media.as_str() {
        "application/cloudevents+json" => vec![serde_json::from_str(text()?)?],
        "application/cloudevents-batch+json" => {
            serde_json::from_str::<Few<Raw, MAX_BATCH>>(text()?)?.whole("events")?
        }
        "application/json" if hearing.headers.get("ce-type").is_some() => vec![binary(hearing, text()?)?],
        _ => {
            return Err(Refusal::ContentType {
                given: brief(&media),
                wanted: "application/cloudevents+json, application/cloudevents-batch+json, or application/json \
                         with ce- headers",
            });
        }
    };
    let mut heard = Heard::default();
    for raw in raws {
        match event(hearing, raw)? {
            Ok(event) => heard.events.push(event),
            Err(why) => heard.ignore(why),
        }
    }
    if heard.events.is_empty() && heard.ignored.is_empty() {
        heard.ignore("ignored: the batch is empty".into());
    }
    Ok(heard)
}

/// Binary mode: the attributes are headers, percent-encoded, and the body is the data.
fn binary(hearing: &Hearing<'_>, text: &str) -> Result<Raw, Refusal> {
    let time = attribute(hearing, "ce-time")?
        .map(|time| time.parse().map_err(|_| Refusal::header("ce-time", "not a time as RFC 3339 writes it")));
    let dryrun = match attribute(hearing, "ce-dryrun")?.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Refusal::header("ce-dryrun", "neither true nor false")),
    };
    Ok(Raw {
        specversion: needed(hearing, "ce-specversion")?,
        id: needed(hearing, "ce-id")?,
        source: needed(hearing, "ce-source")?,
        kind: needed(hearing, "ce-type")?,
        time: time.transpose()?,
        traceparent: attribute(hearing, "ce-traceparent")?,
        dryrun,
        data: serde_json::from_str(text)?,
    })
}

fn attribute(hearing: &Hearing<'_>, name: &'static str) -> Result<Option<String>, Refusal> {
    let Some(value) = hearing.headers.get(name) else { return Ok(None) };
    let decoded = percent::decode(value.as_bytes(), false).and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.map(Some).ok_or_else(|| Refusal::header(name, "not percent-encoded UTF-8"))
}

fn needed(hearing: &Hearing<'_>, name: &'static str) -> Result<String, Refusal> {
    attribute(hearing, name)?.ok_or_else(|| Refusal::header(name, "it is missing"))
}

/// The event, or why it is ignored.
fn event(hearing: &Hearing<'_>, raw: Raw) -> Result<Result<Event, String>, Refusal> {
    if raw.specversion != "1.0" {
        return Err(Refusal::Unusable(format!("specversion {:?}, not \"1.0\"", brief(&raw.specversion))));
    }
    if raw.source.is_empty() || raw.source.len() > 300 || raw.source.chars().any(char::is_control) {
        return Err(Refusal::Unusable("source must have 1 to 300 bytes and no control characters".into()));
    }
    allowed(&raw.kind)?;
    let mut data = Data::parse(&raw.kind, raw.data)?;
    if let Data::PushReceived(push) = &mut data {
        if let Err(why) = known(hearing.policy, push.repo.as_str()) {
            return Ok(Err(why));
        }
        normalise(push);
    }
    if let Data::RequestMade(request) = &data {
        let checked = hearing.policy.check_target(request.what, &request.target);
        checked.map_err(Refusal::Unusable)?;
    }
    let subject = subject(&data);
    let mut event = first(raw.id, raw.source, subject, raw.time.unwrap_or(hearing.now), data)?;
    event.traceparent = raw.traceparent.filter(|trace| trace.len() <= 128 && trace.is_ascii());
    event.dryrun = raw.dryrun;
    Ok(Ok(event))
}

/// Refuses what only Longshore's functions say, before its data is looked at.
fn allowed(kind: &str) -> Result<(), Refusal> {
    match Data::KINDS.iter().find(|known| **known == kind) {
        Some(known) if !OUTSIDERS.contains(known) => {
            Err(Refusal::NotForOutsiders(known, OUTSIDERS.join(", ")))
        }
        _ => Ok(()),
    }
}

/// What follows from other fields is not left to the sender.
fn normalise(push: &mut PushReceived) {
    push.ref_kind = RefKind::of(&push.git_ref);
    push.clone_url = push.clone_url.as_deref().and_then(without_credentials);
    push.forced &= !push.created && !push.deleted;
}

fn subject(data: &Data) -> String {
    match data {
        Data::PushReceived(push) => push.repo.to_string(),
        Data::ImagePushed(image) => image.image.to_string(),
        Data::ImageDeleted(image) => image.image.to_string(),
        Data::RequestMade(request) => request.target.clone(),
        other => other.kind().to_owned(),
    }
}
