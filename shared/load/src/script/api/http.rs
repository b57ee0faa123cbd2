//! The functions of `k6/http`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use rquickjs::function::{Opt, Rest};
use rquickjs::{Array, Ctx, Exception, Object, Result, Value};

use super::super::vu::Vu;
use super::params::{Expected, Prepared};
use super::send::{Outcome, perform, thrown};
use super::{interrupted, response, set};

pub(super) fn install<'js>(native: &Object<'js>, vu: &Rc<Vu>) -> Result<()> {
    for (name, method) in [("get", "GET"), ("head", "HEAD")] {
        let own = Rc::clone(vu);
        set(native, name, move |ctx: Ctx<'js>, url: Value<'js>, params: Opt<Value<'js>>| {
            send(&ctx, &own, Prepared::read(&ctx, &own, method, &url, None, params.0.as_ref())?)
        })?;
    }
    for (name, method) in
        [("post", "POST"), ("put", "PUT"), ("patch", "PATCH"), ("del", "DELETE"), ("options", "OPTIONS")]
    {
        let own = Rc::clone(vu);
        set(
            native,
            name,
            move |ctx: Ctx<'js>, url: Value<'js>, body: Opt<Value<'js>>, params: Opt<Value<'js>>| {
                let prepared = Prepared::read(&ctx, &own, method, &url, body.0.as_ref(), params.0.as_ref())?;
                send(&ctx, &own, prepared)
            },
        )?;
    }
    let own = Rc::clone(vu);
    set(native, "request", move |ctx: Ctx<'js>, arguments: Rest<Value<'js>>| {
        send(&ctx, &own, from_arguments(&ctx, &own, &arguments.0)?)
    })?;
    let own = Rc::clone(vu);
    set(native, "startRequest", move |ctx: Ctx<'js>, arguments: Rest<Value<'js>>| {
        let prepared = from_arguments(&ctx, &own, &arguments.0)?;
        start(&ctx, &own, prepared)
    })?;
    let own = Rc::clone(vu);
    set(native, "batch", move |ctx: Ctx<'js>, requests: Value<'js>| batch(&ctx, &own, &requests))?;
    let own = Rc::clone(vu);
    set(native, "setResponseCallback", move |ctx: Ctx<'js>, callback: Value<'js>| {
        *own.expected.borrow_mut() = Expected::read(&ctx, &callback)?;
        Ok::<_, rquickjs::Error>(())
    })?;
    set(native, "expectedStatuses", |ctx: Ctx<'js>, statuses: Rest<Value<'js>>| expected(&ctx, &statuses.0))?;
    set(native, "file", |ctx: Ctx<'js>, data: Value<'js>, name: Opt<String>, kind: Opt<String>| {
        let object = Object::new(ctx)?;
        object.set("__file", true)?;
        object.set("data", data)?;
        object.set("filename", name.0.unwrap_or_else(|| "file".to_owned()))?;
        object.set("content_type", kind.0.unwrap_or_else(|| "application/octet-stream".to_owned()))?;
        Ok::<_, rquickjs::Error>(object)
    })
}

/// Of `request(method, url, body, params)`.
fn from_arguments<'js>(ctx: &Ctx<'js>, vu: &Vu, arguments: &[Value<'js>]) -> Result<Prepared> {
    let [method, url, rest @ ..] = arguments else {
        return Err(Exception::throw_type(ctx, "a request needs a method and a URL"));
    };
    Prepared::read(ctx, vu, super::text(method)?.to_ascii_uppercase(), url, rest.first(), rest.get(1))
}

fn send<'js>(ctx: &Ctx<'js>, vu: &Rc<Vu>, prepared: Prepared) -> Result<Value<'js>> {
    let outcome = perform(vu, prepared);
    finish(ctx, vu, outcome)
}

/// The response, or what is thrown in its place.
fn finish<'js>(ctx: &Ctx<'js>, vu: &Rc<Vu>, outcome: Outcome) -> Result<Value<'js>> {
    if vu.is_killed() {
        return Err(interrupted(ctx));
    }
    match thrown(vu, &outcome) {
        Some(message) => Err(Exception::throw_message(ctx, &message)),
        None => response::value(ctx, outcome),
    }
}

/// Sends it from a fiber of its own, and says by which number its answer will be told.
fn start(ctx: &Ctx<'_>, vu: &Rc<Vu>, prepared: Prepared) -> Result<u32> {
    let task = vu.task();
    vu.open.set(vu.open.get() + 1);
    let spawned = vu.beside(move |vu| {
        let outcome = perform(vu, prepared);
        vu.open.set(vu.open.get() - 1);
        vu.done.borrow_mut().push_back((task, outcome));
    });
    spawned
        .map(|()| task)
        .map_err(|error| Exception::throw_message(ctx, &format!("no memory for a request: {error}")))
}

/// Requests side by side: so many at once, and so many to each host. The answers are in the order of the requests.
fn batch<'js>(ctx: &Ctx<'js>, vu: &Rc<Vu>, requests: &Value<'js>) -> Result<Value<'js>> {
    super::not_in_init(ctx, vu, "http.batch()")?;
    if let Some(list) = requests.as_array() {
        let prepared =
            list.iter::<Value<'js>>().map(|one| from_entry(ctx, vu, &one?)).collect::<Result<_>>()?;
        let made = Array::new(ctx.clone())?;
        for (place, outcome) in perform_all(ctx, vu, prepared)?.into_iter().enumerate() {
            made.set(place, finish(ctx, vu, outcome)?)?;
        }
        return Ok(made.into_value());
    }
    let Some(object) = requests.as_object() else {
        return Err(Exception::throw_type(ctx, "http.batch() needs a list or an object of requests"));
    };
    let (mut names, mut prepared) = (Vec::new(), Vec::new());
    for entry in object.props::<String, Value<'js>>() {
        let (name, one) = entry?;
        prepared.push(from_entry(ctx, vu, &one)?);
        names.push(name);
    }
    let made = Object::new(ctx.clone())?;
    for (name, outcome) in names.into_iter().zip(perform_all(ctx, vu, prepared)?) {
        made.set(name, finish(ctx, vu, outcome)?)?;
    }
    Ok(made.into_value())
}

/// One of a batch: a URL, a list of `request`'s arguments, or an object of them.
fn from_entry<'js>(ctx: &Ctx<'js>, vu: &Vu, entry: &Value<'js>) -> Result<Prepared> {
    if let Some(list) = entry.as_array() {
        let arguments = list.iter::<Value<'js>>().collect::<Result<Vec<_>>>()?;
        return from_arguments(ctx, vu, &arguments);
    }
    if let Some(object) = entry.as_object().filter(|object| object.contains_key("method").unwrap_or(false)) {
        let method = super::text(&object.get("method")?)?.to_ascii_uppercase();
        let (url, body, params): (Value<'js>, Value<'js>, Value<'js>) =
            (object.get("url")?, object.get("body")?, object.get("params")?);
        return Prepared::read(ctx, vu, method, &url, Some(&body), Some(&params));
    }
    if let Some(object) = entry.as_object().filter(|object| object.contains_key("params").unwrap_or(false)) {
        let (url, params): (Value<'js>, Value<'js>) = (object.get("url")?, object.get("params")?);
        return Prepared::read(ctx, vu, "GET", &url, None, Some(&params));
    }
    Prepared::read(ctx, vu, "GET", entry, None, None)
}

/// What the fibers of a batch share.
#[derive(Default)]
struct Batch {
    waiting: Vec<Option<Prepared>>,
    outcomes: Vec<Option<Outcome>>,
    by_host: HashMap<(String, u16), usize>,
    open: usize,
}

fn perform_all(ctx: &Ctx<'_>, vu: &Rc<Vu>, prepared: Vec<Prepared>) -> Result<Vec<Outcome>> {
    let count = prepared.len();
    let options = &vu.lane.run.options.http;
    let mut batch = Batch { waiting: prepared.into_iter().map(Some).collect(), ..Batch::default() };
    batch.outcomes.resize_with(count, || None);
    let batch = Rc::new(RefCell::new(batch));
    let failed =
        |error: std::io::Error| Exception::throw_message(ctx, &format!("no memory for a request: {error}"));
    loop {
        while let Some((place, one)) = batch.borrow_mut().next(options.batch, options.batch_per_host) {
            let shared = Rc::clone(&batch);
            let spawned = vu.beside(move |vu| {
                let host = (one.url.host.clone(), one.url.port);
                let outcome = perform(vu, one);
                shared.borrow_mut().done(place, &host, outcome);
            });
            spawned.map_err(failed)?;
        }
        if batch.borrow().open == 0 {
            break;
        }
        // Those that are open end when the VU is killed: none is left behind.
        vu.lane.reactor.park(if vu.is_killed() { None } else { vu.until(None) });
    }
    if vu.is_killed() {
        return Err(interrupted(ctx));
    }
    let outcomes = std::mem::take(&mut batch.borrow_mut().outcomes);
    Ok(outcomes.into_iter().flatten().collect())
}

impl Batch {
    /// One that may begin now.
    fn next(&mut self, most: usize, per_host: usize) -> Option<(usize, Prepared)> {
        if self.open >= most {
            return None;
        }
        let by_host = &self.by_host;
        let free = |one: &Option<Prepared>| {
            one.as_ref().is_some_and(|one| {
                by_host.get(&(one.url.host.clone(), one.url.port)).is_none_or(|open| *open < per_host)
            })
        };
        let place = self.waiting.iter().position(free)?;
        let one = self.waiting[place].take()?;
        *self.by_host.entry((one.url.host.clone(), one.url.port)).or_default() += 1;
        self.open += 1;
        Some((place, one))
    }

    fn done(&mut self, place: usize, host: &(String, u16), outcome: Outcome) {
        self.outcomes[place] = Some(outcome);
        self.open -= 1;
        if let Some(open) = self.by_host.get_mut(host) {
            *open -= 1;
        }
    }
}

/// `expectedStatuses(200, {min: 300, max: 399})`.
fn expected<'js>(ctx: &Ctx<'js>, statuses: &[Value<'js>]) -> Result<Object<'js>> {
    let mut ranges = Vec::new();
    for status in statuses {
        let range = match status.as_object() {
            Some(object) => object.get::<_, Option<u16>>("min")?.zip(object.get::<_, Option<u16>>("max")?),
            None => {
                status.as_int().and_then(|status| u16::try_from(status).ok()).map(|status| (status, status))
            }
        };
        let (low, high) = range.ok_or_else(|| {
            Exception::throw_type(ctx, "expectedStatuses() takes whole numbers, and objects with min and max")
        })?;
        ranges.push(vec![low, high]);
    }
    if ranges.is_empty() {
        return Err(Exception::throw_type(ctx, "expectedStatuses() needs a status at least"));
    }
    let object = Object::new(ctx.clone())?;
    object.set("__statuses", ranges)?;
    Ok(object)
}
