//! `Response`, as scripts see it: what is not asked for is not made.

use std::rc::Rc;

use rquickjs::class::Class;
use rquickjs::function::{Opt, This};
use rquickjs::object::Accessor;
use rquickjs::{ArrayBuffer, Ctx, Exception, IntoJs, Object, Result, Value};
use serde_json::Value as Json;

use super::params::Kept;
use super::send::{Outcome, proto};
use super::set;
use crate::http::canonical;
use crate::raw::{Held, Visible};

type Response<'js> = This<Class<'js, Held<Outcome>>>;

/// The object of an outcome.
pub(super) fn value<'js>(ctx: &Ctx<'js>, outcome: Outcome) -> Result<Value<'js>> {
    Class::instance(ctx.clone(), Held(Rc::new(outcome))).map(Class::into_value)
}

impl Visible for Outcome {
    const NAME: &'static str = "Response";

    fn define(prototype: &Object<'_>) -> Result<()> {
        getter(prototype, "status", |ctx, outcome| {
            outcome.answer.as_ref().map_or(0, |answer| i32::from(answer.head.status)).into_js(ctx)
        })?;
        getter(prototype, "body", body)?;
        getter(prototype, "headers", headers)?;
        getter(prototype, "timings", timings)?;
        getter(prototype, "url", |ctx, outcome| outcome.url.as_str().into_js(ctx))?;
        getter(prototype, "error", |ctx, outcome| {
            outcome.error.as_ref().map(ToString::to_string).unwrap_or_default().into_js(ctx)
        })?;
        getter(prototype, "error_code", |ctx, outcome| outcome.code().into_js(ctx))?;
        getter(prototype, "status_text", status_text)?;
        getter(prototype, "proto", |ctx, outcome| outcome.answer.as_ref().map_or("", proto).into_js(ctx))?;
        getter(prototype, "remote_ip", |ctx, outcome| {
            outcome
                .answer
                .as_ref()
                .map(|answer| answer.remote.ip().to_string())
                .unwrap_or_default()
                .into_js(ctx)
        })?;
        getter(prototype, "remote_port", |ctx, outcome| {
            outcome.answer.as_ref().map_or(0, |answer| i32::from(answer.remote.port())).into_js(ctx)
        })?;
        getter(prototype, "tls_version", |ctx, outcome| tls(outcome).0.into_js(ctx))?;
        getter(prototype, "tls_cipher_suite", |ctx, outcome| tls(outcome).1.into_js(ctx))?;
        getter(prototype, "ocsp", ocsp)?;
        getter(prototype, "cookies", cookies)?;
        getter(prototype, "request", request)?;
        methods(prototype)
    }
}

fn getter<'js>(
    prototype: &Object<'js>,
    name: &str,
    get: fn(&Ctx<'js>, &Outcome) -> Result<Value<'js>>,
) -> Result<()> {
    let getter = move |ctx: Ctx<'js>, this: Response<'js>| get(&ctx, &this.0.borrow().0);
    prototype.prop(name, Accessor::from(getter).enumerable().configurable())
}

fn methods<'js>(prototype: &Object<'js>) -> Result<()> {
    set(prototype, "json", |ctx: Ctx<'js>, this: Response<'js>, selector: Opt<String>| {
        json(&ctx, &this.0.borrow().0, selector.0.as_deref())
    })?;
    // So that `JSON.stringify` and copies show what is there.
    set(prototype, "toJSON", |ctx: Ctx<'js>, this: Response<'js>| {
        let (object, made) = (this.0.into_inner(), Object::new(ctx)?);
        for name in SHOWN {
            made.set(name, object.get::<_, Value<'js>>(name)?)?;
        }
        Ok::<_, rquickjs::Error>(made)
    })?;
    for name in ["html", "submitForm", "clickLink"] {
        set(prototype, name, move |ctx: Ctx<'js>| {
            let message = format!("Response.{name}() is not supported: use regular expressions on the body");
            Err::<(), _>(Exception::throw_message(&ctx, &message))
        })?;
    }
    Ok(())
}

const SHOWN: [&str; 16] = [
    "remote_ip",
    "remote_port",
    "url",
    "status",
    "status_text",
    "proto",
    "headers",
    "cookies",
    "body",
    "timings",
    "tls_version",
    "tls_cipher_suite",
    "ocsp",
    "error",
    "error_code",
    "request",
];

fn body<'js>(ctx: &Ctx<'js>, outcome: &Outcome) -> Result<Value<'js>> {
    match (&outcome.answer, outcome.prepared.kept) {
        // These have none by their nature.
        (Some(answer), _) if matches!(answer.head.status, 101 | 204 | 304) => {
            Ok(Value::new_null(ctx.clone()))
        }
        (Some(answer), Kept::Binary) => {
            ArrayBuffer::new_copy(ctx.clone(), &answer.body).map(ArrayBuffer::into_value)
        }
        (Some(answer), Kept::Text) => String::from_utf8_lossy(&answer.body).as_ref().into_js(ctx),
        _ => Ok(Value::new_null(ctx.clone())),
    }
}

fn headers<'js>(ctx: &Ctx<'js>, outcome: &Outcome) -> Result<Value<'js>> {
    let object = Object::new(ctx.clone())?;
    let Some(answer) = &outcome.answer else { return Ok(object.into_value()) };
    let mut all: Vec<(String, String)> = Vec::new();
    for (name, value) in answer.head.fields() {
        let name = canonical(name);
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => {
                values.push_str(", ");
                values.push_str(&value);
            }
            None => all.push((name, value.into_owned())),
        }
    }
    for (name, value) in all {
        object.set(name, value)?;
    }
    Ok(object.into_value())
}

fn timings<'js>(ctx: &Ctx<'js>, outcome: &Outcome) -> Result<Value<'js>> {
    let (object, times) = (Object::new(ctx.clone())?, &outcome.timings);
    for (name, value) in [
        ("duration", times.duration()),
        ("blocked", times.blocked),
        ("looking_up", times.looking_up),
        ("connecting", times.connecting),
        ("tls_handshaking", times.tls),
        ("sending", times.sending),
        ("waiting", times.waiting),
        ("receiving", times.receiving),
    ] {
        object.set(name, value)?;
    }
    Ok(object.into_value())
}

fn status_text<'js>(ctx: &Ctx<'js>, outcome: &Outcome) -> Result<Value<'js>> {
    let text =
        outcome.answer.as_ref().map(|answer| format!("{} {}", answer.head.status, answer.head.reason()));
    text.unwrap_or_default().trim_end().into_js(ctx)
}

fn tls(outcome: &Outcome) -> (&str, &str) {
    let tls = outcome.answer.as_ref().and_then(|answer| answer.tls.as_ref());
    tls.map_or(("", ""), |(version, cipher)| (version, cipher.as_str()))
}

fn ocsp<'js>(ctx: &Ctx<'js>, _outcome: &Outcome) -> Result<Value<'js>> {
    let object = Object::new(ctx.clone())?;
    for name in ["produced_at", "this_update", "next_update", "revoked_at"] {
        object.set(name, 0)?;
    }
    object.set("revocation_reason", "")?;
    object.set("status", "")?;
    Ok(object.into_value())
}

fn cookies<'js>(ctx: &Ctx<'js>, outcome: &Outcome) -> Result<Value<'js>> {
    let object = Object::new(ctx.clone())?;
    for cookie in &outcome.cookies {
        let one = Object::new(ctx.clone())?;
        one.set("name", cookie.name.as_str())?;
        one.set("value", cookie.value.as_str())?;
        one.set("domain", cookie.domain.as_str())?;
        one.set("path", cookie.path.as_str())?;
        one.set("http_only", cookie.http_only)?;
        one.set("secure", cookie.secure)?;
        one.set("max_age", cookie.max_age.unwrap_or(0))?;
        one.set("expires", cookie.expires.map_or(0, jiff::Timestamp::as_millisecond))?;
        let mut list: Vec<Object<'js>> =
            object.get::<_, Option<_>>(cookie.name.as_str())?.unwrap_or_default();
        list.push(one);
        object.set(cookie.name.as_str(), list)?;
    }
    Ok(object.into_value())
}

fn request<'js>(ctx: &Ctx<'js>, outcome: &Outcome) -> Result<Value<'js>> {
    let object = Object::new(ctx.clone())?;
    object.set("method", outcome.method())?;
    object.set("url", outcome.url.as_str())?;
    let headers = Object::new(ctx.clone())?;
    for (name, value) in outcome.sent.iter().flat_map(|sent| &sent.headers) {
        headers.set(name.as_str(), vec![value.as_str()])?;
    }
    object.set("headers", headers)?;
    let body = outcome.sent.as_ref().and_then(|sent| sent.body.as_deref());
    object.set("body", body.map(String::from_utf8_lossy).unwrap_or_default().as_ref())?;
    object.set("cookies", Object::new(ctx.clone())?)?;
    Ok(object.into_value())
}

fn json<'js>(ctx: &Ctx<'js>, outcome: &Outcome, selector: Option<&str>) -> Result<Value<'js>> {
    let fail = |message: &str| Exception::throw_message(ctx, message);
    let Some(answer) = outcome.answer.as_ref().filter(|_| outcome.prepared.kept != Kept::Nothing) else {
        return Err(fail(
            "the body is null so we can't transform it to JSON - this likely was because of a request error getting the response",
        ));
    };
    let text = String::from_utf8_lossy(&answer.body);
    let Some(selector) = selector else { return ctx.json_parse(text.as_ref()) };
    let parsed: Json =
        serde_json::from_str(&text).map_err(|error| fail(&format!("cannot parse json: {error}")))?;
    match select(&parsed, &steps(selector)).map_err(|message| fail(&message))? {
        Some(found) => ctx.json_parse(found.to_string()),
        None => Ok(Value::new_undefined(ctx.clone())),
    }
}

/// The parts of a selector between its dots; a dot behind a backslash is no end.
fn steps(selector: &str) -> Vec<String> {
    let (mut all, mut part, mut escaped) = (Vec::new(), String::new(), false);
    for c in selector.chars() {
        match c {
            _ if std::mem::take(&mut escaped) => part.push(c),
            '\\' => escaped = true,
            '.' => all.push(std::mem::take(&mut part)),
            c => part.push(c),
        }
    }
    all.push(part);
    all
}

/// What a selector (names, numbers and `#`, as GJSON has them) finds.
fn select(value: &Json, steps: &[String]) -> std::result::Result<Option<Json>, String> {
    let Some((step, rest)) = steps.split_first() else { return Ok(Some(value.clone())) };
    match value {
        Json::Array(all) if step == "#" && rest.is_empty() => Ok(Some(Json::from(all.len()))),
        Json::Array(all) if step == "#" => {
            let found = all
                .iter()
                .map(|element| select(element, rest))
                .collect::<std::result::Result<Vec<_>, _>>()?;
            Ok(Some(Json::Array(found.into_iter().flatten().collect())))
        }
        _ if step.starts_with('#') || step.contains(['*', '?', '|', '@']) => {
            Err(format!("the selector's part {step:?} is not supported: names, numbers and # are"))
        }
        Json::Array(all) => match step.parse::<usize>().ok().and_then(|at| all.get(at)) {
            Some(element) => select(element, rest),
            None => Ok(None),
        },
        Json::Object(fields) => fields.get(step).map_or(Ok(None), |field| select(field, rest)),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_finds_what_it_names() {
        let value = serde_json::json!({"a": {"b.c": [1, {"d": 2}, {"d": 3}]}, "n": null});
        let find = |selector: &str| select(&value, &steps(selector)).unwrap();
        assert_eq!(find("a.b\\.c.1.d"), Some(2.into()));
        assert_eq!(find("a.b\\.c.#"), Some(3.into()));
        assert_eq!(find("a.b\\.c.#.d"), Some(serde_json::json!([2, 3])));
        assert_eq!(find("n"), Some(Json::Null));
        assert_eq!(find("a.x"), None);
        assert!(select(&value, &steps("a.*")).is_err());
    }
}
